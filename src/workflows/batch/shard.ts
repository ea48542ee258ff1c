import { TemporalFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  condition,
  isCancellation,
  sleep,
  startChild,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import { runConcurrently } from '../../async/concurrency.js';
import { reasonOf } from '../shared/failures.js';
import { chunkActivities, giveUpBatchChunks } from './activities.js';
import { pauseStateSignal, type PauseState } from './contract.js';
import type { ShardInput, ShardWorkflow } from './shard-input.js';
import {
  childStartDelayMs,
  childWorkflowId,
  CONCURRENT_CHILDREN,
  CONCURRENT_CHUNKS,
  divideAmongChildren,
  MAX_CHILD_STARTS,
  type ChunkRange,
} from './shard-tree.js';

/**
 * A pause cancels running chunks, so that the pause takes effect within seconds. After this many pauses, running chunks
 * finish instead, because each cancelled chunk adds events to the history.
 */
const MAX_INTERRUPTING_PAUSES = 100;

/**
 * Processes a range of chunks. If the range is too large for one workflow, starts children of the same workflow type.
 * Limits the number of open chunks and children. The items of a failed chunk or child count as failed, and the other
 * chunks continue.
 */
export class Shard {
  private readonly input: Omit<ShardInput, 'pauseState'>;
  private pauseState: PauseState;
  private pauses = 0;
  /** The scope of the running chunks, which a pause cancels. */
  private chunkScope: CancellationScope | undefined;
  private readonly children = new Set<ChildWorkflowHandle<ShardWorkflow>>();

  constructor({ pauseState, ...input }: ShardInput) {
    this.input = input;
    this.pauseState = pauseState;
  }

  /** Applies a newer pause state and sends it to the children. Ignores an older state. */
  applyPauseState(pauseState: PauseState): void {
    if (pauseState.sequence <= this.pauseState.sequence) return;
    const isPauseStart = pauseState.paused && !this.pauseState.paused;
    this.pauseState = pauseState;
    for (const child of this.children) signalPauseState(child, pauseState);
    if (!isPauseStart || (this.pauses += 1) > MAX_INTERRUPTING_PAUSES) return;
    this.chunkScope?.cancel();
    this.chunkScope = undefined;
  }

  /** Processes the range of chunks. @throws the cancellation, after all chunks and children have ended. */
  async run(): Promise<void> {
    const { range } = this.input;
    const childRanges = divideAmongChildren(range);
    if (childRanges.length > 0) {
      await runConcurrently(childRanges.length, CONCURRENT_CHILDREN, (n) => this.runChild(n, childRanges[n]!));
    } else {
      await runConcurrently(range.count, CONCURRENT_CHUNKS, (n) => this.runChunk(range.first + n));
    }
  }

  private async runChunk(chunkIndex: number): Promise<void> {
    const { batchId, batchNumber, operation, attemptId } = this.input;
    const { processBatchChunk } = chunkActivities(chunkIndex);
    for (;;) {
      await this.waitWhilePaused();
      const scope = (this.chunkScope ??= new CancellationScope());
      try {
        await scope.run(() => processBatchChunk({ batchId, batchNumber, operation, attemptId, chunkIndex }));
        return;
      } catch (error) {
        if (!(error instanceof TemporalFailure)) throw error;
        // A cancelled activity is not retried, so the cancellation may be the cause of any failure.
        if (isCancellation(error) || scope.consideredCancelled) this.rethrowIfCancelled(error);
        else return await this.giveUp({ first: chunkIndex, count: 1 }, error);
      }
    }
  }

  private async runChild(n: number, range: ChunkRange): Promise<void> {
    await this.waitWhilePaused();
    try {
      const child = await this.startChild(n, range);
      await child.result().finally(() => this.children.delete(child));
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      if (isCancellation(error)) this.rethrowIfCancelled(error);
      await this.giveUp(range, error);
    }
  }

  /**
   * Starts a child. Retries while the id of the child is in use, because after a reset the children of the earlier run
   * keep their ids until they close.
   */
  private async startChild(n: number, range: ChunkRange): Promise<ChildWorkflowHandle<ShardWorkflow>> {
    for (let starts = 1; ; starts += 1) {
      const { pauseState } = this;
      try {
        const child = await startChild<ShardWorkflow>('batchShard', {
          workflowId: childWorkflowId(workflowInfo().workflowId, n, this.input.attempt),
          args: [{ ...this.input, range, pauseState }],
          staticSummary: `Chunks ${range.first + 1} to ${range.first + range.count}`,
          cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        });
        this.children.add(child);
        if (this.pauseState.sequence > pauseState.sequence) signalPauseState(child, this.pauseState);
        return child;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError) || starts === MAX_CHILD_STARTS) throw error;
      }
      await sleep(childStartDelayMs(starts), { summary: 'Wait until the id of the child is free' });
    }
  }

  private async waitWhilePaused(): Promise<void> {
    await condition(() => !this.pauseState.paused);
  }

  /**
   * Rethrows only a cancellation of this workflow. A pause also cancels chunks, and an operator may cancel a child, but
   * neither ends this workflow.
   */
  private rethrowIfCancelled(error: TemporalFailure): void {
    if (CancellationScope.current().consideredCancelled) throw error;
  }

  /** Gives up a range of chunks: their unfinished items count as failed. */
  private async giveUp(range: ChunkRange, failure: TemporalFailure): Promise<void> {
    await giveUpBatchChunks({ attemptId: this.input.attemptId, ...range, reason: reasonOf(failure) });
  }
}

/** Signals a child. Ignores the failure if the child has closed in the meantime. */
function signalPauseState(child: ChildWorkflowHandle<ShardWorkflow>, pauseState: PauseState): void {
  child.signal(pauseStateSignal, pauseState).catch((error: unknown) => {
    if (!(error instanceof TemporalFailure)) throw error;
  });
}
