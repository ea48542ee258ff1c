import { randomUUID } from 'node:crypto';
import {
  WorkflowExecutionAlreadyStartedError,
  type Client,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import { TypedSearchAttributes, type SignalDefinition } from '@temporalio/common';
import {
  batchStatus,
  isOpenBatch,
  type BatchResource,
  type BatchStatus,
  type BatchSummary,
  type BatchProgress,
} from '../../schemas/batch.js';
import type { Store } from '../../store/index.js';
import type { BatchRecord } from '../../store/batches/progress.js';
import type { NewBatch, StagedItem } from '../../store/batches/staging.js';
import type * as workflows from '../../workflows/index.js';
import {
  batchStatusAttribute,
  batchWorkflowId,
  BATCH_TASK_QUEUE,
  pauseSignal,
  resumeSignal,
  estimateSecondsLeft,
} from '../../workflows/batch/contract.js';
import { findUnrecordedCloses, type UnrecordedClose } from '../executions/closed-executions.js';
import { httpProblem, notFound } from '../problems/http-problem.js';
import {
  describeWorkflow,
  isNotFound,
  SERVER_DEADLINE_MS,
  signalOnce,
  withDeadline,
} from '../executions/worker-calls.js';
import type { Execution, Page, PageRequest } from '../executions/listing.js';
import { pendingActivity, workflowField } from '../executions/pending-activities.js';

export interface BatchDependencies {
  client: Client;
  store: Store;
  /** Counts of a running batch, at most about five seconds old. */
  cachedProgress: (batchId: string) => Promise<BatchProgress | undefined>;
}

/**
 * Stores the items and starts the batch. The batch id is the idempotency key: the same content gives the same batch.
 * This also holds when the first upload was stored but its batch could not be started.
 *
 * @throws 409 when the id belongs to another content. Also throws the errors of `pages`, and then nothing is stored.
 */
export async function createBatch(
  dependencies: BatchDependencies,
  batch: NewBatch,
  pages: AsyncIterable<StagedItem[]>,
): Promise<{ total: number; status: BatchStatus }> {
  const { client, store } = dependencies;
  const { batchId } = batch;
  const staged = await store.stageBatch(batch, pages);
  if (staged.status === 'taken') {
    throw httpProblem('batch-id-taken', `batch ${batchId} exists with another content`, { batchId });
  }
  const { total } = staged;
  const known = staged.status === 'existing' ? await getBatch(dependencies, batchId) : undefined;
  // If `round` is 0, no run has opened the batch, so no item was processed, whatever the state of older runs with this
  // id.
  if (known && (known.attempt > 0 || known.status === 'running')) return { total, status: known.status };
  await startAttempt(client, batchId, `${batch.operation}: ${total} items`);
  await store.recordBatchStarted(batchId);
  return { total, status: 'running' };
}

/** Returns a batch with its progress. No worker is needed. @throws 404. */
export async function getBatch(
  { client, store, cachedProgress }: BatchDependencies,
  batchId: string,
): Promise<BatchResource> {
  // Read the status before the counts: the counts of a batch that has ended are then final.
  const description = await describeWorkflow(client, batchWorkflowId(batchId));
  const isRunning = description?.status.name === 'RUNNING';
  const tally = await (isRunning ? cachedProgress(batchId) : store.countBatchProgress(batchId));
  if (!tally) throw batchNotFound(batchId);
  return toResource(batchId, tally, description);
}

/** Checks that the batch exists, in the store only. @throws 404. */
export async function assertBatchExists({ store }: Pick<BatchDependencies, 'store'>, batchId: string): Promise<void> {
  if (!(await store.hasBatch(batchId))) throw batchNotFound(batchId);
}

/** Lists a page of batches from the store, newest upload first. */
export async function listBatches(
  { client, store }: Pick<BatchDependencies, 'client' | 'store'>,
  { status }: { status?: BatchStatus | undefined },
  { limit, position }: PageRequest,
): Promise<Page<BatchSummary>> {
  // A batch whose workflow was terminated is still open in the store.
  const isEnd = status === 'failed' || status === 'cancelled';
  const statuses = isEnd ? ([status, ...OPEN_STATUSES] as const) : status && [status];
  const before = position && Number(Buffer.from(position).toString());
  const rows = await store.listBatches({ statuses }, { before, limit });
  const open = rows.filter((row) => OPEN_STATUSES.some((status) => status === row.status));
  const ends = await findUnrecordedCloses(
    client,
    open.map(({ batchId, startedAt, uploadedAt }) => ({
      workflowId: batchWorkflowId(batchId),
      since: startedAt ?? uploadedAt,
    })),
  );
  const items = rows
    .map((row) => summaryOf(row, open.includes(row) ? ends.get(batchWorkflowId(row.batchId)) : undefined))
    .filter((item) => status === undefined || item.status === status);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return { items, ...(last && { nextPosition: Buffer.from(String(last.number)) }) };
}

const OPEN_STATUSES = ['running', 'paused'] as const;

/** Pauses a batch: no further chunk starts until it is resumed. @throws 404, 409 when the batch has ended. */
export async function pauseBatch(
  dependencies: BatchDependencies,
  batchId: string,
  operationId?: string,
): Promise<BatchResource> {
  return await sendBatchSignal(dependencies, batchId, pauseSignal, operationId);
}

/** Resumes a batch. Without a worker, it continues once one is available. @throws 404, 409 when the batch has ended. */
export async function resumeBatch(
  dependencies: BatchDependencies,
  batchId: string,
  operationId?: string,
): Promise<BatchResource> {
  return await sendBatchSignal(dependencies, batchId, resumeSignal, operationId);
}

/** Cancels a batch. Items that were processed stay processed. @throws 404, 409 when the batch has ended otherwise. */
export async function cancelBatch(dependencies: BatchDependencies, batchId: string): Promise<BatchResource> {
  const batch = await getBatch(dependencies, batchId);
  if (batch.status === 'cancelled') return batch;
  if (!isRunningOrPaused(batch.status)) throw notOpenProblem(batch);
  const { client } = dependencies;
  try {
    await withDeadline(client, SERVER_DEADLINE_MS, () => client.workflow.getHandle(batchWorkflowId(batchId)).cancel());
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw notOpenProblem(await getBatch(dependencies, batchId));
  }
  return await getBatch(dependencies, batchId);
}

/**
 * Starts another run for all items that have not succeeded: items that failed, and items that never ran because the
 * batch was cancelled or terminated. Items that succeeded are not processed again.
 *
 * @throws 404, 409 while the batch is running or when every item succeeded.
 */
export async function retryBatch(
  dependencies: BatchDependencies,
  batchId: string,
  operationId?: string,
): Promise<BatchResource> {
  const { client } = dependencies;
  // If the process died before it responded, the run already exists.
  const latest = operationId && (await describeWorkflow(client, batchWorkflowId(batchId)));
  if (latest && latest.memo?.operationId === operationId) return await getBatch(dependencies, batchId);
  const { status, succeeded, total, operation } = await getBatch(dependencies, batchId);
  if (isRunningOrPaused(status)) {
    throw httpProblem('batch-running', `batch ${batchId} is ${status}`, { batchId });
  }
  if (succeeded === total)
    throw httpProblem('nothing-to-retry', `every item of batch ${batchId} succeeded`, { batchId });
  await startAttempt(client, batchId, `${operation}: ${total - succeeded} items once more`, operationId);
  return await getBatch(dependencies, batchId);
}

async function startAttempt(
  client: Client,
  batchId: string,
  staticSummary: string,
  operationId?: string,
): Promise<void> {
  try {
    await withDeadline(client, SERVER_DEADLINE_MS, () =>
      client.workflow.start<typeof workflows.batch>('batch' satisfies keyof typeof workflows, {
        args: [{ batchId }],
        workflowId: batchWorkflowId(batchId),
        taskQueue: BATCH_TASK_QUEUE,
        typedSearchAttributes: new TypedSearchAttributes([{ key: batchStatusAttribute, value: 'running' }]),
        staticSummary,
        ...(operationId !== undefined && { memo: { operationId } }),
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
      }),
    );
  } catch (error) {
    // A concurrent request has already started this run.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** Signals an open batch once. Sends no signal to a batch that is already in the requested state. @throws 404, 409. */
async function sendBatchSignal(
  dependencies: BatchDependencies,
  batchId: string,
  definition: SignalDefinition,
  operationId: string = randomUUID(),
): Promise<BatchResource> {
  const { client } = dependencies;
  const workflowId = batchWorkflowId(batchId);
  if (await isAlreadyApplied(client, workflowId, definition)) return await getBatch(dependencies, batchId);
  const isOpen = await signalOnce(client, workflowId, definition, [], operationId);
  const batch = await getBatch(dependencies, batchId);
  if (!isOpen) throw notOpenProblem(batch);
  return batch;
}

/**
 * Whether the last command that an open batch received is this one. A run accepts 10,000 signals, and a client that
 * repeats a pause while no worker is available must not use them up.
 */
async function isAlreadyApplied(client: Client, workflowId: string, { name }: SignalDefinition): Promise<boolean> {
  const description = await describeWorkflow(client, workflowId);
  if (description?.status.name !== 'RUNNING') return false;
  if (description.raw.pendingWorkflowTask) return (await lastUnprocessedCommand(client, description)) === name;
  return statusOf(description) === (name === pauseSignal.name ? 'paused' : 'running');
}

/** The newest pause or resume signal that no worker has processed yet, if it is among the last events. */
async function lastUnprocessedCommand(
  client: Client,
  { workflowId, runId }: WorkflowExecutionDescription,
): Promise<string | undefined> {
  const { history } = await withDeadline(client, SERVER_DEADLINE_MS, () =>
    client.workflowService.getWorkflowExecutionHistoryReverse({
      namespace: client.options.namespace,
      execution: { workflowId, runId },
      maximumPageSize: 10,
    }),
  );
  for (const event of history?.events ?? []) {
    if (event.workflowTaskCompletedEventAttributes) return undefined;
    const signal = event.workflowExecutionSignaledEventAttributes?.signalName;
    if (signal === pauseSignal.name || signal === resumeSignal.name) return signal;
  }
  return undefined;
}

const isRunningOrPaused = (status: BatchStatus) => isOpenBatch(status) && status !== 'staged';

const notOpenProblem = ({ batchId, status }: BatchResource) =>
  status === 'staged'
    ? httpProblem('batch-not-started', `batch ${batchId} is stored and was not started; retry starts it`, { batchId })
    : httpProblem('batch-closed', `batch ${batchId} is ${status}`, { batchId });

const batchNotFound = (batchId: string) => notFound(`there is no batch ${batchId}`);

function toResource(
  batchId: string,
  tally: BatchProgress,
  description: WorkflowExecutionDescription | undefined,
): BatchResource {
  const { itemsPerSecond, ...counts } = tally;
  if (!description) return { batchId, ...counts, status: statusFromCounts(tally) };
  const status = statusOf(description);
  const left = estimateSecondsLeft(tally);
  return {
    batchId,
    ...counts,
    status,
    ...(status === 'running' && itemsPerSecond && { itemsPerSecond, ...(left && { secondsLeft: left }) }),
    startedAt: description.startTime.toISOString(),
    ...(description.closeTime && { closedAt: description.closeTime.toISOString() }),
    ...pendingActivity(description),
    ...workflowField(description),
  };
}

/** The status according to the counts, for a batch without an execution or whose execution Temporal no longer keeps. */
function statusFromCounts({ attempt, total, succeeded, failed }: BatchProgress): BatchStatus {
  if (attempt === 0) return 'staged';
  if (succeeded + failed < total) return 'cancelled';
  return failed > 0 ? 'completed_with_failures' : 'completed';
}

function summaryOf(row: BatchRecord, end: UnrecordedClose | undefined): BatchSummary {
  const { batchId, operation, total, succeeded, failed, itemsPerSecond, uploadedAt, startedAt, closedAt } = row;
  const status = end ?? row.status;
  return {
    batchId,
    status,
    operation,
    total,
    succeeded,
    failed,
    ...(status === 'running' && itemsPerSecond !== undefined && { itemsPerSecond }),
    ...(row.progressAt && { asOf: row.progressAt.toISOString() }),
    uploadedAt: uploadedAt.toISOString(),
    ...(startedAt && { startedAt: startedAt.toISOString() }),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}

function statusOf({ status, typedSearchAttributes }: Execution): BatchStatus {
  if (status.name === 'CANCELLED') return 'cancelled';
  if (['FAILED', 'TERMINATED', 'TIMED_OUT'].includes(status.name)) return 'failed';
  return batchStatus.catch('running').parse(typedSearchAttributes.get(batchStatusAttribute));
}
