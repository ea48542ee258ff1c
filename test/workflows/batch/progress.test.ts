import { describe, expect, test } from 'vitest';
import type { BatchProgress } from '../../../src/schemas/batch.js';
import {
  estimateSecondsLeft,
  finalStatusOf,
  isSuperseded,
  pollDelayMs,
} from '../../../src/workflows/batch/progress.js';

describe('the estimated time left', () => {
  const progress = { total: 100, succeeded: 80, failed: 9, itemsPerSecond: 2 };
  test.each<[what: string, Partial<typeof progress>, number | undefined]>([
    ['11 items are left at 2 a second', {}, 6],
    ['10 items are left at 2 a second', { failed: 10 }, 5],
    ['the rate is zero', { itemsPerSecond: 0 }, undefined],
    ['one item is left', { failed: 19 }, 1],
    ['no item is left', { failed: 20 }, undefined],
  ])('the estimated time left is as expected if %s', (_description, more, seconds) => {
    expect(estimateSecondsLeft({ ...progress, ...more })).toBe(seconds);
  });

  test('the estimated time left is undefined without a rate', () => {
    expect(estimateSecondsLeft({ total: 100, succeeded: 0, failed: 0 })).toBeUndefined();
  });
});

describe('the end of a batch', () => {
  test('the final status is completed_with_failures if an item failed, otherwise completed', () => {
    expect(finalStatusOf({ failed: 0 })).toBe('completed');
    expect(finalStatusOf({ failed: 1 })).toBe('completed_with_failures');
  });

  test.each<[what: string, Partial<BatchProgress>, boolean]>([
    ['all items are counted and the attempt is the current one', { succeeded: 6 }, false],
    ['a later attempt has started', { succeeded: 6, attempt: 2 }, true],
    ['an item is not counted', { succeeded: 5 }, true],
  ])('if %s, isSuperseded returns %s', (_what, view, is) => {
    expect(isSuperseded({ attempt: 1, total: 8, succeeded: 3, failed: 2, ...view }, 1)).toBe(is);
  });
});

describe('the progress polls of a batch', () => {
  test.each([
    [0, 2_000],
    [50_000, 2_000],
    [51_000, 2_040],
    [3_600_000, 144_000],
  ])('a batch that has run for %i ms waits %i ms before the next progress poll', (elapsedMs, waitMs) => {
    expect(pollDelayMs(elapsedMs)).toBe(waitMs);
  });

  test('a batch polls its progress about 215 times on its first day', () => {
    let polls = 0;
    for (let elapsedMs = 0; elapsedMs < 24 * 3_600_000; elapsedMs += pollDelayMs(elapsedMs)) polls += 1;

    expect(polls).toBeGreaterThan(205);
    expect(polls).toBeLessThan(225);
  });
});
