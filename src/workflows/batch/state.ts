import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { BatchRun, OpenedBatch, ProgressReport } from '../../activities/batches.js';
import type { BatchProgress, BatchStatus, BatchView } from '../../schemas/batch.js';
import { batchIdOf, batchStatusAttribute, type PauseState } from './contract.js';
import { describeBatch } from './details.js';
import { estimateSecondsLeft } from './progress.js';
import { Shard } from './shard.js';

/**
 * The complete state of one execution of a batch, and its transitions. The query and the workflow result return `view`.
 */
export class BatchState {
  readonly view: BatchView;
  /** Identifies this execution for `openBatch`. */
  readonly run: BatchRun;
  private pauseState: PauseState = { sequence: 0, paused: false };
  /** The attempt of the batch that this execution works on, as `openBatch` returned it. */
  private openedAttempt: Pick<OpenedBatch, 'attemptId' | 'attempt'> | undefined;
  private shard: Shard | undefined;
  private isClosed = false;
  /** The current value of the search attribute. The API sets the attribute at the start. */
  private publishedStatus: string | undefined;

  constructor() {
    const { workflowId, firstExecutionRunId: firstRunId, startTime, typedSearchAttributes } = workflowInfo();
    this.run = { workflowId, firstRunId, startedAt: startTime.toISOString() };
    this.publishedStatus = typedSearchAttributes.get(batchStatusAttribute);
    this.view = {
      batchId: batchIdOf(workflowId),
      status: 'running',
      operation: '',
      itemsPerChunk: 0,
      total: 0,
      succeeded: 0,
      failed: 0,
      attempt: 0,
      chunks: 0,
      asOf: new Date().toISOString(),
    };
  }

  get isPaused(): boolean {
    return this.pauseState.paused;
  }

  /** The attempt number of this execution. `view.attempt` belongs to the latest execution. */
  get ownAttempt(): number | undefined {
    return this.openedAttempt?.attempt;
  }

  /** Opens the batch. @returns the shard for all chunks of the batch. The caller must run the shard. */
  open({ progress, chunks, ...attempt }: OpenedBatch): Shard {
    this.openedAttempt = attempt;
    this.setProgress(progress);
    const range = { first: 0, count: chunks };
    this.shard = new Shard({ batchId: this.view.batchId, ...attempt, range, pauseState: this.pauseState });
    return this.shard;
  }

  /** Pauses or resumes a batch that is not closed. */
  setPaused(paused: boolean): void {
    if (this.isClosed || this.isPaused === paused) return;
    this.pauseState = { sequence: this.pauseState.sequence + 1, paused };
    this.view.status = paused ? 'paused' : 'running';
    this.clearRate();
    this.shard?.applyPauseState(this.pauseState);
    this.publish();
  }

  /** Sets the counts. Also sets the rate while the batch runs. */
  setProgress(progress: BatchProgress): void {
    this.clearRate();
    const { itemsPerSecond, ...counts } = progress;
    Object.assign(this.view, counts, { asOf: new Date().toISOString() });
    if (this.view.status === 'running' && itemsPerSecond !== undefined) {
      const secondsLeft = estimateSecondsLeft(progress);
      Object.assign(this.view, { itemsPerSecond, ...(secondsLeft !== undefined && { secondsLeft }) });
    }
    this.publish();
  }

  /** Sets the final status. Later signals have no effect. */
  close(status: BatchStatus): void {
    this.isClosed = true;
    this.view.status = status;
    this.clearRate();
    this.publish();
  }

  /** The argument of the activities that count the progress. The batch must be open. */
  progressReport(status: BatchStatus): ProgressReport {
    const { attemptId } = this.openedAttempt!;
    return { batchId: this.view.batchId, attemptId, status, at: new Date().toISOString() };
  }

  /** Updates the current details. If the status changed, also updates the search attribute. */
  private publish(): void {
    setCurrentDetails(describeBatch(this.view));
    const { status } = this.view;
    if (this.publishedStatus === status) return;
    this.publishedStatus = status;
    upsertSearchAttributes([{ key: batchStatusAttribute, value: status }]);
  }

  private clearRate(): void {
    delete this.view.itemsPerSecond;
    delete this.view.secondsLeft;
  }
}
