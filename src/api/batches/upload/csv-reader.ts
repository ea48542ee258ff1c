import { CsvError, parse } from 'csv-parse/sync';
import type { z } from 'zod';
import { CSV_DELIMITERS } from '../../../schemas/batch.js';
import { toJsonPointer, toInputProblems, type InputProblem } from '../../../schemas/shared/input-problems.js';
import { truncateText } from '../../../text/well-formed-text.js';
import { describeInexactNumber } from '../../http/json/lossless-json.js';
import type { Line } from './split-lines.js';

/**
 * One uploaded item, and the problems found while reading the item. `item` is missing if the line could not be read.
 */
export interface ParsedItem {
  line: number;
  item?: unknown;
  problems?: InputProblem[];
}

/**
 * A column of the upload and its field. `parents` are the names of the objects that contain the field, outermost first.
 */
interface Column {
  parents: string[];
  name: string;
  isNumber: boolean;
}

const PLAIN_NUMBER_PATTERN = /^-?\d+(\.\d+)?$/;
const QUOTED_TEXT_PATTERN = /"[^"]*"/g;

/** Maximum length of a rejected value in an error message, in UTF-16 code units. */
const MAX_QUOTED_VALUE_LENGTH = 41;

const QUOTE_PROBLEMS: Record<string, string> = {
  CSV_QUOTE_NOT_CLOSED: 'has a quote that is not closed',
  CSV_INVALID_CLOSING_QUOTE: 'has text after the closing quote of a value',
  INVALID_OPENING_QUOTE: 'has a quote within a value that is not in quotes',
};

/**
 * Creates a CSV reader. The first record contains the column names. Each name is a field of the schema; dots separate
 * the names of nested fields. Values of number fields become numbers, all other values stay text. An empty value means
 * that the field is missing. Reading stops after an invalid header or a misplaced quote, because the meaning of the
 * following text is uncertain.
 */
export function createCsvReader(schema: z.ZodObject, delimiter = ','): (lines: Line[]) => Generator<ParsedItem> {
  let columns: Column[] | undefined;
  let isReadable = true;

  return function* readLines(lines) {
    if (!isReadable) return;
    let records = lines;
    if (!columns) {
      const { line, text } = lines[0]!;
      const header = parseHeader(text, schema, delimiter);
      if ('problems' in header) {
        isReadable = false;
        yield { line, problems: header.problems };
        return;
      }
      columns = header.columns;
      records = lines.slice(1);
    }
    const width = columns.length;
    // Excludes records with a wrong number of columns, because the parser takes twenty times as long for such records.
    const complete = records.filter(({ text }) => (countColumns(text, delimiter) ?? width) === width);
    const { rows, problem } = parseRecords(complete, delimiter);
    let next = 0;
    for (const record of records) {
      const { line } = record;
      if (record !== complete[next]) {
        const detail = `must have as many columns as the header: ${width}, not ${countColumns(record.text, delimiter)}`;
        yield { line, problems: [{ pointer: '', detail }] };
      } else if (next < rows.length) {
        yield { line, ...itemFromRow(rows[next]!, columns) };
        next += 1;
      } else {
        isReadable = false;
        yield { line, problems: [{ pointer: '', detail: `${problem}; the rest of the upload was not read` }] };
        return;
      }
    }
  };
}

/** The number of columns of a record. Undefined if a quote is not closed; the parser reports that problem. */
function countColumns(text: string, delimiter: string): number | undefined {
  const unquoted = text.includes('"') ? text.replace(QUOTED_TEXT_PATTERN, '') : text;
  if (unquoted.includes('"')) return undefined;
  let width = 1;
  for (let at = unquoted.indexOf(delimiter); at >= 0; at = unquoted.indexOf(delimiter, at + 1)) width += 1;
  return width;
}

/** Parses the records up to the first record with a misplaced quote. `problem` describes that record. */
function parseRecords(records: Line[], delimiter: string): { rows: string[][]; problem?: string } {
  const parseRows = (lines: Line[]) =>
    parse(lines.map(({ text }) => text).join('\n'), { delimiter, record_delimiter: '\n' });
  try {
    return { rows: parseRows(records) };
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Parses the records before the error again. A parser that reports each record would take four times as long for
    // every upload.
    const rows = parseRows(records.slice(0, Number(error.records)));
    return { rows, problem: QUOTE_PROBLEMS[error.code] ?? 'is not CSV' };
  }
}

function parseHeader(
  text: string,
  schema: z.ZodObject,
  delimiter: string,
): { columns: Column[] } | { problems: InputProblem[] } {
  const { rows, problem } = parseRecords([{ line: 1, text }], delimiter);
  if (problem) return { problems: [{ pointer: '', detail: `${problem}; the rest of the upload was not read` }] };
  const names = new Set<string>();
  const columns: Column[] = [];
  const issues: z.core.$ZodIssue[] = [];
  for (const [index, name] of rows[0]!.entries()) {
    const path = name.split('.');
    const type = fieldTypeAt(schema, path);
    const addIssue = (message: string) => issues.push({ code: 'custom', path: name ? path : [], message, input: name });
    if (name === '') addIssue(`has no name for column ${index + 1}`);
    else if (type === undefined) addIssue(`is not a known field${separatorHint(name, schema)}`);
    else if (type === 'object') addIssue('is an object: use one column for each of its fields');
    else if (names.has(name)) addIssue('is the name of more than one column');
    names.add(name);
    columns.push({ parents: path.slice(0, -1), name: path.at(-1)!, isNumber: type === 'number' });
  }
  return issues.length > 0 ? { problems: toInputProblems(issues) } : { columns };
}

/** Names the separator that the file seems to use. Empty if no separator splits the name of the column into fields. */
function separatorHint(name: string, schema: z.ZodObject): string {
  const found = Object.entries(CSV_DELIMITERS).find(
    ([, delimiter]) =>
      name.includes(delimiter) &&
      name.split(delimiter).some((part) => fieldTypeAt(schema, part.split('.')) !== undefined),
  );
  return found ? `: the separator of this file seems to be ${found[0]}` : '';
}

/** The type of the field at a path; undefined if there is no such field. */
function fieldTypeAt(schema: z.core.$ZodType, path: string[]): string | undefined {
  let def = unwrapSchema(schema);
  for (const name of path) {
    if (def.type !== 'object' || !Object.hasOwn(def.shape, name)) return undefined;
    def = unwrapSchema(def.shape[name]!);
  }
  return def.type;
}

/** Returns the definition of the input type. Removes wrappers such as `optional`, `default` and `transform`. */
export function unwrapSchema(schema: z.core.$ZodType): z.core.$ZodTypes['_zod']['def'] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === 'pipe') return unwrapSchema(def.in);
  return 'innerType' in def ? unwrapSchema(def.innerType) : def;
}

function itemFromRow(row: string[], columns: Column[]): Required<Omit<ParsedItem, 'line'>> {
  const item: Record<string, unknown> = {};
  const problems: InputProblem[] = [];
  for (const [index, value] of row.entries()) {
    if (value === '') continue;
    const { parents, name, isNumber } = columns[index]!;
    let object = item;
    for (const parent of parents) {
      if (!Object.hasOwn(object, parent)) object[parent] = {};
      object = object[parent] as Record<string, unknown>;
    }
    const problem = isNumber ? numberProblem(value) : undefined;
    if (problem) problems.push({ pointer: toJsonPointer([...parents, name]), detail: problem });
    object[name] = isNumber && !problem ? Number(value) : value;
  }
  return { item, problems };
}

/**
 * Explains why a value is not a number or cannot be stored exactly; undefined for a valid number. Spaces, exponents and
 * thousands separators are rejected as ambiguous.
 */
function numberProblem(text: string): string | undefined {
  if (PLAIN_NUMBER_PATTERN.test(text)) return describeInexactNumber(text);
  return `must be a number in plain digits, as in 1000 or 12.5, not ${JSON.stringify(truncateText(text, MAX_QUOTED_VALUE_LENGTH))}`;
}
