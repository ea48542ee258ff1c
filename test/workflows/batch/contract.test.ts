import { describe, expect, test } from 'vitest';
import {
  BATCH_TASK_QUEUE,
  batchIdOf,
  batchQuery,
  batchStatusAttribute,
  batchWorkflowId,
  paceSignal,
  pauseSignal,
  resumeSignal,
  secondsLeft,
} from '../../../src/workflows/batch/contract.js';

describe('names that are in histories and scripts', () => {
  test('when something is named, then it is called as ever', () => {
    expect(BATCH_TASK_QUEUE).toBe('batches');
    expect([batchQuery, pauseSignal, resumeSignal, paceSignal].map(({ type, name }) => [type, name])).toEqual([
      ['query', 'batch'],
      ['signal', 'pause'],
      ['signal', 'resume'],
      ['signal', 'pace'],
    ]);
    expect(batchStatusAttribute).toMatchObject({ name: 'BatchStatus', type: 'KEYWORD' });
  });

  test.each([
    ['nightly', 'batch:nightly'],
    ['a-batch:b', 'batch:a-batch:b'],
  ])('when a batch is %s, then its workflow id is %s, and the way back leads to it', (batchId, workflowId) => {
    expect(batchWorkflowId(batchId)).toBe(workflowId);
    expect(batchIdOf(workflowId)).toBe(batchId);
  });

  test('when an id is no workflow id of a batch, then it stays as it is', () => {
    expect(batchIdOf('not-a-batch:b')).toBe('not-a-batch:b');
  });
});

describe('how long a batch still takes', () => {
  const tally = { total: 100, succeeded: 80, failed: 9, itemsPerSecond: 2 };
  test.each<[what: string, Partial<typeof tally>, number | undefined]>([
    ['11 items are left at 2 a second', {}, 6],
    ['10 items are left at 2 a second', { failed: 10 }, 5],
    ['nothing moves', { itemsPerSecond: 0 }, undefined],
    ['one is left', { failed: 19 }, 1],
    ['nothing is left', { failed: 20 }, undefined],
  ])('when %s, then it is known to the second', (_what, more, seconds) => {
    expect(secondsLeft({ ...tally, ...more })).toBe(seconds);
  });

  test('when there is no rate yet, then nobody knows', () => {
    expect(secondsLeft({ total: 100, succeeded: 0, failed: 0 })).toBeUndefined();
  });
});
