import { TemporalFailure } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  isCancellation,
  log,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import type { BatchInput, BatchStatus, BatchView } from '../../schemas/batch.js';
import { NON_RETRYABLE_ERROR_TYPES, rejectionFailure } from '../shared/failures.js';
import {
  batchIdOf,
  batchQuery,
  batchStatusAttribute,
  pauseStateSignal,
  pauseSignal,
  resumeSignal,
  estimateSecondsLeft,
  type PauseState,
} from './contract.js';
import { pollDelayMs } from './plan.js';
import { finalStatusOf, isSuperseded, describeBatch } from './details.js';
import { Shard } from './shard.js';
import { isPauseState, isShardInput, type ShardInput } from './shard-input.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE_ERROR_TYPES];

/** Enough time to count a batch of any size or to divide it into chunks again. */
const countingOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', nonRetryableErrorTypes },
} as const;
const { openBatch } = proxyActivities<Activities>({ ...countingOptions, summary: 'Find what has to be done' });
const { closeBatch } = proxyActivities<Activities>({ ...countingOptions, summary: 'Count and record the end' });

/**
 * Progress for the Web UI and the query. A failed poll is ignored; the next poll catches up. The priority puts polls
 * ahead of the chunks that wait in the same task queue.
 */
const { countProgress } = proxyActivities<Activities>({
  summary: 'Count the progress',
  startToCloseTimeout: '5 seconds',
  retry: { maximumAttempts: 1 },
  priority: { priorityKey: 1 },
});

/**
 * Processes all items of a batch that have not succeeded yet, in chunks, with as many levels of children as needed. The
 * items and their results stay in the store.
 *
 * Completes with the counts, also when items failed. A native cancellation ends the run as Cancelled once all chunks
 * have ended; finished items stay applied. Invalid input fails with `InvalidInput`, an unknown batch with
 * `BatchNotFound`.
 */
export async function batch(input: BatchInput): Promise<BatchView> {
  const { workflowId, firstExecutionRunId: firstRunId, startTime, typedSearchAttributes } = workflowInfo();
  const batchId = batchIdOf(workflowId);

  let pace: PauseState = { sequence: 0, paused: false };
  const work: { shard?: Shard } = {};
  let isClosed = false;
  let told = typedSearchAttributes.get(batchStatusAttribute);
  const view: BatchView = {
    batchId,
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

  setHandler(batchQuery, () => view);
  setHandler(pauseSignal, () => setPace(true));
  setHandler(resumeSignal, () => setPace(false));

  const { progress, chunks, ...attempt } = await openBatch(input, {
    workflowId,
    firstRunId,
    startedAt: startTime.toISOString(),
  });
  update(progress);
  work.shard = new Shard({ batchId, ...attempt, range: { first: 0, count: chunks }, pauseState: pace });
  publish();

  const watching = new CancellationScope();
  const watched = watching.run(watch).catch((error: unknown) => {
    if (!(error instanceof TemporalFailure && isCancellation(error))) throw error;
  });
  let cancelled: TemporalFailure | undefined;
  try {
    await work.shard.run();
  } catch (error) {
    if (!(error instanceof TemporalFailure && isCancellation(error))) throw error;
    cancelled = error;
  }
  watching.cancel();
  await watched;
  await CancellationScope.nonCancellable(async () => {
    const status = cancelled ? 'cancelled' : 'completed';
    update(await closeBatch(report(status)));
    close(cancelled ? 'cancelled' : finalStatusOf(view));
  });
  if (cancelled) throw cancelled;
  if (isSuperseded(view, attempt.attempt)) {
    throw rejectionFailure({ type: 'Superseded', message: 'another run works on this batch' });
  }
  return view;

  function setPace(paused: boolean): void {
    if (isClosed || pace.paused === paused) return;
    pace = { sequence: pace.sequence + 1, paused };
    view.status = paused ? 'paused' : 'running';
    forgetRate();
    work.shard?.applyPauseState(pace);
    publish();
  }

  /** Polls the progress while the batch runs, and immediately after a pause or resume, so that lists are up to date. */
  async function watch(): Promise<void> {
    const begun = Date.now();
    let wasPaused = false;
    for (;;) {
      const hasChanged = () => pace.paused !== wasPaused;
      const wait = pollDelayMs(Date.now() - begun);
      const isNews = await condition(hasChanged, wait, { summary: 'Next count of the progress' });
      wasPaused = pace.paused;
      try {
        update(await countProgress(report(wasPaused ? 'paused' : 'running')));
      } catch (error) {
        if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
      }
      describe();
      // At the second poll after a pause, all running chunks have ended. Nothing changes until the batch is resumed.
      if (wasPaused && !isNews) await condition(() => !pace.paused);
    }
  }

  function report(status: BatchStatus) {
    return { batchId, attemptId: attempt.attemptId, status, at: new Date().toISOString() };
  }

  function update(tally: Awaited<ReturnType<typeof countProgress>>): void {
    forgetRate();
    const { itemsPerSecond, ...counts } = tally;
    Object.assign(view, counts, { asOf: new Date().toISOString() });
    if (view.status !== 'running' || itemsPerSecond === undefined) return;
    const left = estimateSecondsLeft(tally);
    Object.assign(view, { itemsPerSecond, ...(left !== undefined && { secondsLeft: left }) });
  }

  function forgetRate(): void {
    delete view.itemsPerSecond;
    delete view.secondsLeft;
  }

  function close(status: BatchStatus): void {
    isClosed = true;
    view.status = status;
    forgetRate();
    publish();
  }

  /** Updates the Web UI and the search attribute. Skips an unchanged attribute, which the API sets at the start. */
  function publish(): void {
    describe();
    if (told === view.status) return;
    told = view.status;
    upsertSearchAttributes([{ key: batchStatusAttribute, value: view.status }]);
  }

  function describe(): void {
    setCurrentDetails(describeBatch(view));
  }
}

/**
 * A part of a batch, started by its parent. The store has its results; its parent counts its failure or termination.
 */
export async function batchShard(input: ShardInput): Promise<void> {
  if (!isShardInput(input))
    throw rejectionFailure({ type: 'InvalidInput', message: 'a shard is started by its batch' });
  const shard = new Shard(input);
  setHandler(pauseStateSignal, (pace) => {
    if (isPauseState(pace)) shard.applyPauseState(pace);
    else log.warn('ignored a malformed pace');
  });
  await shard.run();
}
