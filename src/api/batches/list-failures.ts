import type { BatchFailure } from '../../schemas/batch.js';
import type { FailurePosition } from '../../store/batches/failed-items.js';
import type { Store } from '../../store/index.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/lists/list-pages.js';
import { assertItemsExist, batchNotFound } from './read.js';

/** Lists a page of the failed items of a batch, in the order of the upload. @throws 404, 410. */
export async function listBatchFailures(store: Store, batchId: string, page: PageRequest): Promise<Page<BatchFailure>> {
  if ((await store.findBatchOperation(batchId)) === undefined) throw batchNotFound(batchId);
  await assertItemsExist(store, batchId);
  const { limit, position } = page;
  const after = position === undefined ? {} : { after: parsePosition(position) };
  const rows = await store.listBatchFailures(batchId, { limit, ...after });
  return {
    items: rows.map(({ position: _position, ...failure }) => failure),
    ...nextPositionAfter(rows, page, (row) => `${row.position.chunkIndex}.${row.position.itemIndex}`),
  };
}

function parsePosition(position: string): FailurePosition {
  const [chunkIndex, itemIndex] = position.split('.');
  return { chunkIndex: Number(chunkIndex), itemIndex: Number(itemIndex) };
}
