import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { BatchProgress, BatchView } from '../../schemas/batch.js';

export const BATCH_TASK_QUEUE = 'batches';

/** Returns the workflow id of a batch. Each retry of the batch is a new execution with the same id. */
export const batchWorkflowId = (batchId: string): string => `batch:${batchId}`;

/** Returns the batch id that a workflow id contains. */
export const batchIdOf = (workflowId: string): string => workflowId.replace(/^batch:/, '');

/**
 * Maximum number of chunks and of children per workflow. A batch of one million chunks has 1,000 children with 1,000
 * chunks each. A child writes about 3,400 events (0.9 MB), and its parent writes about 12 events per child. A test
 * asserts that both histories stay below Temporal's limits (51,200 events, 50 MB).
 */
export const MAX_CHUNKS = 1_000;
export const MAX_CHILDREN = 1_000;

/**
 * Maximum number of open chunks and of open children. Temporal allows 2,000 of each. These numbers keep the workers
 * busy while the next chunk is scheduled.
 */
export const CONCURRENT_CHUNKS = 20;
export const CONCURRENT_CHILDREN = 10;

/**
 * Returns the progress of a batch. The counts are about two seconds old. For a long batch, their age can reach 4 % of
 * the running time.
 */
export const batchQuery = defineQuery<BatchView>('batch');

/**
 * Pauses a batch. Running chunks are cancelled, and no chunk starts until the batch is resumed. The cancelled chunks
 * then run again.
 */
export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');

/**
 * Whether a batch is paused. Parents send this state to their children. A child ignores a state whose `sequence` is not
 * higher than the last `sequence`.
 */
export interface PauseState {
  sequence: number;
  paused: boolean;
}

export const pauseStateSignal = defineSignal<[PauseState]>('pauseState');

export const batchStatusAttribute = defineSearchAttributeKey('BatchStatus', 'KEYWORD');

/** Returns the remaining time in seconds at the current rate, or undefined when no item is left or the rate is 0. */
export function estimateSecondsLeft({
  total,
  succeeded,
  failed,
  itemsPerSecond,
}: Pick<BatchProgress, 'total' | 'succeeded' | 'failed' | 'itemsPerSecond'>): number | undefined {
  const itemsLeft = total - succeeded - failed;
  return itemsLeft > 0 && itemsPerSecond ? Math.ceil(itemsLeft / itemsPerSecond) : undefined;
}

/** Returns the final status of a batch that was not cancelled. */
export function finalStatusOf({ failed }: Pick<BatchProgress, 'failed'>): 'completed' | 'completed_with_failures' {
  return failed > 0 ? 'completed_with_failures' : 'completed';
}

/**
 * Whether another execution of the batch has replaced the execution with `ownAttempt`. The final counts then belong to
 * another attempt, or some items are not finished.
 */
export function isSuperseded(
  { attempt, total, succeeded, failed }: Pick<BatchProgress, 'attempt' | 'total' | 'succeeded' | 'failed'>,
  ownAttempt: number | undefined,
): boolean {
  return attempt !== ownAttempt || succeeded + failed < total;
}
