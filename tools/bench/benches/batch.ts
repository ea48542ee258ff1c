import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTemporaryStack, type Stack } from '../../stack/stack.js';
import { restock } from '../../../src/batch-operations/restock.js';
import { batchResource, type BatchResource } from '../../../src/schemas/batch.js';
import type { StagedItem } from '../../../src/store/batches.js';
import { openStore, type Store } from '../../../src/store/index.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';

const MILLION = 1_000_000;
const FEW = 10_000;
const ROUNDS = 3;

/** One activity per item is slow; the time per item does not depend on the number of items. */
const SINGLE_ITEMS = 1_000;

/** More chunks than one workflow can have, so the batch becomes a tree, with more children than are open at once. */
const TREE_TASKS = 4 * 1_000;
const FLAT_TASKS = 1_000;
const TREE_ROUNDS = 3;

const VIA_SQL = 'COPY, then the same SQL task after task';
const VIA_WORKFLOW = 'upload over HTTP, then workflow';

const PRODUCTS = 100_000;
const SKUS = Array.from({ length: PRODUCTS }, (_, index) => `BENCH-${String(index).padStart(6, '0')}`);
const LINES_PER_CHUNK = 1_000;

interface Shop {
  stack: Stack;
  store: Store;
}

/**
 * The throughput of a million items against plain SQL, the time per item against one activity per item, and the
 * worker's memory. Linux only.
 */
export async function benchBatch({ take }: Effort): Promise<Figure[]> {
  const [few, million, alone] = [take(FEW), take(MILLION), take(SINGLE_ITEMS)];
  const perSecond: Record<'apply' | 'whole', Measured> = { apply: {}, whole: {} };
  const perItem: Measured = {};
  const bySize: Record<'time' | 'memory', Measured> = { time: {}, memory: {} };
  // Each round has a new worker, because the memory of a process does not shrink.
  for (let round = 0; round < take(ROUNDS); round += 1) {
    await withShop(async (shop) => {
      await viaWorkflow(shop, few);
      const small = await withPeak(shop.stack, () => viaWorkflow(shop, few));
      const base = await viaSql(shop, million);
      const large = await withPeak(shop.stack, () => viaWorkflow(shop, million));
      const single = await viaWorkflow(shop, alone, { itemsPerTask: 1 });

      for (const [name, { stage, apply }] of Object.entries({ [VIA_SQL]: base, [VIA_WORKFLOW]: large.result })) {
        note(perSecond.apply, name, million / apply);
        note(perSecond.whole, name, million / (stage + apply));
      }
      note(perItem, 'items in pages', (large.result.apply * 1000) / million);
      note(perItem, 'one activity an item', (single.apply * 1000) / alone);
      for (const [size, { result, bytes }] of [[few, small] as const, [million, large] as const]) {
        note(bySize.time, `${size} items`, ((result.stage + result.apply) * 1000) / size);
        note(bySize.memory, `${size} items`, bytes / 2 ** 20);
      }
    });
  }
  const items = { unit: 'items a second', better: 'more', of: million } as const;
  return [
    ...besideFirst(perSecond.apply, { what: 'applied', ...items }),
    ...besideFirst(perSecond.whole, { what: 'from the first byte to the outcome', ...items }),
    ...besideFirst(perItem, { what: 'time an item', unit: 'ms', better: 'less', of: alone }),
    ...besideFirst(bySize.time, { what: 'time an item', unit: 'ms', better: 'less', of: million }),
    ...besideFirst(bySize.memory, { what: "worker's peak memory", unit: 'MiB', better: 'less', of: million }),
  ];
}

/** Compares a tree, whose children have 1,000 chunks each, with one workflow of 1,000 chunks. */
export async function benchBatchTree({ take }: Effort): Promise<Figure[]> {
  const perTask: Measured = {};
  await withShop(async (shop) => {
    await viaWorkflow(shop, take(FLAT_TASKS), { itemsPerTask: 1 });
    for (let round = 0; round < take(TREE_ROUNDS); round += 1) {
      for (const [name, tasks] of [['one workflow', take(FLAT_TASKS)] as const, ['a tree', TREE_TASKS] as const]) {
        const { apply } = await viaWorkflow(shop, tasks, { itemsPerTask: 1 });
        note(perTask, name, (apply * 1000) / tasks);
      }
    }
  });
  return besideFirst(perTask, { what: 'time a task', unit: 'ms', better: 'less', of: TREE_TASKS });
}

/** Seconds until all items are in the store, and from there to the outcome. */
interface Timing {
  stage: number;
  apply: number;
}

/**
 * The database work of the workflow, without the workflow: the same COPY, then the same transactions one after another.
 */
async function viaSql({ store }: Shop, count: number): Promise<Timing> {
  if (restock.kind !== 'store') throw new Error('restock works on the store');
  const batchId = randomUUID();
  const { itemsPerTask, apply } = restock;
  const started = performance.now();
  await store.stageBatch({ batchId, operation: restock.name, itemsPerTask }, pagesOf(count, itemsPerTask));
  const staged = performance.now();
  const { roundId, tasks, number } = (await store.openRound(batchId, batchId))!;
  for (let task = 0; task < tasks; task += 1) {
    await store.applyTask({ roundId, task }, (tx, items) => apply(tx, items as never, { batchId, number }));
  }
  const ended = performance.now();
  await expectAll(store, batchId, count);
  return { stage: (staged - started) / 1000, apply: (ended - staged) / 1000 };
}

async function viaWorkflow(
  { stack, store }: Shop,
  count: number,
  { itemsPerTask }: { itemsPerTask?: number } = {},
): Promise<Timing> {
  const { batchId, ...timing } = await runBatch({
    apiUrl: stack.addresses.apiUrl,
    operation: restock.name,
    lines: linesOf(count),
    itemsPerTask,
  });
  await expectAll(store, batchId, count);
  return timing;
}

interface Upload {
  apiUrl: string;
  operation: string;
  lines: Iterable<Buffer>;
  itemsPerTask?: number | undefined;
}

/** Uploads a batch and waits for its outcome. */
export async function runBatch(upload: Upload): Promise<Timing & { batchId: string }> {
  const { apiUrl, operation, lines, itemsPerTask } = upload;
  const batchId = randomUUID();
  const query = new URLSearchParams({ operation, batchId });
  if (itemsPerTask !== undefined) query.set('itemsPerTask', String(itemsPerTask));
  const started = performance.now();
  const response = await fetch(`${apiUrl}/v1/batches?${query.toString()}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: Readable.toWeb(Readable.from(lines)) as unknown as ReadableStream,
    duplex: 'half',
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  const staged = performance.now();
  let batch: BatchResource;
  do {
    await sleep(50);
    batch = batchResource.parse(await (await fetch(`${apiUrl}/v1/batches/${batchId}`)).json());
  } while (batch.status === 'running');
  if (batch.status !== 'completed') throw new Error(`batch ${batchId} is ${batch.status}`);
  const ended = performance.now();
  return { batchId, stage: (staged - started) / 1000, apply: (ended - staged) / 1000 };
}

async function expectAll(store: Store, batchId: string, count: number): Promise<void> {
  const tally = await store.tallyBatch(batchId);
  if (tally?.succeeded !== count) throw new Error(`not all items were done: ${JSON.stringify(tally)}`);
  // Empties the table, so that the next measurement starts with the same tables.
  await store.db.deleteFrom('batch_tasks').execute();
}

const itemAt = (index: number) => ({ sku: SKUS[(index * 7919) % PRODUCTS]!, quantity: 1 + (index % 3) });

async function* pagesOf(count: number, itemsPerTask: number): AsyncGenerator<StagedItem[]> {
  for (let from = 0; from < count; from += itemsPerTask) {
    const size = Math.min(itemsPerTask, count - from);
    yield Array.from({ length: size }, (_, n) => ({ line: from + n + 1, item: itemAt(from + n) }));
  }
}

function* linesOf(count: number): Generator<Buffer> {
  for (let from = 0; from < count; from += LINES_PER_CHUNK) {
    const size = Math.min(LINES_PER_CHUNK, count - from);
    yield Buffer.from(Array.from({ length: size }, (_, n) => `${JSON.stringify(itemAt(from + n))}\n`).join(''));
  }
}

/** Runs a function and returns its result with the peak memory of the worker process. Linux only. */
async function withPeak<T>(stack: Stack, run: () => Promise<T>): Promise<{ result: T; bytes: number }> {
  const { pid } = stack.parts.get('worker')!.process;
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

async function withShop(bench: (shop: Shop) => Promise<void>): Promise<void> {
  const stack = await startTemporaryStack({ logLevel: 'warn' });
  const store = openStore({
    databaseUrl: stack.addresses.ownerDatabaseUrl,
    maxConnections: 4,
    onIdleError: () => undefined,
  });
  try {
    for (let from = 0; from < PRODUCTS; from += 10_000) {
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
