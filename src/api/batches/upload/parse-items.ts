import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { toInputProblems, type InputProblem } from '../../../schemas/shared/input-problems.js';
import type { StagedItem } from '../../../store/batches/staging.js';
import { createCsvReader, type ParsedItem } from './csv-reader.js';
import { HttpProblem } from '../../problems/http-problem.js';
import { JsonTooDeeplyNested, parseJson } from '../../http/lossless-json.js';
import { splitLines, type Line, type SplitLinesOptions } from './split-lines.js';

export type { ItemFormat } from './split-lines.js';

export interface ParseItemsOptions extends SplitLinesOptions {
  /** The schema of one item: a strict object. */
  schema: z.ZodObject;
  itemsPerChunk: number;
}

interface LineProblem extends InputProblem {
  line: number;
}

/** Maximum number of problems kept, so that memory use stays flat however wrong an upload is. */
const MAX_PROBLEMS = 100;

/**
 * Yields the items of an upload in lists that are all full but the last. Each item is as the schema returns it, with
 * the line on which it starts. After the first invalid line no further list follows, but the body is read on to find up
 * to 100 problems.
 *
 * The body is read no faster than lists are consumed. It belongs to the caller, who may still have to respond, so it is
 * not destroyed. After a 400, a 413 or when the caller stops early, the rest of the body is not read.
 *
 * @throws 422 `invalid-items` with the first 100 problems in `errors`, also when there are no items.
 * @throws 413 `too-large` at once for a body or line that is too long.
 * @throws 400 `malformed-request` at once for text that is not UTF-8.
 * @throws the body's own error when the connection breaks.
 */
export async function* parseItems(body: Readable, options: ParseItemsOptions): AsyncGenerator<StagedItem[]> {
  const { format, schema, delimiter, itemsPerChunk } = options;
  const entriesOf = format === 'csv' ? createCsvReader(schema, delimiter) : parseNdjsonLines;
  const problems: LineProblem[] = [];
  let wrongLines = 0;
  let list: StagedItem[] = [];
  let isEmpty = true;

  for await (const lines of splitLines(body, options)) {
    // Keeps reading to notice a broken connection, but stops parsing: further problems would only be counted.
    if (problems.length === MAX_PROBLEMS) continue;
    for (const entry of entriesOf(lines)) {
      isEmpty = false;
      const { line } = entry;
      const result = 'item' in entry ? schema.safeParse(entry.item) : undefined;
      const unread = entry.problems ?? [];
      if (!result?.success || unread.length > 0) {
        wrongLines += 1;
        const left = MAX_PROBLEMS - problems.length;
        // The schema does not validate a field that could not be read.
        const known = new Set(unread.map(({ pointer }) => pointer));
        const invalid = toInputProblems(result?.error?.issues ?? []).filter(({ pointer }) => !known.has(pointer));
        const found = [...unread, ...invalid];
        problems.push(...found.slice(0, left).map((problem) => ({ line, ...problem })));
        if (found.length >= left) break;
      } else if (wrongLines === 0) {
        list.push({ line, item: result.data });
        if (list.length < itemsPerChunk) continue;
        yield list;
        list = [];
      }
    }
  }
  if (isEmpty)
    throw invalidItemsProblem('there are no items', [{ line: 1, pointer: '', detail: 'there are no items' }]);
  if (wrongLines > 0) {
    const count = problems.length === MAX_PROBLEMS ? `at least ${wrongLines}` : wrongLines;
    throw invalidItemsProblem(wrongLines === 1 ? '1 line is wrong' : `${count} lines are wrong`, problems);
  }
  if (list.length > 0) yield list;
}

function* parseNdjsonLines(lines: Line[]): Generator<ParsedItem> {
  for (const { line, text } of lines) yield parseNdjsonLine(line, text);
}

function parseNdjsonLine(line: number, text: string): ParsedItem {
  try {
    const { value, losses } = parseJson(text);
    return { line, item: value, problems: losses };
  } catch (error) {
    if (error instanceof JsonTooDeeplyNested) return { line, problems: [{ pointer: '', detail: error.message }] };
    // The message of V8 quotes only a few characters of the invalid text.
    return { line, problems: [{ pointer: '', detail: `is not JSON: ${(error as Error).message}` }] };
  }
}

const invalidItemsProblem = (what: string, errors: LineProblem[]) =>
  new HttpProblem('invalid-items', {
    detail: `${what}, nothing was stored`,
    extensions: { errors },
  });
