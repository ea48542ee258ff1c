import { isOpen } from '../../temporal/client/closed-executions.js';
import type { BatchStatus, BatchSummary } from '../../schemas/batch.js';
import type { BatchRecord } from '../../store/batches/progress.js';
import { batchWorkflowId } from '../../workflows/batch/contract.js';
import type { Backends } from '../dependencies.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/lists/list-pages.js';
import { correctRows } from '../temporal/list-corrections.js';
import { isRunningOrPaused, statusOf } from './status.js';

/** Lists a page of batches from the store, newest upload first. */
export async function listBatches(
  { client, store }: Backends,
  { status }: { status?: BatchStatus | undefined },
  page: PageRequest,
): Promise<Page<BatchSummary>> {
  const { limit, position } = page;
  // The store still shows a batch as open after its workflow was terminated. Such a batch has failed.
  const includesOpen = status === 'failed' || status === 'cancelled';
  const statuses = includesOpen ? ([status, 'running', 'paused'] as const) : status && [status];
  const before = position === undefined ? undefined : Number(position);
  const rows = await store.listBatches({ statuses }, { before, limit });
  const corrected = await correctRows(client, rows, {
    workflowOf: ({ batchId, status, startedAt, uploadedAt }) =>
      isRunningOrPaused(status)
        ? { workflowId: batchWorkflowId(batchId), openSince: startedAt ?? uploadedAt }
        : undefined,
    correct: (row, execution) => (execution && !isOpen(execution) ? { ...row, status: statusOf(execution) } : row),
  });
  const items = corrected.map(summaryOf).filter((item) => status === undefined || item.status === status);
  return { items, ...nextPositionAfter(rows, page, ({ number }) => String(number)) };
}

function summaryOf(row: BatchRecord): BatchSummary {
  const { batchId, status, operation, total, succeeded, failed, itemsPerSecond, uploadedAt, startedAt, closedAt } = row;
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
