import { describe, expect, test } from 'vitest';
import type { BatchProgress } from '../../../src/schemas/batch.js';
import {
  BATCH_TASK_QUEUE,
  batchIdOf,
  batchQuery,
  batchStatusAttribute,
  batchWorkflowId,
  pauseStateSignal,
  pauseSignal,
  resumeSignal,
  estimateSecondsLeft,
  finalStatusOf,
  isSuperseded,
} from '../../../src/workflows/batch/contract.js';

describe('batch wire names', () => {
  test('batch wire names are stable', () => {
    expect(BATCH_TASK_QUEUE).toBe('batches');
    expect([batchQuery, pauseSignal, resumeSignal, pauseStateSignal].map(({ type, name }) => [type, name])).toEqual([
      ['query', 'batch'],
      ['signal', 'pause'],
      ['signal', 'resume'],
      ['signal', 'pauseState'],
    ]);
    expect(batchStatusAttribute).toMatchObject({ name: 'BatchStatus', type: 'KEYWORD' });
  });

  test.each([
    ['nightly', 'batch:nightly'],
    ['a-batch:b', 'batch:a-batch:b'],
  ])('maps batch %s to workflow id %s and back', (batchId, workflowId) => {
    expect(batchWorkflowId(batchId)).toBe(workflowId);
    expect(batchIdOf(workflowId)).toBe(batchId);
  });

  test('batchIdOf returns an id unchanged if it is not the workflow id of a batch', () => {
    expect(batchIdOf('not-a-batch:b')).toBe('not-a-batch:b');
  });
});

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
