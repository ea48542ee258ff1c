import type { BatchStatus, BatchSummary } from '../../schemas/batch.js';
import type { BatchRecord } from '../../store/batches/progress.js';
import { findUnrecordedCloses, type UnrecordedClose } from '../../temporal/client/closed-executions.js';
import { batchWorkflowId } from '../../workflows/batch/contract.js';
import type { Backends } from '../dependencies.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/list-pages.js';

const OPEN_STATUSES = ['running', 'paused'] as const;

/** Lists a page of batches from the store, newest upload first. */
export async function listBatches(
  { client, store }: Backends,
  { status }: { status?: BatchStatus | undefined },
  page: PageRequest,
): Promise<Page<BatchSummary>> {
  const { limit, position } = page;
  // The store still shows a batch as open after its workflow was terminated. Such a batch has failed.
  const includesOpen = status === 'failed' || status === 'cancelled';
  const statuses = includesOpen ? ([status, ...OPEN_STATUSES] as const) : status && [status];
  const before = position === undefined ? undefined : Number(position);
  const rows = await store.listBatches({ statuses }, { before, limit });
  const open = rows.filter((row) => OPEN_STATUSES.some((status) => status === row.status));
  const closes = await findUnrecordedCloses(
    client,
    open.map(({ batchId, startedAt, uploadedAt }) => ({
      workflowId: batchWorkflowId(batchId),
      since: startedAt ?? uploadedAt,
    })),
  );
  const items = rows
    .map((row) => summaryOf(row, open.includes(row) ? closes.get(batchWorkflowId(row.batchId)) : undefined))
    .filter((item) => status === undefined || item.status === status);
  return { items, ...nextPositionAfter(rows, page, ({ number }) => String(number)) };
}

function summaryOf(row: BatchRecord, close: UnrecordedClose | undefined): BatchSummary {
  const { batchId, operation, total, succeeded, failed, itemsPerSecond, uploadedAt, startedAt, closedAt } = row;
  const status = close ?? row.status;
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
