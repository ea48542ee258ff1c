import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { truncateText, isWellFormed, toWellFormedText } from '../../src/text/well-formed-text.js';

/** Generates arbitrary sequences of UTF-16 code units. */
const anyText = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) });

describe('toWellFormedText', () => {
  test('replaces lone surrogates and NUL, and keeps surrogate pairs', () => {
    expect(toWellFormedText('a\ud800b\udfffc\0d😀')).toBe('a\ufffdb\ufffdc\ufffdd😀');
  });

  test('returns well-formed text of the same length, and does not change well-formed text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const result = toWellFormedText(text);
        expect(isWellFormed(result)).toBe(true);
        expect(result).toHaveLength(text.length);
        expect(toWellFormedText(result)).toBe(result);
        if (isWellFormed(text)) expect(result).toBe(text);
      }),
    );
  });
});

describe('truncateText', () => {
  test('does not change text of the maximum length, and truncates longer text with an ellipsis', () => {
    expect(truncateText('abcd', 4)).toBe('abcd');
    expect(truncateText('abcde', 4)).toBe('abc…');
  });

  test('does not cut a surrogate pair', () => {
    expect(truncateText('ab😀d', 4)).toBe('ab…');
  });

  test('returns well-formed text of at most the maximum length', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 12 }), (text, max) => {
        const result = truncateText(text, max);
        expect(isWellFormed(result)).toBe(true);
        expect(result.length).toBeLessThanOrEqual(max);
      }),
    );
  });
});
