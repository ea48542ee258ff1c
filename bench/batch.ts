import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTemporaryStack, type Stack } from '../dev/stack.js';
import { restock } from '../src/operations/restock.js';
import { batchResource, type BatchResource } from '../src/schemas/batch.js';
import type { StagedItem } from '../src/store/batches.js';
import { openStore, type Store } from '../src/store/index.js';
import { percentile } from './sample.js';

const MILLION = 1_000_000;
const ROUNDS = 3;
const SIZES = [10_000, 100_000, MILLION];

/** An activity for each item is slow; its time per item does not depend on how many there are. */
const SINGLE_ITEMS = 2_000;

/** The smallest tree that the pattern speaks of: 100 children with 1,000 tasks each. */
const TREE_TASKS = 100_000;

const PRODUCTS = 100_000;
const SKUS = Array.from({ length: PRODUCTS }, (_, index) => `BENCH-${String(index).padStart(6, '0')}`);
const LINES_PER_CHUNK = 1_000;

interface Shop {
  stack: Stack;
  store: Store;
}

/** What a million items cost over the bare SQL, over one activity an item, and in memory of the worker. */
export async function benchBatch(): Promise<void> {
  await withShop(async (shop) => {
    console.log(`batch: ${MILLION} items against the same SQL without a workflow, ${ROUNDS} rounds in turn`);
    await viaWorkflow(shop, SIZES[0]!);
    const bare: Timing[] = [];
    const batches: Timing[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      bare.push(await viaSql(shop, MILLION));
      batches.push(await viaWorkflow(shop, MILLION));
    }
    const [base, ours] = [medians(bare), medians(batches)];
    console.log(line('COPY, then task after task (base)', base, base, MILLION));
    console.log(line('upload over HTTP, then workflow', ours, base, MILLION));

    const single = await viaWorkflow(shop, SINGLE_ITEMS, { itemsPerTask: 1 });
    const perItem = { one: single.apply / SINGLE_ITEMS, paged: ours.apply / MILLION };
    console.log(
      `  one activity an item: ${(perItem.one * 1000).toFixed(2)} ms an item, ratio ${(perItem.one / perItem.paged).toFixed(0)}\n`,
    );

    console.log('batch: time and memory of the worker by size');
    let first: { seconds: number; bytes: number } | undefined;
    for (const size of SIZES) {
      const watched = await withPeak(shop.stack, () => viaWorkflow(shop, size));
      const { result, bytes } = watched;
      const seconds = result.stage + result.apply;
      first ??= { seconds: seconds / size, bytes };
      console.log(
        `  ${String(size).padStart(9)} items   ${seconds.toFixed(1)} s, per item ratio ${(seconds / size / first.seconds).toFixed(2)}` +
          `   peak ${(bytes / 2 ** 20).toFixed(0)} MiB, ratio ${(bytes / first.bytes).toFixed(2)}`,
      );
    }
    console.log('');
  });
}

/** A real tree of 100 children with 1,000 tasks each, against one workflow with 1,000 tasks. Takes minutes. */
export async function benchBatchTree(): Promise<void> {
  await withShop(async (shop) => {
    console.log(`batch: ${TREE_TASKS} tasks in ${TREE_TASKS / 1_000} children against 1,000 tasks in one workflow`);
    await viaWorkflow(shop, 100, { itemsPerTask: 1 });
    const flat = await viaWorkflow(shop, 1_000, { itemsPerTask: 1 });
    const { result: tree, bytes } = await withPeak(shop.stack, () =>
      viaWorkflow(shop, TREE_TASKS, { itemsPerTask: 1 }),
    );
    const perTask = { flat: flat.apply / 1_000, tree: tree.apply / TREE_TASKS };
    console.log(`  one workflow (base)   ${(perTask.flat * 1000).toFixed(2)} ms a task`);
    console.log(
      `  tree                  ${(perTask.tree * 1000).toFixed(2)} ms a task, ratio ${(perTask.tree / perTask.flat).toFixed(2)}` +
        `   ${tree.apply.toFixed(0)} s in all, peak of the worker ${(bytes / 2 ** 20).toFixed(0)} MiB\n`,
    );
  });
}

/** Seconds until the items are in the store, and from there to the outcome. */
interface Timing {
  stage: number;
  apply: number;
}

/** What the workflow does, without it: the same COPY, then the same transactions one after another. */
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

async function viaWorkflow({ stack, store }: Shop, count: number, { itemsPerTask }: { itemsPerTask?: number } = {}) {
  const { apiUrl } = stack.addresses;
  const batchId = randomUUID();
  const query = new URLSearchParams({ operation: restock.name, batchId });
  if (itemsPerTask !== undefined) query.set('itemsPerTask', String(itemsPerTask));
  const started = performance.now();
  const response = await fetch(`${apiUrl}/v1/batches?${query.toString()}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: Readable.toWeb(Readable.from(linesOf(count))) as unknown as ReadableStream,
    duplex: 'half',
  });
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`);
  const staged = performance.now();
  let batch: BatchResource;
  do {
    await sleep(50);
    batch = batchResource.parse(await (await fetch(`${apiUrl}/v1/batches/${batchId}`)).json());
  } while (batch.status === 'running');
  const ended = performance.now();
  await expectAll(store, batchId, count);
  return { stage: (staged - started) / 1000, apply: (ended - staged) / 1000 };
}

async function expectAll(store: Store, batchId: string, count: number): Promise<void> {
  const tally = await store.tallyBatch(batchId);
  if (tally?.succeeded !== count) throw new Error(`not all items were done: ${JSON.stringify(tally)}`);
  // Whoever comes next finds the same tables.
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

/** Runs something and answers the most memory that the worker process had meanwhile. Linux only. */
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

const medians = (timings: Timing[]): Timing => ({
  stage: percentile(
    timings.map(({ stage }) => stage),
    0.5,
  ),
  apply: percentile(
    timings.map(({ apply }) => apply),
    0.5,
  ),
});

function line(name: string, { stage, apply }: Timing, base: Timing, count: number): string {
  const rate = (seconds: number) => `${Math.round(count / seconds / 1000)}K items/s`;
  const [whole, baseWhole] = [stage + apply, base.stage + base.apply];
  return (
    `  ${name.padEnd(36)} stored in ${stage.toFixed(1)} s, applied at ${rate(apply)} (rate ratio ${(base.apply / apply).toFixed(2)}), ` +
    `in all ${rate(whole)} (rate ratio ${(baseWhole / whole).toFixed(2)})`
  );
}

async function withShop(bench: (shop: Shop) => Promise<void>): Promise<void> {
  const stack = await startTemporaryStack();
  const store = openStore({
    databaseUrl: stack.addresses.databaseUrl,
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
