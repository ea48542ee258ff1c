import { isWellFormed } from './well-formed-text.js';

/** The maximum nesting of objects and arrays in a request and in a payload. Valid input has at most five levels. */
export const MAX_JSON_DEPTH = 32;

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Whether objects and arrays are nested deeper than `levels`. Scans the text without parsing it, because `JSON.parse`
 * accepts 100,000 levels, which `JSON.stringify` cannot write.
 */
export function isNestedDeeperThan(json: string, levels: number): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = endOfString(json, at);
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      depth += 1;
      if (depth > levels) return true;
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1;
  }
  return false;
}

function endOfString(json: string, start: number): number {
  let at = start + 1;
  for (; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) break;
    if (code === BACKSLASH) at += 1;
  }
  return at;
}

/**
 * In UTF-8 JSON, only an escape sequence can produce NUL or a lone surrogate. Most JSON contains no such escape
 * sequence and needs no full check.
 */
const SUSPECT_ESCAPE = /\\u(?:0000|d[89a-f])/i;

/** Whether `value`, the parsed form of `json`, contains NUL or a lone surrogate. */
export function hasIllFormedText(value: unknown, json: string): boolean {
  return SUSPECT_ESCAPE.test(json) && !isDeeplyWellFormed(value);
}

function isDeeplyWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return isWellFormed(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isDeeplyWellFormed);
  return Object.entries(value).every(([key, inner]) => isWellFormed(key) && isDeeplyWellFormed(inner));
}

/**
 * Matches an escaped backslash, to skip it, or the escape sequence that `JSON.stringify` writes for NUL or a lone
 * surrogate.
 */
const ILL_FORMED_ESCAPE = /\\(?:\\|u(?:0000|d[89a-f][0-9a-f]{2}))/g;

/** Replaces each NUL and lone surrogate in the output of `JSON.stringify` with U+FFFD. */
export function toWellFormedJson(json: string): string {
  if (!json.includes('\\u')) return json;
  return json.replace(ILL_FORMED_ESCAPE, (escape) => (escape === '\\\\' ? escape : '\ufffd'));
}
