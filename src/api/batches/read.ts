import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { BatchProgress, BatchResource } from '../../schemas/batch.js';
import type { StoredBatchProgress } from '../../store/batches/progress.js';
import type { Store } from '../../store/index.js';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { pendingActivityFields, workflowField } from '../../temporal/client/pending-activities.js';
import { batchWorkflowId } from '../../workflows/batch/contract.js';
import { estimateSecondsLeft } from '../../workflows/batch/progress.js';
import type { Backends } from '../dependencies.js';
import { httpProblem, notFound } from '../problems/http-problem.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { isRunningOrPaused, statusFromCounts, statusOf } from './status.js';

export interface BatchDependencies extends Backends {
  /** Returns the counts of a running batch, at most about five seconds old. */
  cachedProgress: (batchId: string) => Promise<BatchProgress | undefined>;
}

/** Returns a batch with its progress. No worker is needed. @throws 404. */
export async function getBatch(
  { client, store, cachedProgress }: BatchDependencies,
  batchId: string,
): Promise<BatchResource> {
  // Reads the status before the counts. If the status shows that the batch has ended, the counts are final.
  const description = await describeWorkflow(client, { workflowId: batchWorkflowId(batchId) });
  const isRunning = description !== undefined && isOpen(description);
  const progress = await (isRunning ? cachedProgress(batchId) : store.countBatchProgress(batchId));
  if (!progress) throw batchNotFound(batchId);
  return toResource(batchId, progress, description);
}

export const batchNotFound = (batchId: string) => notFound(`there is no batch ${batchId}`);

/** @throws 410 when the items of the batch were deleted after their retention. */
export async function assertItemsExist(store: Store, batchId: string): Promise<void> {
  if (!(await store.areBatchItemsDeleted(batchId))) return;
  const detail = `the items of batch ${batchId} were deleted after their retention`;
  throw httpProblem('batch-items-deleted', detail, { batchId });
}

function toResource(
  batchId: string,
  progress: StoredBatchProgress,
  description: WorkflowExecutionDescription | undefined,
): BatchResource {
  const { itemsPerSecond, ...counts } = progress;
  if (!description) return { batchId, ...counts, status: statusFromCounts(progress) };
  const status = statusOf(description);
  const secondsLeft = estimateSecondsLeft(progress);
  const isCancelling = isRunningOrPaused(status) && description.raw.workflowExtendedInfo?.cancelRequested;
  return {
    batchId,
    ...counts,
    status,
    ...(isCancelling && { cancelRequested: true }),
    ...(status === 'running' && itemsPerSecond && { itemsPerSecond, ...(secondsLeft && { secondsLeft }) }),
    startedAt: description.startTime.toISOString(),
    ...(description.closeTime && { closedAt: description.closeTime.toISOString() }),
    ...pendingActivityFields(description),
    ...workflowField(description),
  };
}
