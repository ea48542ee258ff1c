import { describe, expect, test } from 'vitest';
import { isPace, isShardInput } from '../../../src/workflows/batch/told.js';

const pace = { sequence: 0, paused: false };
const range = { first: 0, count: 1 };
const input = { batchId: 'b', number: 1, operation: 'restock', roundId: 2, round: 1, range, pace };

/** An object once for each of its fields: without it, and with another kind of value in it. */
const spoilt = (object: object): object[] =>
  Object.keys(object).flatMap((name) => {
    const { [name]: _left, ...without } = object as Record<string, unknown>;
    return [without, { ...object, [name]: [1] }];
  });

const notObjects = [undefined, null, '', 'pace', 0, true, []];

describe('what a parent tells of the pace', () => {
  test('when it is as a parent tells it, then it is taken', () => {
    expect(isPace(pace)).toBe(true);
    expect(isPace({ sequence: 7, paused: true })).toBe(true);
  });

  test.each([...notObjects, ...spoilt(pace)])('when it is %j, then it is not', (value) => {
    expect(isPace(value)).toBe(false);
  });
});

describe('what a shard is started with', () => {
  test('when it is as a parent tells it, then it is taken', () => {
    expect(isShardInput(input)).toBe(true);
  });

  test.each([
    ...notObjects,
    ...spoilt(input),
    ...spoilt(range).map((value) => ({ ...input, range: value })),
    ...spoilt(pace).map((value) => ({ ...input, pace: value })),
    { ...input, more: 1 },
    { ...input, batchId: 'b'.repeat(65) },
  ])('when it is %j, then it is not', (value) => {
    expect(isShardInput(value)).toBe(false);
  });
});
