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
  type BatchTally,
} from '../../schemas/batch.js';
import type { Store } from '../../store/index.js';
import type { BatchRecord, NewBatch, StagedItem } from '../../store/batches.js';
import type * as workflows from '../../workflows/index.js';
import {
  batchStatusAttribute,
  batchWorkflowId,
  BATCH_TASK_QUEUE,
  pauseSignal,
  resumeSignal,
  secondsLeft,
} from '../../workflows/batch/contract.js';
import { unrecordedEnds, type UnrecordedEnd } from '../executions/ended.js';
import { httpProblem, notFound } from '../plugins/errors.js';
import { describe, isNotFound, SERVER_DEADLINE_MS, signalOnce, withDeadline } from '../executions/executions.js';
import type { Execution, Page, PageRequest } from '../executions/listing.js';
import { heldUpBy, workflowOf } from '../executions/resources.js';

export interface BatchWorld {
  client: Client;
  store: Store;
  /** Of batches that are running. */
  recentTally: (batchId: string) => Promise<BatchTally | undefined>;
}

/**
 * Stores the items and starts the batch. The batch id is the idempotency key: the same content again is the same batch,
 * also when the first upload was stored and its batch could not be started.
 *
 * @throws 409 when the id belongs to another content; whatever `pages` throws, and then nothing is stored.
 */
export async function createBatch(
  world: BatchWorld,
  batch: NewBatch,
  pages: AsyncIterable<StagedItem[]>,
): Promise<{ total: number; status: BatchStatus }> {
  const { client, store } = world;
  const { batchId } = batch;
  const staged = await store.stageBatch(batch, pages);
  if (staged.status === 'taken') {
    throw httpProblem('batch-id-taken', `batch ${batchId} exists with another content`, { batchId });
  }
  const { total } = staged;
  const known = staged.status === 'existing' ? await getBatch(world, batchId) : undefined;
  // Until a run has opened it, nothing has been done of it, whatever became of runs before the upload.
  if (known && (known.round > 0 || known.status === 'running')) return { total, status: known.status };
  await startRun(client, batchId, `${batch.operation}: ${total} items`);
  await store.recordStarted(batchId);
  return { total, status: 'running' };
}

/** A batch and how far it has come. No worker is needed. @throws 404. */
export async function getBatch({ client, store, recentTally }: BatchWorld, batchId: string): Promise<BatchResource> {
  // In this order: the counts of a batch that has ended are its last ones.
  const description = await describe(client, batchWorkflowId(batchId));
  const isRunning = description?.status.name === 'RUNNING';
  const tally = await (isRunning ? recentTally(batchId) : store.tallyBatch(batchId));
  if (!tally) throw unknown(batchId);
  return toResource(batchId, tally, description);
}

/** Asks only the store. @throws 404. */
export async function expectBatch({ store }: Pick<BatchWorld, 'store'>, batchId: string): Promise<void> {
  if (!(await store.hasBatch(batchId))) throw unknown(batchId);
}

/** A page of batches, the newest upload first, from the store. */
export async function listBatches(
  { client, store }: Pick<BatchWorld, 'client' | 'store'>,
  { status }: { status?: BatchStatus | undefined },
  { limit, place }: PageRequest,
): Promise<Page<BatchSummary>> {
  // A batch whose workflow was terminated is open in the store.
  const isEnd = status === 'failed' || status === 'cancelled';
  const statuses = isEnd ? ([status, ...OPEN] as const) : status && [status];
  const before = place && Number(Buffer.from(place).toString());
  const rows = await store.listBatches({ statuses }, { before, limit });
  const open = rows.filter((row) => OPEN.some((status) => status === row.status));
  const ends = await unrecordedEnds(
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
  return { items, ...(last && { nextPlace: Buffer.from(String(last.number)) }) };
}

const OPEN = ['running', 'paused'] as const;

/** Nothing more is begun until it is resumed. @throws 404, 409 when it has ended. */
export async function pauseBatch(world: BatchWorld, batchId: string, requestId?: string): Promise<BatchResource> {
  return await signal(world, batchId, pauseSignal, requestId);
}

/** Goes on. Also while no worker is there: it is done once one is. @throws 404, 409 when it has ended. */
export async function resumeBatch(world: BatchWorld, batchId: string, requestId?: string): Promise<BatchResource> {
  return await signal(world, batchId, resumeSignal, requestId);
}

/** Ends a batch for good; what was done stays done. @throws 404, 409 when it has ended otherwise. */
export async function cancelBatch(world: BatchWorld, batchId: string): Promise<BatchResource> {
  const batch = await getBatch(world, batchId);
  if (batch.status === 'cancelled') return batch;
  if (!isAtWork(batch.status)) throw ended(batch);
  const { client } = world;
  try {
    await withDeadline(client, SERVER_DEADLINE_MS, () => client.workflow.getHandle(batchWorkflowId(batchId)).cancel());
  } catch (error) {
    if (!isNotFound(error)) throw error;
    throw ended(await getBatch(world, batchId));
  }
  return await getBatch(world, batchId);
}

/**
 * Starts another run for what has not succeeded: what failed, and what was never run because the batch was cancelled or
 * terminated. What succeeded is not done again.
 *
 * @throws 404, 409 while it is running or when nothing is left.
 */
export async function retryBatch(world: BatchWorld, batchId: string, requestId?: string): Promise<BatchResource> {
  const { client } = world;
  // Whoever died between the start and his answer has started it.
  const latest = requestId && (await describe(client, batchWorkflowId(batchId)));
  if (latest && latest.memo?.requestId === requestId) return await getBatch(world, batchId);
  const { status, succeeded, total, operation } = await getBatch(world, batchId);
  if (isAtWork(status)) {
    throw httpProblem('batch-running', `batch ${batchId} is ${status}`, { batchId });
  }
  if (succeeded === total)
    throw httpProblem('nothing-to-retry', `every item of batch ${batchId} succeeded`, { batchId });
  await startRun(client, batchId, `${operation}: ${total - succeeded} items once more`, requestId);
  return await getBatch(world, batchId);
}

async function startRun(client: Client, batchId: string, staticSummary: string, requestId?: string): Promise<void> {
  try {
    await withDeadline(client, SERVER_DEADLINE_MS, () =>
      client.workflow.start<typeof workflows.batch>('batch' satisfies keyof typeof workflows, {
        args: [{ batchId }],
        workflowId: batchWorkflowId(batchId),
        taskQueue: BATCH_TASK_QUEUE,
        typedSearchAttributes: new TypedSearchAttributes([{ key: batchStatusAttribute, value: 'running' }]),
        staticSummary,
        ...(requestId !== undefined && { memo: { requestId } }),
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
      }),
    );
  } catch (error) {
    // Somebody else was faster with the same.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** Signals a batch that is open, once. A batch that is already so gets no signal. @throws 404, 409. */
async function signal(
  world: BatchWorld,
  batchId: string,
  definition: SignalDefinition,
  requestId: string = randomUUID(),
): Promise<BatchResource> {
  const { client } = world;
  const workflowId = batchWorkflowId(batchId);
  if (await isAlreadySo(client, workflowId, definition)) return await getBatch(world, batchId);
  const isOpen = await signalOnce(client, workflowId, definition, [], requestId);
  const batch = await getBatch(world, batchId);
  if (!isOpen) throw ended(batch);
  return batch;
}

/**
 * Whether the last command that an open batch got is this one. A run takes 10,000 signals, so a client that repeats a pause
 * until a worker comes must not use them up.
 */
async function isAlreadySo(client: Client, workflowId: string, { name }: SignalDefinition): Promise<boolean> {
  const description = await describe(client, workflowId);
  if (description?.status.name !== 'RUNNING') return false;
  if (description.raw.pendingWorkflowTask) return (await lastCommand(client, description)) === name;
  return statusOf(description) === (name === pauseSignal.name ? 'paused' : 'running');
}

/** The newest signal that no worker has taken yet, if it is one of the last events. */
async function lastCommand(
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

const isAtWork = (status: BatchStatus) => isOpenBatch(status) && status !== 'staged';

const ended = ({ batchId, status }: BatchResource) =>
  status === 'staged'
    ? httpProblem('batch-not-started', `batch ${batchId} is stored and was not started; retry starts it`, { batchId })
    : httpProblem('batch-ended', `batch ${batchId} is ${status}`, { batchId });

const unknown = (batchId: string) => notFound(`there is no batch ${batchId}`);

function toResource(
  batchId: string,
  tally: BatchTally,
  description: WorkflowExecutionDescription | undefined,
): BatchResource {
  const { itemsPerSecond, ...counts } = tally;
  if (!description) return { batchId, ...counts, status: statusByCounts(tally) };
  const status = statusOf(description);
  const left = secondsLeft(tally);
  return {
    batchId,
    ...counts,
    status,
    ...(status === 'running' && itemsPerSecond && { itemsPerSecond, ...(left && { secondsLeft: left }) }),
    startedAt: description.startTime.toISOString(),
    ...(description.closeTime && { closedAt: description.closeTime.toISOString() }),
    ...heldUpBy(description),
    ...workflowOf(description),
  };
}

/** When there is no execution, or Temporal no longer keeps it, the counts tell what became of it. */
function statusByCounts({ round, total, succeeded, failed }: BatchTally): BatchStatus {
  if (round === 0) return 'staged';
  if (succeeded + failed < total) return 'cancelled';
  return failed > 0 ? 'completed_with_failures' : 'completed';
}

function summaryOf(row: BatchRecord, end: UnrecordedEnd | undefined): BatchSummary {
  const { batchId, operation, total, succeeded, failed, itemsPerSecond, uploadedAt, startedAt, closedAt } = row;
  const status = end ?? row.status;
  return {
    ...{ batchId, status, operation, total, succeeded, failed },
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
