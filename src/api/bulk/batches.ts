import { retryableBatchStatus, type BatchBulkRequest, type BulkResult } from '../../schemas/bulk.js';
import type { BatchDependencies } from '../batches/read.js';
import { retryBatch } from '../batches/start.js';
import type { RequestContext } from '../http/request-context.js';
import { runBulk, selectFirst, selectIds, type BulkOptions } from './run.js';

/** Retries many batches. With an operation id, a repeated call starts no further attempt. */
export async function changeManyBatches(
  deps: BatchDependencies,
  { action, filter, batchIds, limit, dryRun }: BatchBulkRequest,
  { fairnessKey, operationId, log, stop, onItem }: BulkOptions & Pick<RequestContext, 'fairnessKey' | 'operationId'>,
): Promise<BulkResult> {
  const statuses = filter?.status === undefined ? retryableBatchStatus.options : [filter.status];
  const readIds = async (limit: number) =>
    (await deps.store.listBatches({ statuses }, { limit })).map(({ batchId }) => batchId);
  const selection = batchIds ? selectIds(batchIds) : await selectFirst(limit, readIds);
  return await runBulk(selection, {
    dryRun,
    action,
    idField: 'batchId',
    log,
    stop,
    onItem,
    apply: (batchId) => retryBatch(deps, batchId, { fairnessKey, operationId }),
  });
}
