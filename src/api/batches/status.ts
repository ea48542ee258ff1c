import { batchStatus, isOpenBatch, type BatchProgress, type BatchStatus } from '../../schemas/batch.js';
import type { Execution } from '../../temporal/client/visibility.js';
import { batchStatusAttribute } from '../../workflows/batch/contract.js';
import { finalStatusOf } from '../../workflows/batch/progress.js';

/** Whether the batch has started and not ended. */
export const isRunningOrPaused = (status: BatchStatus) => isOpenBatch(status) && status !== 'staged';

/** Returns the status of a batch according to Temporal. No worker is needed. */
export function statusOf({ status, typedSearchAttributes }: Execution): BatchStatus {
  if (status.name === 'CANCELLED') return 'cancelled';
  if (['FAILED', 'TERMINATED', 'TIMED_OUT'].includes(status.name)) return 'failed';
  return batchStatus.catch('running').parse(typedSearchAttributes.get(batchStatusAttribute));
}

/** The status according to the counts, for a batch that has no execution or whose execution Temporal has deleted. */
export function statusFromCounts({ attempt, total, succeeded, failed }: BatchProgress): BatchStatus {
  if (attempt === 0) return 'staged';
  if (succeeded + failed < total) return 'cancelled';
  return finalStatusOf({ failed });
}
