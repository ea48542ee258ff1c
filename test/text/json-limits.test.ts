import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasIllFormedText, isNestedDeeperThan, toWellFormedJson } from '../../src/text/json-limits.js';
import { toWellFormedText } from '../../src/text/well-formed-text.js';

/** Generates text with escape sequences, and text that only looks like escape sequences. */
const trickyText = fc
  .array(fc.constantFrom('\\', 'u', '"', 'd800', '0000', '\ud800', '\udc00', '\0', '😀', '[', '{', '}', ']', 'x'))
  .map((parts) => parts.join(''));

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.oneof(trickyText, fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(trickyText, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...textsOf(inner)]);
}

describe('isNestedDeeperThan', () => {
  test('counts nesting levels like a parser and ignores brackets in strings', () => {
    fc.assert(
      fc.property(json, fc.nat({ max: 8 }), (value, levels) => {
        expect(isNestedDeeperThan(JSON.stringify(value), levels)).toBe(depthOf(value) > levels);
      }),
    );
  });

  test('stops at the first level that is too deep', () => {
    expect(isNestedDeeperThan('['.repeat(1_000_000), 32)).toBe(true);
  });
});

describe('toWellFormedJson', () => {
  test('returns the same JSON as JSON.stringify would for the value with well-formed text', () => {
    fc.assert(
      fc.property(trickyText, (text) => {
        expect(JSON.parse(toWellFormedJson(JSON.stringify([text])))).toEqual([toWellFormedText(text)]);
      }),
    );
  });
});

describe('hasIllFormedText', () => {
  test('finds NUL and lone surrogates in keys and values, both escaped and unescaped', () => {
    fc.assert(
      fc.property(json, fc.boolean(), (value, escapesAll) => {
        const plain = JSON.stringify(value);
        // Some SDKs escape all non-ASCII characters in JSON.
        const text = escapesAll
          ? plain.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`)
          : plain;
        const expected = textsOf(value).some((each) => toWellFormedText(each) !== each);
        expect(hasIllFormedText(JSON.parse(text), text)).toBe(expected);
      }),
    );
  });
});
