import { describe, expect, test } from 'vitest';
import { matchesOutput } from '../support/docs/output-pattern.js';

describe('the output that a page shows', () => {
  test.each([
    ['{"id":"first","at":"…"}', '{"id":"first","at":"2026-11-29T10:00:00Z"}\n'],
    ['{\n  "id": "first",\n  …\n}', '{"id":"first","status":"processing"}'],
    ['', '\n'],
  ])('%j is the output %j', (shown, output) => {
    expect(matchesOutput(shown, output)).toBe(true);
  });

  test.each([
    ['{"id":"first"}', '{"id":"second"}'],
    ['{"id":"first"}', '{"id":"first"}{"id":"second"}'],
    ['a.c', 'abc'],
    ['…{"status":"completed"}', '{"status":"completed"},…'],
  ])('%j is not the output %j', (shown, output) => {
    expect(matchesOutput(shown, output)).toBe(false);
  });
});
