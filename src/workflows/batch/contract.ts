import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { BatchView } from '../../schemas/batch.js';

export const BATCH_TASK_QUEUE = 'batches';

/** Returns the workflow id of a batch. Each retry of the batch is a new execution with the same id. */
export const batchWorkflowId = (batchId: string): string => `batch:${batchId}`;

/** Returns the batch id that a workflow id contains. */
export const batchIdOf = (workflowId: string): string => workflowId.replace(/^batch:/, '');

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
