import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type { Stack } from '../../stack/stack.js';
import { restock } from '../../../src/batch-operations/restock.js';
import { batchResource, type BatchResource } from '../../../src/schemas/batch.js';
import type { StagedItem } from '../../../src/store/batches/staging.js';
import { openStore, type Store } from '../../../src/store/index.js';
import type { SampleScale } from '../bench.js';
import { uploadBatch } from '../load/batches.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';

const LARGE_BATCH_ITEMS = 1_000_000;
const SMALL_BATCH_ITEMS = 10_000;
const ROUNDS = 3;

/**
 * The number of chunks with one item each. It is small, because one activity per item is slow. The time per item does
 * not depend on this number.
 */
const SINGLE_ITEM_CHUNKS = 1_000;

/**
 * More chunks than one workflow can have, so the batch becomes a tree. The tree has more children than may be open at
 * once.
 */
const TREE_CHUNKS = 4 * 1_000;
const FLAT_CHUNKS = 1_000;
const TREE_ROUNDS = 3;

const VIA_SQL = 'COPY, then the same SQL chunk after chunk';
const VIA_WORKFLOW = 'upload over HTTP, then workflow';

const PRODUCT_COUNT = 100_000;
const SKUS = Array.from({ length: PRODUCT_COUNT }, (_, index) => `BENCH-${String(index).padStart(6, '0')}`);
const LINES_PER_BUFFER = 1_000;

interface BenchShop {
  stack: Stack;
  store: Store;
}

/**
 * Measures the throughput of a million items against plain SQL, the time per item against one activity per item, and
 * the memory of the worker. Linux only.
 */
export async function benchBatch({ scale }: SampleScale): Promise<Comparison[]> {
  const [few, million, alone] = [scale(SMALL_BATCH_ITEMS), scale(LARGE_BATCH_ITEMS), scale(SINGLE_ITEM_CHUNKS)];
  const perSecond: Record<'apply' | 'whole', ValuesByVariant> = { apply: {}, whole: {} };
  const perItem: ValuesByVariant = {};
  const bySize: Record<'time' | 'memory', ValuesByVariant> = { time: {}, memory: {} };
  // Each round uses a new worker, because the memory of a process does not shrink.
  for (let round = 0; round < scale(ROUNDS); round += 1) {
    await withBenchShop(async (shop) => {
      await runWithWorkflow(shop, few);
      const small = await measurePeakMemory(shop.stack, () => runWithWorkflow(shop, few));
      const base = await runWithSql(shop, million);
      const large = await measurePeakMemory(shop.stack, () => runWithWorkflow(shop, million));
      const single = await runWithWorkflow(shop, alone, { itemsPerChunk: 1 });

      for (const [name, { stageSeconds, applySeconds }] of Object.entries({
        [VIA_SQL]: base,
        [VIA_WORKFLOW]: large.result,
      })) {
        addValue(perSecond.apply, name, million / applySeconds);
        addValue(perSecond.whole, name, million / (stageSeconds + applySeconds));
      }
      addValue(perItem, 'items in chunks', (large.result.applySeconds * 1000) / million);
      addValue(perItem, 'one activity per item', (single.applySeconds * 1000) / alone);
      for (const [size, { result, bytes }] of [[few, small] as const, [million, large] as const]) {
        addValue(bySize.time, `${size} items`, ((result.stageSeconds + result.applySeconds) * 1000) / size);
        addValue(bySize.memory, `${size} items`, bytes / 2 ** 20);
      }
    });
  }
  const items = { unit: 'items per second', better: 'more', sampleCount: million } as const;
  return [
    ...compareWithFirst(perSecond.apply, { what: 'applied', ...items }),
    ...compareWithFirst(perSecond.whole, { what: 'from the first byte to the outcome', ...items }),
    ...compareWithFirst(perItem, { what: 'time per item', unit: 'ms', better: 'less', sampleCount: alone }),
    ...compareWithFirst(bySize.time, { what: 'time per item', unit: 'ms', better: 'less', sampleCount: million }),
    ...compareWithFirst(bySize.memory, {
      what: "worker's peak memory",
      unit: 'MiB',
      better: 'less',
      sampleCount: million,
    }),
  ];
}

/** Compares a tree, whose children have 1,000 chunks each, with one workflow of 1,000 chunks. */
export async function benchBatchTree({ scale }: SampleScale): Promise<Comparison[]> {
  const perTask: ValuesByVariant = {};
  await withBenchShop(async (shop) => {
    await runWithWorkflow(shop, scale(FLAT_CHUNKS), { itemsPerChunk: 1 });
    for (let round = 0; round < scale(TREE_ROUNDS); round += 1) {
      for (const [name, tasks] of [['one workflow', scale(FLAT_CHUNKS)] as const, ['a tree', TREE_CHUNKS] as const]) {
        const { applySeconds } = await runWithWorkflow(shop, tasks, { itemsPerChunk: 1 });
        addValue(perTask, name, (applySeconds * 1000) / tasks);
      }
    }
  });
  return compareWithFirst(perTask, { what: 'time per chunk', unit: 'ms', better: 'less', sampleCount: TREE_CHUNKS });
}

/**
 * `stageSeconds` is the time until all items are in the store. `applySeconds` is the time from then until the batch is
 * closed.
 */
interface BatchTiming {
  stageSeconds: number;
  applySeconds: number;
}

/**
 * Does the database work of a batch without a workflow: the same COPY, then the same transactions one after another.
 */
async function runWithSql({ store }: BenchShop, count: number): Promise<BatchTiming> {
  if (restock.kind !== 'store')
    throw new Error(`the batch bench needs a store operation, but "restock" has kind "${restock.kind}"`);
  const batchId = randomUUID();
  const { itemsPerChunk, apply } = restock;
  const started = performance.now();
  await store.stageBatch({ batchId, operation: restock.name, itemsPerChunk }, generateChunks(count, itemsPerChunk));
  const staged = performance.now();
  const { attemptId, chunks, batchNumber } = (await store.openAttempt(batchId, batchId))!;
  for (let task = 0; task < chunks; task += 1) {
    await store.applyChunk({ attemptId, chunkIndex: task }, (tx, items) =>
      apply(tx, items as never, { batchId, batchNumber }),
    );
  }
  const ended = performance.now();
  await assertAllSucceeded(store, batchId, count);
  return { stageSeconds: (staged - started) / 1000, applySeconds: (ended - staged) / 1000 };
}

async function runWithWorkflow(
  { stack, store }: BenchShop,
  count: number,
  { itemsPerChunk }: { itemsPerChunk?: number } = {},
): Promise<BatchTiming> {
  const { batchId, ...timing } = await uploadAndAwaitBatch({
    apiUrl: stack.addresses.apiUrl,
    operation: restock.name,
    lines: generateLines(count),
    itemsPerChunk: itemsPerChunk,
  });
  await assertAllSucceeded(store, batchId, count);
  return timing;
}

/** Uploads a batch and waits until it is completed. */
export async function uploadAndAwaitBatch(
  upload: Parameters<typeof uploadBatch>[0],
): Promise<BatchTiming & { batchId: string }> {
  const { apiUrl } = upload;
  const started = performance.now();
  const batchId = await uploadBatch(upload);
  const staged = performance.now();
  let batch: BatchResource | undefined;
  while (!batch || batch.status === 'running') {
    await sleep(50);
    const response = await fetch(`${apiUrl}/v1/batches/${batchId}`);
    const body = await response.json();
    // An overloaded API rejects a poll.
    if (response.status !== 503) batch = batchResource.parse(body);
  }
  if (batch.status !== 'completed') throw new Error(`batch ${batchId} must complete, but ended as ${batch.status}`);
  const ended = performance.now();
  return { batchId, stageSeconds: (staged - started) / 1000, applySeconds: (ended - staged) / 1000 };
}

async function assertAllSucceeded(store: Store, batchId: string, count: number): Promise<void> {
  const progress = await store.countBatchProgress(batchId);
  if (progress?.succeeded !== count)
    throw new Error(`all ${count} items must succeed, got ${JSON.stringify(progress)}`);
  // Every measurement starts with an empty table.
  await store.db.deleteFrom('batch_chunks').execute();
}

const createItem = (index: number) => ({ sku: SKUS[(index * 7919) % PRODUCT_COUNT]!, quantity: 1 + (index % 3) });

async function* generateChunks(count: number, itemsPerChunk: number): AsyncGenerator<StagedItem[]> {
  for (let from = 0; from < count; from += itemsPerChunk) {
    const size = Math.min(itemsPerChunk, count - from);
    yield Array.from({ length: size }, (_, n) => ({ line: from + n + 1, item: createItem(from + n) }));
  }
}

function* generateLines(count: number): Generator<Buffer> {
  for (let from = 0; from < count; from += LINES_PER_BUFFER) {
    const size = Math.min(LINES_PER_BUFFER, count - from);
    yield Buffer.from(Array.from({ length: size }, (_, n) => `${JSON.stringify(createItem(from + n))}\n`).join(''));
  }
}

/** Runs a function. Returns its result and the peak memory of the worker process. Linux only. */
async function measurePeakMemory<T>(stack: Stack, run: () => Promise<T>): Promise<{ result: T; bytes: number }> {
  const { pid } = stack.processes.get('worker')!.current;
  let bytes = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      const [, pages] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
      bytes = Math.max(bytes, Number(pages) * 4096);
      await sleep(100);
    }
  })();
  const result = await run().finally(() => (isOver = true));
  await watching;
  return { result, bytes };
}

async function withBenchShop(bench: (shop: BenchShop) => Promise<void>): Promise<void> {
  const stack = await startTemporaryStack({ logLevel: 'warn' });
  const store = openStore({
    databaseUrl: stack.addresses.ownerDatabaseUrl,
    maxConnections: 4,
    onIdleError: () => undefined,
  });
  try {
    for (let from = 0; from < PRODUCT_COUNT; from += 10_000) {
      const skus = SKUS.slice(from, from + 10_000);
      await store.addProducts(
        skus.map((sku) => ({ sku, name: 'A thing', price: { value: 100, currency: 'EUR' }, available: 0 })),
      );
    }
    await bench({ stack, store });
  } finally {
    await store.close();
    await stack.stop();
  }
}
