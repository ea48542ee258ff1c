import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { BatchTally, BatchView } from '../../schemas/batch.js';

export const BATCH_TASK_QUEUE = 'batches';

/** The workflow id of a batch. Each retry is another run under the same id. */
export const batchWorkflowId = (batchId: string): string => `batch:${batchId}`;

/** The batch id in a workflow id. */
export const batchIdOf = (workflowId: string): string => workflowId.replace(/^batch:/, '');

/**
 * How a batch is cut up: no workflow has more tasks or children than this, so 1M tasks are 1,000 children with 1,000
 * tasks each. A child then writes some 3,400 events and 0.9 MB, their parent some 12 events a child: far from Temporal's
 * limits (51,200 events, 50 MB), which a test asserts.
 */
export const MAX_TASKS = 1_000;
export const MAX_CHILDREN = 1_000;

/** How many of them are open at any time; the server takes 2,000. Enough to keep workers busy while a task is scheduled. */
export const OPEN_TASKS = 20;
export const OPEN_CHILDREN = 10;

/** The progress of a batch. The numbers are some two seconds old, or up to 4 % of the running time of a longer batch. */
export const batchQuery = defineQuery<BatchView>('batch');

/** Nothing is begun any more, and what is under way is put back, until it is resumed. */
export const pauseSignal = defineSignal('pause');
export const resumeSignal = defineSignal('resume');

/** Whether a batch is at work. What parents tell their children; a lower sequence is older news. */
export interface Pace {
  sequence: number;
  paused: boolean;
}

export const paceSignal = defineSignal<[Pace]>('pace');

export const batchStatusAttribute = defineSearchAttributeKey('BatchStatus', 'KEYWORD');

/** How long it takes at the rate of the last seconds; undefined when nothing moves or nothing is left. */
export function secondsLeft({
  total,
  succeeded,
  failed,
  itemsPerSecond,
}: Pick<BatchTally, 'total' | 'succeeded' | 'failed' | 'itemsPerSecond'>): number | undefined {
  const left = total - succeeded - failed;
  return left > 0 && itemsPerSecond ? Math.ceil(left / itemsPerSecond) : undefined;
}
