import { isWellFormed } from './text.js';

/** Levels of objects and lists, in a request and in a payload; nothing that is valid has more than five. */
export const MAX_JSON_DEPTH = 32;

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Whether objects and lists are nested deeper than `levels`, without building them: `JSON.parse` reads 100,000 levels
 * that `JSON.stringify` cannot write again.
 */
export function isNestedDeeper(json: string, levels: number): boolean {
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

/** Only an escape puts NUL or a lone surrogate into JSON that is UTF-8; most JSON has neither, and needs no walk. */
const SUSPECT = /\\u(?:0000|d[89a-f])/i;

/** Whether a parsed value, from this JSON, holds NUL or a lone surrogate. */
export function hasIllFormedText(value: unknown, json: string): boolean {
  return SUSPECT.test(json) && !isWellFormedIn(value);
}

function isWellFormedIn(value: unknown): boolean {
  if (typeof value === 'string') return isWellFormed(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormedIn);
  return Object.entries(value).every(([key, inner]) => isWellFormed(key) && isWellFormedIn(inner));
}

/** An escaped backslash, which is passed over, or one of the escapes that `JSON.stringify` writes for ill-formed text. */
const ILL_FORMED = /\\(?:\\|u(?:0000|d[89a-f][0-9a-f]{2}))/g;

/** What `JSON.stringify` wrote, with U+FFFD for each NUL and each lone surrogate. */
export function wellFormedJson(json: string): string {
  if (!json.includes('\\u')) return json;
  return json.replace(ILL_FORMED, (escape) => (escape === '\\\\' ? escape : '\ufffd'));
}
