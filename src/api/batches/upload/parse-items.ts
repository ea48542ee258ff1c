import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { toInputProblems, type InputProblem } from '../../../schemas/shared/input-problems.js';
import type { StagedItem } from '../../../store/batches/staging.js';
import { createCsvReader, type ParsedItem } from './csv-reader.js';
import { HttpProblem } from '../../problems/http-problem.js';
import { JsonTooDeeplyNested, parseJson } from '../../http/json/lossless-json.js';
import { splitLines, type Line, type SplitLinesOptions } from './split-lines.js';

export type { ItemFormat } from './split-lines.js';

export interface ParseItemsOptions extends SplitLinesOptions {
  /** The schema of one item: a strict object. */
  schema: z.ZodObject;
  itemsPerChunk: number;
  /** The texts of the problems of items. Defaults to the texts of the schema. */
  problemTexts?: z.core.$ZodErrorMap | undefined;
}

interface LineProblem extends InputProblem {
  line: number;
}

/** Maximum number of problems that are kept, so that memory use stays small for an upload with many invalid lines. */
const MAX_PROBLEMS = 100;

/**
 * Yields the items of an upload in chunks. All chunks except the last are full. Each item is the value that the schema
 * returns, with the number of the line on which the item starts. After the first invalid line, yields no further chunk,
 * but continues to read the body to find up to 100 problems.
 *
 * Reads the body only as fast as the caller consumes chunks. Does not destroy the body, because the caller may still
 * have to respond to the request. After a 400 or 413, or when the caller stops early, the rest of the body is not read.
 *
 * @throws 422 `invalid-items` with the first 100 problems in `errors`, also for an upload without items.
 * @throws 413 `too-large` at once for a body or line that is too long.
 * @throws 400 `malformed-request` at once for text that is not UTF-8.
 * @throws the body's own error when the connection breaks.
 */
export async function* parseItems(body: Readable, options: ParseItemsOptions): AsyncGenerator<StagedItem[]> {
  const { format, schema, delimiter, itemsPerChunk, problemTexts } = options;
  const readLines = format === 'csv' ? createCsvReader(schema, delimiter) : parseNdjsonLines;
  const problems: LineProblem[] = [];
  let invalidLines = 0;
  let chunk: StagedItem[] = [];
  let isEmpty = true;

  for await (const lines of splitLines(body, options)) {
    // Stops parsing, because further problems would not be kept. Continues to read, to notice a broken connection.
    if (problems.length === MAX_PROBLEMS) continue;
    for (const parsed of readLines(lines)) {
      isEmpty = false;
      const { line, problems: readProblems = [] } = parsed;
      const result =
        'item' in parsed ? schema.safeParse(parsed.item, problemTexts && { error: problemTexts }) : undefined;
      if (!result?.success || readProblems.length > 0) {
        invalidLines += 1;
        const remaining = MAX_PROBLEMS - problems.length;
        // Ignores problems of the schema in fields that could not be read.
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
    // V8's error message quotes only a few characters of the invalid line.
    return { line, problems: [{ pointer: '', detail: `is not JSON: ${(error as Error).message}` }] };
  }
}

const invalidItemsProblem = (detail: string, errors: LineProblem[]) =>
  new HttpProblem('invalid-items', {
    detail: `${detail}; nothing was stored`,
    extensions: { errors },
  });
