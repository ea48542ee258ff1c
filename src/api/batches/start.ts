import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import type { BatchResource, BatchStatus } from '../../schemas/batch.js';
import type { NewBatch, StagedItem } from '../../store/batches/staging.js';
import { withServerDeadline } from '../../temporal/client/deadlines.js';
import { isStartedBy, memoOptionsOf } from '../../temporal/client/operation-ids.js';
import { BATCH_TASK_QUEUE, batchStatusAttribute, batchWorkflowId } from '../../workflows/batch/contract.js';
import type * as workflows from '../../workflows/index.js';
import type { RequestContext } from '../http/request-context.js';
import { httpProblem } from '../problems/http-problem.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { getBatch, type BatchDependencies } from './read.js';
import { isRunningOrPaused } from './status.js';

/**
 * Stores the items and starts the batch. The batch id is the idempotency key: a repeated upload with the same content
 * returns the same batch. If the first upload stored the items but could not start the batch, the repeated upload
 * starts the batch.
 *
 * @param fairnessKey batches with different keys share the workers fairly.
 * @throws 409 when a batch with this id has different content. If `items` throws, rethrows the error and stores
 * nothing.
 */
export async function createBatch(
  deps: BatchDependencies,
  { fairnessKey, ...batch }: NewBatch & Pick<RequestContext, 'fairnessKey'>,
  items: AsyncIterable<StagedItem[]>,
): Promise<{ total: number; status: BatchStatus }> {
  const { client, store } = deps;
  const { batchId } = batch;
  const staged = await store.stageBatch(batch, items);
  if (staged.status === 'taken') {
    throw httpProblem('batch-id-taken', `batch ${batchId} already exists with different content`, { batchId });
  }
  const { total } = staged;
  const existing = staged.status === 'existing' ? await getBatch(deps, batchId) : undefined;
  // Attempt 0 means that no run has opened the batch, so no item was processed. This also holds if Temporal has a
  // closed run with this id.
  if (existing && (existing.attempt > 0 || existing.status === 'running')) return { total, status: existing.status };
  await startAttempt(client, batchId, { fairnessKey, staticSummary: `${batch.operation}: ${total} items` });
  await store.recordBatchStarted(batchId);
  return { total, status: 'running' };
}

/**
 * Starts another attempt for all items that have not succeeded: items that failed, and items that never ran because the
 * batch was cancelled or terminated. Items that succeeded are not processed again.
 *
 * @throws 404, 409 while the batch is running, when every item succeeded, or after the retention of the items.
 */
export async function retryBatch(
  deps: BatchDependencies,
  batchId: string,
  { fairnessKey, operationId }: Pick<RequestContext, 'fairnessKey' | 'operationId'>,
): Promise<BatchResource> {
  const { client } = deps;
  // If an earlier attempt of this request started the run but did not respond, the run already exists.
  const latest = operationId && (await describeWorkflow(client, { workflowId: batchWorkflowId(batchId) }));
  if (latest && isStartedBy(latest, operationId)) return await getBatch(deps, batchId);
  const { status, succeeded, total, operation, itemsDeletedAt } = await getBatch(deps, batchId);
  if (isRunningOrPaused(status)) {
    // The workflow records a cancellation in the store before it closes, so the list can already show `cancelled`.
    const detail = `batch ${batchId} is ${status}; if it was just cancelled, repeat the request shortly, with a new Idempotency-Key`;
    throw httpProblem('batch-running', detail, { batchId });
  }
  if (succeeded === total)
    throw httpProblem('nothing-to-retry', `every item of batch ${batchId} succeeded`, { batchId });
  if (itemsDeletedAt) {
    const detail = `batch ${batchId} cannot be retried, because its items were deleted after their retention`;
    throw httpProblem('batch-closed', detail, { batchId });
  }
  const staticSummary = `${operation}: retry of ${total - succeeded} items`;
  await startAttempt(client, batchId, { fairnessKey, staticSummary, operationId });
  return await getBatch(deps, batchId);
}

async function startAttempt(
  client: Client,
  batchId: string,
  {
    staticSummary,
    fairnessKey,
    operationId,
  }: { staticSummary: string } & Pick<RequestContext, 'fairnessKey' | 'operationId'>,
): Promise<void> {
  try {
    await withServerDeadline(client, () =>
      client.workflow.start<typeof workflows.batch>('batch' satisfies keyof typeof workflows, {
        args: [{ batchId }],
        workflowId: batchWorkflowId(batchId),
        taskQueue: BATCH_TASK_QUEUE,
        typedSearchAttributes: new TypedSearchAttributes([{ key: batchStatusAttribute, value: 'running' }]),
        staticSummary,
        // The activities and child workflows of the batch inherit the key.
        ...(fairnessKey !== undefined && { priority: { fairnessKey } }),
        ...memoOptionsOf(operationId),
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
      }),
    );
  } catch (error) {
    // A concurrent request has already started this run.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
