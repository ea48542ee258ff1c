import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { defineOperation } from '../../../src/batch-operations/operation.js';
import { restock } from '../../../src/batch-operations/restock.js';
import type { StoreOperation } from '../../../src/batch-operations/operation.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { NDJSON, ndjson, uploadPath } from '../../support/api/batch-api.js';
import { authOf, createCaller, type TestCaller } from '../../support/api/callers.js';
import { createGate } from '../../support/database/batch-store.js';
import { createMany } from '../../support/create-many.js';
import { waitForPendingActivities } from '../../support/shop/batches.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startWorker } from '../../support/workers/workers.js';

/** As in deploy/compose/temporal.yaml. With a single partition, the sequence of tasks is exact. */
const FAIRNESS = [
  'matching.enableFairness=true',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
];

const LARGE_BATCH_ITEMS = 60;
const SMALL_BATCH_ITEMS = 5;

describeOnDevServer('the fairness of batches', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let worker: { stop: () => Promise<void> } | undefined;
  let unblock = () => {};
  const [wholesaler, retailer, longId] = [
    createCaller(['operator']),
    createCaller(['operator']),
    createCaller(['operator'], `${'x'.repeat(100)}@example.com`),
  ];

  beforeAll(async () => {
    server = await startDevServer({ dynamicConfig: FAIRNESS });
    shop = await startShop(server, { withWorker: false });
    api = await startApi({ ...shop, auth: authOf(wholesaler, retailer, longId) });
  });
  afterEach(async () => {
    unblock();
    await worker?.stop();
    worker = undefined;
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function upload(caller: TestCaller, sku: string, count: number): Promise<string> {
    const batchId = randomUUID();
    const { status } = await caller.send(api, 'POST', uploadPath({ batchId, itemsPerChunk: '1' }), {
      text: ndjson(createMany(count, () => ({ sku, quantity: 1 }))),
      headers: { 'content-type': NDJSON },
    });
    expect(status).toBe(202);
    return batchId;
  }

  /** Starts a worker with one activity slot, whose chunks wait for `unblock`. @returns the SKUs in the sequence of the chunks. */
  async function startBlockedWorker() {
    const skus: string[] = [];
    const gate = createGate();
    unblock = gate.open;
    const blockedRestock = defineOperation({
      kind: 'external',
      name: restock.name,
      itemSchema: (restock as StoreOperation).itemSchema,
      itemsPerChunk: 1,
      concurrentCalls: 1,
      async apply(item) {
        skus.push(item.sku as string);
        await gate.passed;
      },
    });
    worker = await startWorker(server, shop, {
      taskQueues: ['batches'],
      operations: new Map([[restock.name, blockedRestock]]),
      batchConcurrentChunks: 1,
    });
    return skus;
  }

  const handleOf = (batchId: string) => shop.client.workflow.getHandle(batchWorkflowId(batchId));

  /**
   * Runs a small batch while the chunks of a large batch wait for the worker. @returns how many chunks ran before the
   * last chunk of the small batch.
   */
  async function runBesideLargeBatch(starter: TestCaller): Promise<number> {
    const [small, large] = [(await addProduct(shop.store)).sku, (await addProduct(shop.store)).sku];
    const smallBatch = await upload(starter, small, SMALL_BATCH_ITEMS);
    await starter.send(api, 'POST', `/v1/batches/${smallBatch}/pause`);
    const skus = await startBlockedWorker();
    const largeBatch = await upload(wholesaler, large, LARGE_BATCH_ITEMS);
    await waitForPendingActivities(handleOf(largeBatch), (pending) => pending >= 20);
    await starter.send(api, 'POST', `/v1/batches/${smallBatch}/resume`);
    await waitForPendingActivities(handleOf(smallBatch), (pending) => pending >= SMALL_BATCH_ITEMS);
    unblock();
    await Promise.all([smallBatch, largeBatch].map((batchId) => handleOf(batchId).result()));
    expect(skus).toHaveLength(LARGE_BATCH_ITEMS + SMALL_BATCH_ITEMS);
    return skus.lastIndexOf(small);
  }

  test('the chunks of two callers alternate, although one of them has a backlog', async () => {
    expect(await runBesideLargeBatch(retailer)).toBeLessThan(15);
  });

  test('the chunks of one caller run in the sequence of their starts', async () => {
    expect(await runBesideLargeBatch(wholesaler)).toBeGreaterThanOrEqual(20);
  });

  test('the fairness key is the id of the caller, or a hash of a long id', async () => {
    const { sku } = await addProduct(shop.store);
    const keys = await Promise.all(
      [retailer, longId].map(async (caller) => {
        const handle = handleOf(await upload(caller, sku, 1));
        const { priority } = await handle.describe();
        // A chunk of this batch could take the only slot of the next test's worker.
        await handle.terminate();
        return priority?.fairnessKey;
      }),
    );
    expect(keys).toEqual([retailer.id, expect.stringMatching(/^[0-9a-f]{64}$/)]);
  });

  test('short activities of a batch run before the waiting chunks of other batches, and children inherit the key', async () => {
    const [busy, other] = [(await addProduct(shop.store)).sku, (await addProduct(shop.store)).sku];
    const skus = await startBlockedWorker();
    const large = await upload(wholesaler, busy, 1_001);
    await waitForPendingActivities(
      shop.client.workflow.getHandle(`${batchWorkflowId(large)}/0`),
      (pending) => pending >= 20,
    );
    const { priority } = await shop.client.workflow.getHandle(`${batchWorkflowId(large)}/0`).describe();
    expect(priority).toMatchObject({ fairnessKey: wholesaler.id });

    // One more batch of the same caller: it opens before the waiting chunks, so its chunk is one of the next.
    const next = await upload(wholesaler, other, 1);
    await waitForPendingActivities(handleOf(next), (pending) => pending >= 1);
    const shard = await shop.client.workflow.getHandle(`${batchWorkflowId(large)}/0`).describe();
    const waitingChunks = shard.raw.pendingActivities!.length;
    unblock();
    await handleOf(next).result();
    // If its short activities waited too, the chunks would run twice before it.
    expect(skus.indexOf(other)).toBeLessThan(1.5 * waitingChunks);
    await handleOf(large).cancel();
    await expect(handleOf(large).result()).rejects.toThrow();
  });
});
