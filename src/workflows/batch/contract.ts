import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { BatchProgress, BatchView } from '../../schemas/batch.js';

export const BATCH_TASK_QUEUE = 'batches';

/** The workflow id of a batch. Each retry is a new execution with the same id. */
export const batchWorkflowId = (batchId: string): string => `batch:${batchId}`;

/** The batch id in a workflow id. */
export const batchIdOf = (workflowId: string): string => workflowId.replace(/^batch:/, '');

/**
 * Limits per workflow: 1M chunks are 1,000 children with 1,000 chunks each. A child writes about 3,400 events and 0.9
 * MB, and its parent about 12 events per child. A test asserts that this stays below Temporal's limits (51,200 events,
 * 50 MB).
 */
export const MAX_CHUNKS = 1_000;
export const MAX_CHILDREN = 1_000;

/**
 * Maximum number of open chunks and children; the server allows 2,000. Enough to keep workers busy while a chunk is
 * scheduled.
 */
export const CONCURRENT_CHUNKS = 20;
export const CONCURRENT_CHILDREN = 10;

/** The progress of a batch. The counts are about two seconds old, or up to 4 % of the running time of a long batch. */
export const batchQuery = defineQuery<BatchView>('batch');

/** Pauses a batch: no chunk starts until the batch is resumed, and running chunks are cancelled and restarted later. */
export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');

/**
 * Whether a batch is paused. Parents send the state to their children, which ignore a state with a sequence that is not
 * higher than the last one.
 */
export interface PauseState {
  sequence: number;
  paused: boolean;
}

export const pauseStateSignal = defineSignal<[PauseState]>('pauseState');

export const batchStatusAttribute = defineSearchAttributeKey('BatchStatus', 'KEYWORD');

/** The remaining time in seconds at the current rate. Undefined when nothing is left or the rate is 0. */
export function estimateSecondsLeft({
  total,
  succeeded,
  failed,
  itemsPerSecond,
}: Pick<BatchProgress, 'total' | 'succeeded' | 'failed' | 'itemsPerSecond'>): number | undefined {
  const itemsLeft = total - succeeded - failed;
  return itemsLeft > 0 && itemsPerSecond ? Math.ceil(itemsLeft / itemsPerSecond) : undefined;
}

/** The final status of a batch that was not cancelled. */
export function finalStatusOf({ failed }: Pick<BatchProgress, 'failed'>): 'completed' | 'completed_with_failures' {
  return failed > 0 ? 'completed_with_failures' : 'completed';
}

/** Whether the final counts belong to another execution of the batch than the one with `ownAttempt`. */
export function isSuperseded(
  { attempt, total, succeeded, failed }: Pick<BatchProgress, 'attempt' | 'total' | 'succeeded' | 'failed'>,
  ownAttempt: number | undefined,
): boolean {
  return attempt !== ownAttempt || succeeded + failed < total;
}
