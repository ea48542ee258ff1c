import { describe, expect, test } from 'vitest';
import { isPauseState, isShardInput } from '../../../src/workflows/batch/shard-input.js';

const pauseState = { sequence: 0, paused: false };
const range = { first: 0, count: 1 };
const input = { batchId: 'b', batchNumber: 1, operation: 'restock', attemptId: 2, attempt: 1, range, pauseState };

/** Returns two invalid copies for each field of an object: one without the field, one with a wrong type. */
const malformedCopies = (object: object): object[] =>
  Object.keys(object).flatMap((name) => {
    const { [name]: _left, ...without } = object as Record<string, unknown>;
    return [without, { ...object, [name]: [1] }];
  });

const notObjects = [undefined, null, '', 'pauseState', 0, true, []];

describe('isPauseState', () => {
  test('isPauseState accepts a valid pause state', () => {
    expect(isPauseState(pauseState)).toBe(true);
    expect(isPauseState({ sequence: 7, paused: true })).toBe(true);
  });

  test.each([...notObjects, ...malformedCopies(pauseState)])('isPauseState rejects %j', (value) => {
    expect(isPauseState(value)).toBe(false);
  });
});

describe('isShardInput', () => {
  test('isShardInput accepts a valid input', () => {
    expect(isShardInput(input)).toBe(true);
  });

  test.each([
    ...notObjects,
    ...malformedCopies(input),
    ...malformedCopies(range).map((value) => ({ ...input, range: value })),
    ...malformedCopies(pauseState).map((value) => ({ ...input, pauseState: value })),
    { ...input, more: 1 },
    { ...input, batchId: 'b'.repeat(65) },
  ])('isShardInput rejects %j', (value) => {
    expect(isShardInput(value)).toBe(false);
  });
});
