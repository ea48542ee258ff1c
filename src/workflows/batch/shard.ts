import { TemporalFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  condition,
  isCancellation,
  proxyActivities,
  sleep,
  startChild,
  workflowInfo,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES, reasonOf } from '../shared/failures.js';
import { CONCURRENT_CHILDREN, CONCURRENT_CHUNKS, pauseStateSignal, type PauseState } from './contract.js';
import {
  childWorkflowId,
  divideAmongChildren,
  MAX_CHILD_START_ATTEMPTS,
  childStartDelayMs,
  type ChunkRange,
} from './plan.js';
import type { ShardInput } from './shard-input.js';
import { runConcurrently } from './concurrency.js';
import type { batchShard } from './workflow.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE_ERROR_TYPES];

/**
 * After 15 attempts, with about ten minutes of backoff in total, the unfinished items of a chunk count as failed. They
 * can be retried later.
 */
const chunkOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    maximumAttempts: 15,
    nonRetryableErrorTypes,
  },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
} as const;

/** The activity of one chunk. The Web UI shows its 1-based number. */
const chunkActivity = (task: number) =>
  proxyActivities<Activities>({ ...chunkOptions, summary: `Chunk ${task + 1}` }).processBatchChunk;

/** Retries forever, because without these counts the outcome of the batch is unknown. */
const { giveUpBatchChunks } = proxyActivities<Activities>({
  summary: 'Count as failed',
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});

/**
 * A pause cancels running chunks, so that it takes effect within seconds. After this many pauses, running chunks finish
 * instead, because each cancelled chunk writes events.
 */
const MAX_INTERRUPTING_PAUSES = 100;

/**
 * Processes a range of chunks, or starts children of the same type if there are too many for one workflow. Limits the
 * number of open chunks and children. A failed chunk or child is counted and does not block the others.
 */
export class Shard {
  private readonly input: Omit<ShardInput, 'pauseState'>;
  private pauseState: PauseState;
  private pauses = 0;
  /** The scope of the running chunks, which a pause cancels. */
  private chunkScope: CancellationScope | undefined;
  private readonly children = new Set<ChildWorkflowHandle<typeof batchShard>>();

  constructor({ pauseState, ...input }: ShardInput) {
    this.input = input;
    this.pauseState = pauseState;
  }

  /** Applies a newer pace and sends it to the children. */
  applyPauseState(pace: PauseState): void {
    if (pace.sequence <= this.pauseState.sequence) return;
    const isNews = pace.paused !== this.pauseState.paused;
    this.pauseState = pace;
    for (const child of this.children) signalPauseState(child, pace);
    if (!isNews || !pace.paused || (this.pauses += 1) > MAX_INTERRUPTING_PAUSES) return;
    this.chunkScope?.cancel();
    this.chunkScope = undefined;
  }

  /** @throws the cancellation, after all work in it has ended. */
  async run(): Promise<void> {
    const { range } = this.input;
    const ranges = divideAmongChildren(range);
    if (ranges.length > 0)
      await runConcurrently(ranges.length, CONCURRENT_CHILDREN, (n) => this.runChild(n, ranges[n]!));
    else await runConcurrently(range.count, CONCURRENT_CHUNKS, (n) => this.runChunk(range.first + n));
  }

  private async runChunk(task: number): Promise<void> {
    const { batchId, batchNumber, operation, attemptId } = this.input;
    for (;;) {
      await this.waitWhilePaused();
      const scope = (this.chunkScope ??= new CancellationScope());
      try {
        await scope.run(() => chunkActivity(task)({ batchId, batchNumber, operation, attemptId, chunkIndex: task }));
        return;
      } catch (error) {
        if (!(error instanceof TemporalFailure)) throw error;
        // A cancelled activity is not retried, so any failure of it may stem from the cancellation.
        if (isCancellation(error) || scope.consideredCancelled) this.rethrowIfCancelled(error);
        else return await this.giveUp({ first: task, count: 1 }, error);
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

  /** After a reset, children of the earlier run keep these ids until they are closed. */
  private async startChild(n: number, range: ChunkRange): Promise<ChildWorkflowHandle<typeof batchShard>> {
    for (let tries = 1; ; tries += 1) {
      const { pauseState } = this;
      try {
        const child = await startChild<typeof batchShard>('batchShard', {
          workflowId: childWorkflowId(workflowInfo().workflowId, n, this.input.attempt),
          args: [{ ...this.input, range, pauseState }],
          staticSummary: `Chunks ${range.first + 1} to ${range.first + range.count}`,
          cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        });
        this.children.add(child);
        if (this.pauseState.sequence > pauseState.sequence) signalPauseState(child, this.pauseState);
        return child;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError) || tries === MAX_CHILD_START_ATTEMPTS) throw error;
      }
      await sleep(childStartDelayMs(tries), { summary: 'Wait until the id of the child is free' });
    }
  }

  private async waitWhilePaused(): Promise<void> {
    await condition(() => !this.pauseState.paused);
  }

  /** A pause cancels chunks and an operator may cancel a child, but only a cancellation of this workflow ends it. */
  private rethrowIfCancelled(error: TemporalFailure): void {
    if (CancellationScope.current().consideredCancelled) throw error;
  }

  private async giveUp(range: ChunkRange, failure: TemporalFailure): Promise<void> {
    await giveUpBatchChunks({ attemptId: this.input.attemptId, ...range, reason: reasonOf(failure) });
  }
}

/** Ignores the failure when the child has closed meanwhile. */
function signalPauseState(child: ChildWorkflowHandle<typeof batchShard>, pace: PauseState): void {
  child.signal(pauseStateSignal, pace).catch((error: unknown) => {
    if (!(error instanceof TemporalFailure)) throw error;
  });
}
