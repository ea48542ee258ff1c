import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../../src/batch-operations/index.js';
import type { StoreOperation } from '../../../src/batch-operations/operation.js';
import type { OpenAttempt } from '../../../src/store/batches/attempts.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { createGate, makeNumberedItems, rejectionsAt, useBatchStore } from '../../support/database/batch-store.js';
import { lockProduct } from '../../support/database/database-lock.js';
import { createMany } from '../../support/create-many.js';
import { stageTestBatch } from '../../support/shop/batches.js';

/** A statement of an order that waits longer for a lock fails. The timeout of all statements is four seconds. */
const MAX_ORDER_LOCK_WAIT_MS = 1_500;

const batchStore = useBatchStore();
let store: Store;
/** The store of the orders. Fails a statement that waits too long for a lock. */
let orderStore: Store;
beforeAll(() => {
  ({ store } = batchStore);
  const url = new URL(batchStore.database.url);
  url.searchParams.set('options', `-c lock_timeout=${MAX_ORDER_LOCK_WAIT_MS}`);
  orderStore = openStore({ databaseUrl: url.href, maxConnections: 10, onIdleError: () => undefined });
});
afterAll(() => orderStore.close());

/** Adds products whose SKUs sort by index. */
async function addProducts(count: number): Promise<string[]> {
  const prefix = randomUUID().slice(0, 8).toUpperCase();
  const skus = createMany(count, (index) => `${prefix}-${String(index).padStart(5, '0')}`);
  const price = { value: 1, currency: 'EUR' };
  await store.addProducts(skus.map((sku) => ({ sku, name: 'A thing', price, available: 1_000_000 })));
  return skus;
}

/** Stages one item for each SKU and opens the batch. */
async function openBatch(
  operation: 'restock' | 'price-update',
  skus: string[],
  itemsPerChunk = skus.length,
): Promise<OpenAttempt & { batchId: string }> {
  const items = skus.map((sku) =>
    operation === 'restock' ? { sku, quantity: 1 } : { sku, price: { value: 2, currency: 'EUR' } },
  );
  const batchId = await stageTestBatch(store, { operation, items, itemsPerChunk });
  return { batchId, ...(await batchStore.openAttempt(batchId, 'run')) };
}

/** Applies a chunk, as the batch activity does. */
async function applyChunk(
  { operation, attemptId, ...batch }: OpenAttempt & { batchId: string },
  chunkIndex = 0,
  cancellation?: AbortSignal,
): Promise<void> {
  const { apply } = operations.get(operation) as StoreOperation;
  await store.applyChunk({ attemptId, chunkIndex }, (tx, items) => apply(tx, items as never, batch), cancellation);
}

async function reserve(...skus: string[]): Promise<string> {
  const orderId = randomUUID();
  const order = { orderId, firstRunId: orderId, customerId: 'ada', contentHash: '', placedAt: new Date() };
  const lines = skus.map((sku) => ({ sku, quantity: 1 }));
  return (await orderStore.reserveStock(order, lines)).status;
}

async function stocksOf(skus: string[]): Promise<Set<number>> {
  return new Set([...(await store.findProducts(skus)).values()].map(({ available }) => available));
}

describe('orders beside a batch', () => {
  test('an order does not wait for a chunk that waits for another order', async () => {
    const skus = await addProducts(50);
    const batch = await openBatch('restock', skus);
    const lock = await lockProduct(batchStore.database.url, skus[25]!);
    const applied = applyChunk(batch);
    await lock.waitForBlocked();

    // The chunk has locked the first product and waits for the locked one.
    expect(await reserve(skus[0]!)).toBe('reserved');
    await lock.release();
    await applied;
    expect(await stocksOf(skus.slice(1))).toEqual(new Set([1_000_001]));
    expect(await stocksOf(skus.slice(0, 1))).toEqual(new Set([1_000_000]));
    expect(await store.countBatchProgress(batch.batchId)).toMatchObject({ succeeded: 50, failed: 0 });
  });

  test('a chunk applies the items before a locked product, fails, and continues with the remaining items', async () => {
    const skus = await addProducts(8);
    const batch = await openBatch('restock', skus);
    const lock = await lockProduct(batchStore.database.url, skus[5]!);
    await expect(applyChunk(batch)).rejects.toThrow(/lock timeout|statement timeout/);

    expect(await store.countBatchProgress(batch.batchId)).toMatchObject({ succeeded: 5, failed: 0 });
    expect(await stocksOf(skus.slice(0, 5))).toEqual(new Set([1_000_001]));
    await lock.release();
    await applyChunk(batch);
    expect(await stocksOf(skus)).toEqual(new Set([1_000_001]));
    expect(await store.countBatchProgress(batch.batchId)).toMatchObject({ succeeded: 8, failed: 0 });
  });

  test('an order does not fail while a stopped worker holds the locks of a chunk', async () => {
    const [sku] = (await addProducts(1)) as [string];
    const { attemptId } = await openBatch('restock', [sku]);
    const [locked, stopped] = [createGate(), createGate()];
    const applied = store.applyChunk({ attemptId, chunkIndex: 0 }, async (tx) => {
      await sql`select from products where sku = ${sku} for no key update`.execute(tx);
      locked.open();
      await stopped.passed;
      return [];
    });
    await locked.passed;
    // Waits until PostgreSQL ends the idle transaction.
    const order = {
      orderId: randomUUID(),
      firstRunId: 'run',
      customerId: 'ada',
      contentHash: '',
      placedAt: new Date(),
    };
    expect(await store.reserveStock(order, [{ sku, quantity: 1 }])).toMatchObject({ status: 'reserved' });
    stopped.open();
    await expect(applied).rejects.toThrow();
  });

  test('no order fails or waits long for a lock while a batch changes the prices of the same products', async () => {
    const skus = await addProducts(2_000);
    const chunks = 8;
    const lines = createMany(chunks, (n) => (n % 2 ? skus : skus.toReversed())).flat();
    const batch = await openBatch('price-update', lines, skus.length);
    let isApplied = false;
    const applied = Promise.all(createMany(chunks, (n) => applyChunk(batch, n))).finally(() => (isApplied = true));
    const statuses: string[] = [];
    for (let n = 0; !isApplied || statuses.length < 200; n += 4) {
      const orders = createMany(4, (k) => {
        const first = ((n + k) * 31) % (skus.length - 2);
        return reserve(...skus.slice(first, first + 3));
      });
      statuses.push(...(await Promise.all(orders)));
    }
    await applied;

    expect(new Set(statuses)).toEqual(new Set(['reserved']));
    expect(await store.countBatchProgress(batch.batchId)).toMatchObject({ succeeded: lines.length, failed: 0 });
    const prices = [...(await store.findProducts(skus)).values()].map(({ price }) => price.value);
    expect(new Set(prices)).toEqual(new Set([2]));
  });
});

describe('the steps of a chunk', () => {
  test('cover all items once, and record failures by their position in the chunk', async () => {
    const { batchId, attemptId } = await batchStore.openStagedBatch({
      items: makeNumberedItems(1_000),
      itemsPerChunk: 1_000,
    });
    const lines: number[] = [];
    let steps = 0;
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async (_tx, items) => {
      steps += 1;
      lines.push(...items.map(({ line }) => line));
      return rejectionsAt(0);
    });

    expect(steps).toBeGreaterThan(1);
    expect(lines).toEqual(createMany(1_000, (index) => index + 1));
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 1_000 - steps, failed: steps });
    const failures = await store.listBatchFailures(batchId, { limit: 1_000 });
    expect(failures.map(({ item }) => item)).toHaveLength(steps);
    expect(failures.every(({ line, item }) => (item as { n: number }).n === line)).toBe(true);
  });

  test('end at a cancellation, and another call applies only the remaining items', async () => {
    const skus = await addProducts(1_000);
    const batch = await openBatch('restock', skus);
    const { apply } = operations.get('restock') as StoreOperation;
    const cancellation = new AbortController();
    const cancelled = store.applyChunk(
      { attemptId: batch.attemptId, chunkIndex: 0 },
      async (tx, items) => {
        cancellation.abort(new Error('paused'));
        return await apply(tx, items as never, batch);
      },
      cancellation.signal,
    );
    await expect(cancelled).rejects.toThrow('paused');
    const { succeeded } = (await store.countBatchProgress(batch.batchId))!;
    expect(succeeded).toBeGreaterThan(0);
    expect(succeeded).toBeLessThan(1_000);

    await applyChunk(batch);
    expect(await stocksOf(skus)).toEqual(new Set([1_000_001]));
  });

  test('a worker of an older version cannot complete a chunk that is partly applied', async () => {
    const skus = await addProducts(1_000);
    const batch = await openBatch('restock', skus);
    const cancellation = new AbortController();
    await expect(
      store.applyChunk(
        { attemptId: batch.attemptId, chunkIndex: 0 },
        async () => {
          cancellation.abort(new Error('stopped'));
          return [];
        },
        cancellation.signal,
      ),
    ).rejects.toThrow('stopped');
    // The statement with which the older version completes a chunk.
    const completed = sql`
      update batch_chunks set outcome = 'done', succeeded = 1000, failed = 0
      where attempt_id = ${batch.attemptId} and outcome is null`.execute(store.db);
    await expect(completed).rejects.toThrow('batch_chunks_all_processed');
  });
});
