import { TemporalFailure } from '@temporalio/common';
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { rejectionFailure } from '../../failures/rejections.js';
import type { BatchInput, BatchView } from '../../schemas/batch.js';
import { closeBatch, openBatch } from './activities.js';
import { registerHandlers, registerShardHandlers } from './handlers.js';
import { finalStatusOf, isSuperseded } from './progress.js';
import { pollProgress } from './progress-polls.js';
import { isShardInput, type ShardInput } from './shard-input.js';
import { Shard } from './shard.js';
import { BatchState } from './state.js';

/**
 * Processes all items of a batch that have not succeeded yet. Processes them in chunks and starts as many levels of
 * children as needed. The items and their results stay in the store.
 *
 * Completes with the counts, even when items failed. A native cancellation ends the run as Cancelled after all chunks
 * have ended; finished items are not reverted. Invalid input fails with `InvalidInput`, an unknown batch with
 * `BatchNotFound`, a batch whose items were deleted after their retention with `BatchItemsDeleted`, and a run that a
 * later run has replaced with `Superseded`.
 */
export async function batch(input: BatchInput): Promise<BatchView> {
  const state = new BatchState();
  registerHandlers(state);

  // Not cancellable: once opened, the store has the batch as running until `conclude` records how the attempt ended.
  const shard = state.open(await CancellationScope.nonCancellable(() => openBatch(input, state.run)));
  const cancellation = await processChunks(state, shard);
  await CancellationScope.nonCancellable(() => conclude(state, cancellation));
  if (cancellation) throw cancellation;
  if (isSuperseded(state.view, state.ownAttempt)) {
    throw rejectionFailure('Superseded', 'a later run has replaced this run of the batch');
  }
  return state.view;
}

/**
 * Processes a part of a batch as a child workflow. The store contains the results. If a shard fails or is terminated,
 * its parent counts the unfinished items as failed.
 */
export async function batchShard(input: ShardInput): Promise<void> {
  if (!isShardInput(input)) {
    throw rejectionFailure('InvalidInput', 'invalid shard input: only a batch may start this workflow');
  }
  const shard = new Shard(input);
  registerShardHandlers(shard);
  await shard.run();
}

/**
 * Processes all chunks and polls the progress at the same time.
 *
 * @returns the cancellation that ended the work, or undefined.
 */
async function processChunks(state: BatchState, shard: Shard): Promise<TemporalFailure | undefined> {
  const polling = new CancellationScope();
  const polled = polling.run(() => pollProgress(state)).catch(throwUnlessCancellation);
  let cancellation: TemporalFailure | undefined;
  try {
    await shard.run();
  } catch (error) {
    cancellation = throwUnlessCancellation(error);
  }
  polling.cancel();
  await polled;
  return cancellation;
}

/** Counts the final progress of the batch and records the outcome. */
async function conclude(state: BatchState, cancellation: TemporalFailure | undefined): Promise<void> {
  state.setProgress(await closeBatch(state.progressReport(cancellation ? 'cancelled' : 'completed')));
  state.close(cancellation ? 'cancelled' : finalStatusOf(state.view));
}

function throwUnlessCancellation(error: unknown): TemporalFailure {
  if (error instanceof TemporalFailure && isCancellation(error)) return error;
  throw error;
}
