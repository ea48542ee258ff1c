import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pauseSignal, resumeSignal } from '../../../src/workflows/batch/contract.js';
import {
  waitForPendingActivities,
  startBatch,
  stageTestBatch,
  waitForBatchProgress,
} from '../../support/shop/batches.js';
import { lockProduct } from '../../support/database/database-lock.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorkerProcess, type WorkerProcess } from '../../support/workers/workers.js';

const ITEMS = 100_000;
const KILLS = 3;
const TIMEOUT_MS = 180_000;

// Temporal takes seconds to detect a dead or stalled worker, so both tests run concurrently with separate shops.
describeOnDevServer.concurrent('a batch whose worker dies or stalls', () => {
  let server: DevServer;

  beforeAll(async () => {
    server = await startDevServer();
  });
  afterAll(() => server?.close());

  async function startBatchShop(namespace: string): Promise<{ shop: Shop; start: () => Promise<WorkerProcess> }> {
    const world = await server.openNamespace(namespace);
    const shop = await startShop(world, { withWorker: false });
    return { shop, start: () => startWorkerProcess({ ...server, namespace }, shop, { WORKER_TASK_QUEUES: 'batches' }) };
  }

  test(
    'a restock of 100,000 items adds each item once when workers are killed (SIGKILL) at random moments',
    { timeout: TIMEOUT_MS },
    async () => {
      const { shop, start } = await startBatchShop('killed');
      const products = await Promise.all(Array.from({ length: 20 }, () => addProduct(shop.store, { available: 7 })));
      const added = new Map(products.map(({ sku }) => [sku, 0]));
      let bad = 0;
      const items = Array.from({ length: ITEMS }, (_, index) => {
        const quantity = 1 + (index % 9);
        if (index % 997 === 5) {
          bad += 1;
          return { sku: 'NOT-THERE', quantity };
        }
        const { sku } = products[(index * 31) % products.length]!;
        added.set(sku, added.get(sku)! + quantity);
        return { sku, quantity };
      });
      const batchId = await stageTestBatch(shop.store, { items, itemsPerChunk: 250 });

      let worker = await start();
      const handle = await startBatch(shop.client, batchId);
      const deaths = Array.from({ length: KILLS }, () => randomInt(1, ITEMS * 0.9)).sort((a, b) => a - b);
      for (const [death, moment] of deaths.entries()) {
        await waitForBatchProgress(shop.store, batchId, ({ succeeded }) => succeeded >= moment, `${moment} items done`);
        worker.kill('SIGKILL');
        await worker.exited;
        // The chunks of the dead worker end with a heartbeat timeout. A paused batch does not count these chunks as
        // failed and processes them again after the pause.
        if (death === 0) await handle.signal(pauseSignal);
        worker = await start();
        if (death > 0) continue;
        await waitForPendingActivities(handle, (pending) => pending === 0);
        await handle.signal(resumeSignal);
      }
      const view = await handle.result();
      await worker.stop();

      const moments = `killed at ${deaths.join(', ')}`;
      expect(view, moments).toMatchObject({ total: ITEMS, succeeded: ITEMS - bad, failed: bad });
      const stock = await shop.store.findProducts([...added.keys()]);
      const more = new Map([...stock].map(([sku, { available }]) => [sku, available - 7]));
      expect([...more].sort(), moments).toEqual([...added].sort());
      await shop.close();
    },
  );

  test(
    'a batch adds each item once when a worker is stopped (SIGSTOP) in a transaction and another worker takes over',
    { timeout: TIMEOUT_MS },
    async () => {
      const { shop, start } = await startBatchShop('stalled');
      const { sku } = await addProduct(shop.store, { available: 0 });
      const batchId = await stageTestBatch(shop.store, {
        items: Array.from({ length: 50 }, () => ({ sku, quantity: 2 })),
        itemsPerChunk: 50,
      });
      const lock = await lockProduct(shop.databaseUrl, sku);
      const stalled = await start();
      const handle = await startBatch(shop.client, batchId);
      await lock.waitForBlocked();

      stalled.kill('SIGSTOP');
      await lock.release();
      const other = await start();

      expect(await handle.result()).toMatchObject({ status: 'completed', succeeded: 50 });
      stalled.kill('SIGCONT');
      await Promise.all([stalled.stop(), other.stop()]);
      expect((await shop.store.findProducts([sku])).get(sku)?.available).toBe(100);
      await shop.close();
    },
  );
});
