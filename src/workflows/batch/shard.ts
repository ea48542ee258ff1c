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
import { NON_RETRYABLE, reasonOf } from '../shared/failures.js';
import { OPEN_CHILDREN, OPEN_TASKS, paceSignal, type Pace } from './contract.js';
import { childId, childrenOf, MAX_CHILD_STARTS, untilNextStart, type Range } from './plan.js';
import type { ShardInput } from './told.js';
import { inWindow } from './window.js';
import type { batchShard } from './workflow.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE];

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
  proxyActivities<Activities>({ ...chunkOptions, summary: `Chunk ${task + 1}` }).runBatchTask;

/** Retries forever, because without these counts the outcome of the batch is unknown. */
const { giveUpBatchTasks } = proxyActivities<Activities>({
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
const MAX_PUT_BACK = 100;

/**
 * Processes a range of chunks, or starts children of the same type if there are too many for one workflow. Limits the
 * number of open chunks and children. A failed chunk or child is counted and does not block the others.
 */
export class Shard {
  private readonly input: Omit<ShardInput, 'pace'>;
  private pace: Pace;
  private pauses = 0;
  /** The scope of the running chunks, which a pause cancels. */
  private underWay: CancellationScope | undefined;
  private readonly children = new Set<ChildWorkflowHandle<typeof batchShard>>();

  constructor({ pace, ...input }: ShardInput) {
    this.input = input;
    this.pace = pace;
  }

  /** Applies a newer pace and sends it to the children. */
  follow(pace: Pace): void {
    if (pace.sequence <= this.pace.sequence) return;
    const isNews = pace.paused !== this.pace.paused;
    this.pace = pace;
    for (const child of this.children) tell(child, pace);
    if (!isNews || !pace.paused || (this.pauses += 1) > MAX_PUT_BACK) return;
    this.underWay?.cancel();
    this.underWay = undefined;
  }

  /** @throws the cancellation, after all work in it has ended. */
  async run(): Promise<void> {
    const { range } = this.input;
    const ranges = childrenOf(range);
    if (ranges.length > 0) await inWindow(ranges.length, OPEN_CHILDREN, (n) => this.runChild(n, ranges[n]!));
    else await inWindow(range.count, OPEN_TASKS, (n) => this.runTask(range.first + n));
  }

  private async runTask(task: number): Promise<void> {
    const { batchId, number, operation, roundId } = this.input;
    for (;;) {
      await this.mayWork();
      const scope = (this.underWay ??= new CancellationScope());
      try {
        await scope.run(() => chunkActivity(task)({ batchId, number, operation, roundId, task }));
        return;
      } catch (error) {
        if (!(error instanceof TemporalFailure)) throw error;
        // A cancelled activity is not retried, so any failure of it may stem from the cancellation.
        if (isCancellation(error) || scope.consideredCancelled) this.rethrowIfCancelled(error);
        else return await this.giveUp({ first: task, count: 1 }, error);
      }
    }
  }

  private async runChild(n: number, range: Range): Promise<void> {
    await this.mayWork();
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
  private async startChild(n: number, range: Range): Promise<ChildWorkflowHandle<typeof batchShard>> {
    for (let tries = 1; ; tries += 1) {
      const { pace } = this;
      try {
        const child = await startChild<typeof batchShard>('batchShard', {
          workflowId: childId(workflowInfo().workflowId, n, this.input.round),
          args: [{ ...this.input, range, pace }],
          staticSummary: `Chunks ${range.first + 1} to ${range.first + range.count}`,
          cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
        });
        this.children.add(child);
        if (this.pace.sequence > pace.sequence) tell(child, this.pace);
        return child;
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError) || tries === MAX_CHILD_STARTS) throw error;
      }
      await sleep(untilNextStart(tries), { summary: 'Wait until the id of the child is free' });
    }
  }

  private async mayWork(): Promise<void> {
    await condition(() => !this.pace.paused);
  }

  /** A pause cancels chunks and an operator may cancel a child, but only a cancellation of this workflow ends it. */
  private rethrowIfCancelled(error: TemporalFailure): void {
    if (CancellationScope.current().consideredCancelled) throw error;
  }

  private async giveUp(range: Range, failure: TemporalFailure): Promise<void> {
    await giveUpBatchTasks({ roundId: this.input.roundId, ...range, reason: reasonOf(failure) });
  }
}

/** Ignores the failure when the child has closed meanwhile. */
function tell(child: ChildWorkflowHandle<typeof batchShard>, pace: Pace): void {
  child.signal(paceSignal, pace).catch((error: unknown) => {
    if (!(error instanceof TemporalFailure)) throw error;
  });
}
