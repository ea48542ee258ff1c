import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { BatchItemsDeletedError } from '../../../src/store/batches/attempts.js';
import type { Store } from '../../../src/store/index.js';
import { makeNumberedItems, rejectionsAt, useBatchStore } from '../../support/database/batch-store.js';
import { stageTestBatch } from '../../support/shop/batches.js';

const DAY_MS = 86_400_000;
const ninetyDaysAgo = () => new Date(Date.now() - 90 * DAY_MS);

const batchStore = useBatchStore();
let store: Store;
beforeAll(() => void ({ store } = batchStore));

/** Stages a batch, fails the first item of each of the first chunks, and closes the batch some days ago. */
async function closeBatchDaysAgo(days: number, { items = 3, itemsPerChunk = 2, failedChunks = 1 } = {}) {
  const batchId = await stageTestBatch(store, { items: makeNumberedItems(items), itemsPerChunk });
  const { attemptId } = (await store.openAttempt(batchId, 'run'))!;
  for (let chunkIndex = 0; chunkIndex < failedChunks; chunkIndex += 1)
    await store.applyChunk({ attemptId, chunkIndex }, async () => rejectionsAt(0));
  await store.recordBatchProgress(batchId, { status: 'completed', attemptId, at: new Date(), isFinal: true });
  await sql`update batches set closed_at = now() - make_interval(days => ${days}) where batch_id = ${batchId}`.execute(
    store.db,
  );
  return { batchId, attemptId };
}

async function storedItemsOf(batchId: string) {
  const { rows } = await sql<{ chunks: number; items: number; failures: number }>`
    select count(*)::int as chunks, sum(json_array_length(items))::int as items, count(failures)::int as failures
    from batch_chunks join batch_attempts using (attempt_id) where batch_id = ${batchId}`.execute(store.db);
  return rows[0]!;
}

describe('deleteBatchItems', () => {
  test('deletes items and failures of old batches in several steps, and keeps all counts', async () => {
    const old = await closeBatchDaysAgo(91, { items: 1_203, itemsPerChunk: 1, failedChunks: 3 });
    const young = await closeBatchDaysAgo(89);
    const open = await stageTestBatch(store, { items: makeNumberedItems(2) });
    const before = await store.countBatchProgress(old.batchId);
    expect(await storedItemsOf(old.batchId)).toEqual({ chunks: 1_203, items: 1_203, failures: 3 });

    expect(await store.deleteBatchItems(ninetyDaysAgo())).toBe(1);

    expect(await storedItemsOf(old.batchId)).toEqual({ chunks: 1_203, items: 0, failures: 0 });
    expect(await store.countBatchProgress(old.batchId)).toEqual({
      ...before,
      // The speed depends on the time since the items were processed.
      itemsPerSecond: expect.any(Number) as number,
      itemsDeletedAt: expect.any(String) as string,
    });
    expect(await store.areBatchItemsDeleted(old.batchId)).toBe(true);
    expect(await storedItemsOf(young.batchId)).toEqual({ chunks: 2, items: 3, failures: 1 });
    expect(await store.areBatchItemsDeleted(young.batchId)).toBe(false);
    expect(await storedItemsOf(open)).toMatchObject({ items: 2 });
    expect(await store.deleteBatchItems(ninetyDaysAgo())).toBe(0);
  });

  test('openAttempt rejects a batch whose items were deleted, and its id stays taken', async () => {
    const { batchId } = await closeBatchDaysAgo(91);
    await store.deleteBatchItems(ninetyDaysAgo());

    await expect(store.openAttempt(batchId, 'another run')).rejects.toThrow(BatchItemsDeletedError);
    const other = { batchId, operation: 'restock', itemsPerChunk: 2 };
    const upload = (async function* () {
      yield [{ line: 1, item: { n: 99 } }];
    })();
    expect(await store.stageBatch(other, upload)).toEqual({ status: 'taken' });
  });

  test('keeps the items of an old batch that is being retried', async () => {
    const { batchId } = await closeBatchDaysAgo(91);
    expect(await store.openAttempt(batchId, 'another run')).toMatchObject({ attempt: 2 });

    expect(await store.deleteBatchItems(ninetyDaysAgo())).toBe(0);
    expect(await storedItemsOf(batchId)).toMatchObject({ items: 5 });
  });

  test('continues a deletion that was interrupted after the items expired', async () => {
    const { batchId } = await closeBatchDaysAgo(91);
    await expect(store.deleteBatchItems(ninetyDaysAgo(), AbortSignal.abort(new Error('cancelled')))).rejects.toThrow(
      'cancelled',
    );
    expect(await storedItemsOf(batchId)).toMatchObject({ items: 3 });
    expect(await store.areBatchItemsDeleted(batchId)).toBe(true);

    expect(await store.deleteBatchItems(ninetyDaysAgo())).toBe(1);
    expect(await storedItemsOf(batchId)).toMatchObject({ items: 0 });
  });
});
