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
 * Yields the items of an upload in chunks that are all full but the last. Each item is as the schema returns it, with
 * the line on which it starts. After the first invalid line no further chunk follows, but the body is read on to find
 * up to 100 problems.
 *
 * The body is read no faster than chunks are consumed. It belongs to the caller, who may still have to respond, so it is
 * not destroyed. After a 400, a 413 or when the caller stops early, the rest of the body is not read.
 *
 * @throws 422 `invalid-items` with the first 100 problems in `errors`, also when there are no items.
 * @throws 413 `too-large` at once for a body or line that is too long.
 * @throws 400 `malformed-request` at once for text that is not UTF-8.
 * @throws the body's own error when the connection breaks.
 */
export async function* parseItems(body: Readable, options: ParseItemsOptions): AsyncGenerator<StagedItem[]> {
  const { format, schema, delimiter, itemsPerChunk } = options;
  const readLines = format === 'csv' ? createCsvReader(schema, delimiter) : parseNdjsonLines;
  const problems: LineProblem[] = [];
  let invalidLines = 0;
  let chunk: StagedItem[] = [];
  let isEmpty = true;

  for await (const lines of splitLines(body, options)) {
    // Keeps reading to notice a broken connection, but stops parsing: further problems would only be counted.
    if (problems.length === MAX_PROBLEMS) continue;
    for (const parsed of readLines(lines)) {
      isEmpty = false;
      const { line, problems: readProblems = [] } = parsed;
      const result = 'item' in parsed ? schema.safeParse(parsed.item) : undefined;
      if (!result?.success || readProblems.length > 0) {
        invalidLines += 1;
        const remaining = MAX_PROBLEMS - problems.length;
        // The schema does not validate a field that could not be read.
        const unreadable = new Set(readProblems.map(({ pointer }) => pointer));
        const schemaProblems = toInputProblems(result?.error?.issues ?? []);
        const found = [...readProblems, ...schemaProblems.filter(({ pointer }) => !unreadable.has(pointer))];
        problems.push(...found.slice(0, remaining).map((problem) => ({ line, ...problem })));
        if (found.length >= remaining) break;
      } else if (invalidLines === 0) {
        chunk.push({ line, item: result.data });
        if (chunk.length < itemsPerChunk) continue;
        yield chunk;
        chunk = [];
      }
    }
  }
  if (isEmpty) {
    const detail = 'the upload contains no items';
    throw invalidItemsProblem(detail, [{ line: 1, pointer: '', detail }]);
  }
  if (invalidLines > 0) {
    const count = problems.length === MAX_PROBLEMS ? `at least ${invalidLines}` : invalidLines;
    throw invalidItemsProblem(invalidLines === 1 ? '1 line is invalid' : `${count} lines are invalid`, problems);
  }
  if (chunk.length > 0) yield chunk;
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

const invalidItemsProblem = (detail: string, errors: LineProblem[]) =>
  new HttpProblem('invalid-items', {
    detail: `${detail}; nothing was stored`,
    extensions: { errors },
  });
