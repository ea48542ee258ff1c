import { describe, expect, test } from 'vitest';
import {
  BATCH_TASK_QUEUE,
  batchIdOf,
  batchQuery,
  batchStatusAttribute,
  batchWorkflowId,
  pauseStateSignal,
  pauseSignal,
  resumeSignal,
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
