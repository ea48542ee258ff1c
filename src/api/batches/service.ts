import type { WorkflowExecutionDescription } from '@temporalio/client';
import {
  batchStatus,
  isOpenBatch,
  type BatchProgress,
  type BatchResource,
  type BatchStatus,
} from '../../schemas/batch.js';
import { pendingActivityFields, workflowField } from '../../temporal/client/pending-activities.js';
import type { Execution } from '../../temporal/client/visibility.js';
import {
  batchStatusAttribute,
  batchWorkflowId,
  estimateSecondsLeft,
  finalStatusOf,
} from '../../workflows/batch/contract.js';
import type { Backends } from '../dependencies.js';
import { notFound } from '../problems/http-problem.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';

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
  const isRunning = description?.status.name === 'RUNNING';
  const progress = await (isRunning ? cachedProgress(batchId) : store.countBatchProgress(batchId));
  if (!progress) throw batchNotFound(batchId);
  return toResource(batchId, progress, description);
}

export const batchNotFound = (batchId: string) => notFound(`there is no batch ${batchId}`);

/** Whether the batch has started and not ended. */
export const isRunningOrPaused = (status: BatchStatus) => isOpenBatch(status) && status !== 'staged';

/** Returns the status of a batch according to Temporal. No worker is needed. */
export function statusOf({ status, typedSearchAttributes }: Execution): BatchStatus {
  if (status.name === 'CANCELLED') return 'cancelled';
  if (['FAILED', 'TERMINATED', 'TIMED_OUT'].includes(status.name)) return 'failed';
  return batchStatus.catch('running').parse(typedSearchAttributes.get(batchStatusAttribute));
}

/** The status according to the counts, for a batch that has no execution or whose execution Temporal has deleted. */
function statusFromCounts({ attempt, total, succeeded, failed }: BatchProgress): BatchStatus {
  if (attempt === 0) return 'staged';
  if (succeeded + failed < total) return 'cancelled';
  return finalStatusOf({ failed });
}

function toResource(
  batchId: string,
  progress: BatchProgress,
  description: WorkflowExecutionDescription | undefined,
): BatchResource {
  const { itemsPerSecond, ...counts } = progress;
  if (!description) return { batchId, ...counts, status: statusFromCounts(progress) };
  const status = statusOf(description);
  const secondsLeft = estimateSecondsLeft(progress);
  return {
    batchId,
    ...counts,
    status,
    ...(status === 'running' && itemsPerSecond && { itemsPerSecond, ...(secondsLeft && { secondsLeft }) }),
    startedAt: description.startTime.toISOString(),
    ...(description.closeTime && { closedAt: description.closeTime.toISOString() }),
    ...pendingActivityFields(description),
    ...workflowField(description),
  };
}
