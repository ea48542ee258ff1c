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

/** After 15 tries, ten minutes of waiting between them, what is not done of a task counts as failed, and can be retried. */
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

/** The activity of one chunk, which the Web UI shows by its number, counted from one. */
const chunkActivity = (task: number) =>
  proxyActivities<Activities>({ ...chunkOptions, summary: `Chunk ${task + 1}` }).runBatchTask;

/** Without this the batch would not know how it ended, so it is tried until it works. */
const { giveUpBatchTasks } = proxyActivities<Activities>({
  summary: 'Count as failed',
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});

/**
 * A pause puts back what is under way, so that it holds within seconds. This often; after that it lets it finish, because
 * each task that is put back writes events.
 */
const MAX_PUT_BACK = 100;

/**
 * Works through a range of tasks: by itself, or, if there are too many for one workflow, by children of the same shape.
 * How many are open at any time is bounded. A task or child that fails is counted and holds up nothing.
 */
export class Shard {
  private readonly input: Omit<ShardInput, 'pace'>;
  private pace: Pace;
  private pauses = 0;
  /** What a pause puts back. */
  private underWay: CancellationScope | undefined;
  private readonly children = new Set<ChildWorkflowHandle<typeof batchShard>>();

  constructor({ pace, ...input }: ShardInput) {
    this.input = input;
    this.pace = pace;
  }

  /** Takes the newest word on whether to work, and passes it on. */
  follow(pace: Pace): void {
    if (pace.sequence <= this.pace.sequence) return;
    const isNews = pace.paused !== this.pace.paused;
    this.pace = pace;
    for (const child of this.children) tell(child, pace);
    if (!isNews || !pace.paused || (this.pauses += 1) > MAX_PUT_BACK) return;
    this.underWay?.cancel();
    this.underWay = undefined;
  }

  /** @throws the cancellation, when nothing of it works any more. */
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
        // Once it is cancelled an activity is not tried again, so any failure of it may be the last one.
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

  /** When this workflow was reset, the children of the run before it have these ids until they are done or ended. */
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

  /** A pause cancels tasks, and an operator may cancel a child: only a cancellation of this workflow ends it. */
  private rethrowIfCancelled(error: TemporalFailure): void {
    if (CancellationScope.current().consideredCancelled) throw error;
  }

  private async giveUp(range: Range, failure: TemporalFailure): Promise<void> {
    await giveUpBatchTasks({ roundId: this.input.roundId, ...range, reason: reasonOf(failure) });
  }
}

/** A child that is closed meanwhile has no need of it. */
function tell(child: ChildWorkflowHandle<typeof batchShard>, pace: Pace): void {
  child.signal(paceSignal, pace).catch((error: unknown) => {
    if (!(error instanceof TemporalFailure)) throw error;
  });
}
