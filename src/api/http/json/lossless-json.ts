import { toJsonPointer, type InputProblem } from '../../../schemas/shared/input-problems.js';
import { MAX_JSON_DEPTH } from '../../../text/json-limits.js';

/** The value of a JSON text, and the places where the value differs from the text. */
export interface ParsedJson {
  value: unknown;
  /** Repeated names, and numbers that a 64-bit float cannot represent exactly. */
  losses: InputProblem[];
}

/** The message is a predicate without a subject, for example `is nested deeper than 32 levels`. */
export class JsonTooDeeplyNested extends Error {
  override readonly name = 'JsonTooDeeplyNested';

  constructor() {
    super(`is nested deeper than ${MAX_JSON_DEPTH} levels`);
  }
}

/**
 * Parses JSON from callers. `JSON.parse` silently keeps the last of two equal names and rounds numbers to 64-bit
 * floats. This function reports both.
 *
 * @throws JsonTooDeeplyNested, and the errors of `parse`.
 */
export function parseJson(text: string, parse: (text: string) => unknown = JSON.parse): ParsedJson {
  const value = parse(text);
  // This cheap check detects every loss. Colons and digits inside strings can only cause an unnecessary full scan.
  const isPlain = countNames(value) === countColons(text) && !MAYBE_INEXACT.test(text);
  return { value, losses: isPlain ? [] : findLosses(text) };
}

/**
 * Matches every number that a 64-bit float may not represent exactly. Decimals of at most 15 digits without an exponent
 * are always exact.
 */
const MAYBE_INEXACT = /\d[\d.]{15}|\d[eE][-+\d]/;

/** Counts the field names of all objects in a value. @throws JsonTooDeeplyNested */
function countNames(value: unknown, depth = 0): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth === MAX_JSON_DEPTH) throw new JsonTooDeeplyNested();
  let names = 0;
  if (Array.isArray(value)) {
    for (const inner of value) names += countNames(inner, depth + 1);
    return names;
  }
  for (const inner of Object.values(value)) names += 1 + countNames(inner, depth + 1);
  return names;
}

function countColons(text: string): number {
  let colons = 0;
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) colons += 1;
  return colons;
}

/**
 * The position inside an open array or object: the current index or the current name. For an object, `names` holds the
 * names read so far.
 */
type Level = { names?: undefined; position: number } | { names: Set<string>; position: string };

/** Maximum number of losses, because the list must fit into a response. */
const MAX_LOSSES = 100;

/** Returns the first `MAX_LOSSES` losses of a valid JSON text. */
function findLosses(text: string): InputProblem[] {
  const losses: InputProblem[] = [];
  const levels: Level[] = [];
  const addLoss = (detail: string) =>
    losses.push({ pointer: toJsonPointer(levels.map(({ position }) => position)), detail });
  const number = /[-+.\deE]+/y;
  let lastString = '';

  for (let at = 0; at < text.length && losses.length < MAX_LOSSES; at += 1) {
    const char = text[at]!;
    const level = levels.at(-1);
    if (char === '"') {
      const end = endOfString(text, at);
      lastString = text.slice(at, end);
      at = end - 1;
    } else if (char === ':' && level?.names) {
      level.position = JSON.parse(lastString) as string;
      if (level.names.has(level.position))
        addLoss('occurs more than once in the same object: send one value for each name');
      level.names.add(level.position);
    } else if (char === ',' && level && !level.names) {
      level.position += 1;
    } else if (char === '{') {
      levels.push({ names: new Set(), position: '' });
    } else if (char === '[') {
      levels.push({ position: 0 });
    } else if (char === '}' || char === ']') {
      levels.pop();
    } else if (char === '-' || (char >= '0' && char <= '9')) {
      number.lastIndex = at;
      const [literal] = number.exec(text)!;
      const problem = describeInexactNumber(literal);
      if (problem) addLoss(problem);
      at += literal.length - 1;
    }
  }
  return losses;
}

/** Returns the index after the closing quote of a string. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at);
    let backslashes = 0;
    while (text[at - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return at + 1;
  }
}

/** Explains why a 64-bit float cannot represent a decimal exactly; undefined for an exact decimal. */
export function describeInexactNumber(literal: string): string | undefined {
  const number = Number(literal);
  if (Number.isFinite(number) && normalizeDecimal(literal) === normalizeDecimal(String(number))) return undefined;
  const excerpt = literal.length > 40 ? `${literal.slice(0, 40)}…` : literal;
  return `cannot be stored exactly: ${excerpt} would become ${number}; send at most 15 digits, as in 12.5`;
}

/** Normalizes a decimal to its digits, without leading and trailing zeros, and a power of ten. */
function normalizeDecimal(literal: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([-+]?\d+))?$/.exec(
    literal,
  )!;
  const digits = whole + fraction;
  let [start, end] = [0, digits.length];
  while (digits[start] === '0') start += 1;
  while (end > start && digits[end - 1] === '0') end -= 1;
  if (start === end) return '0';
  return `${sign}${digits.slice(start, end)}e${Number(exponent) - fraction.length + digits.length - end}`;
}
