import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, startApiProcess, type Api } from '../../support/api/api.js';
import { ndjson, openRequest, uploadPath, upload } from '../../support/api/batch-api.js';
import { countBatchRows } from '../../support/database/batch-store.js';
import { waitUntil } from '../../support/processes.js';
import { createMany } from '../../support/create-many.js';
import { waitForBatchProgress } from '../../support/shop/batches.js';
import { addProduct, readStock, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('an API process that is killed during an upload', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: ['batches'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const countStoredChunks = async () =>
    (await shop.store.db.selectFrom('batch_chunks').select('items').execute()).length;

  test('loses nothing and doubles nothing: the same upload succeeds at once, and the purge deletes the first', async () => {
    const { sku } = await addProduct(shop.store, { available: 0 });
    const batchId = randomUUID();
    const query = { batchId, itemsPerChunk: '5000' };
    const text = ndjson(createMany(60_000, () => ({ sku, quantity: 1 })));
    const killed = await startApiProcess(server, shop);
    const { request } = openRequest({ ...api, url: killed.url }, uploadPath(query));
    request.on('error', () => undefined);
    request.write(text);
    await waitUntil(async () => (await countStoredChunks()) > 0 || undefined, {
      description: 'the first part of the upload',
      timeoutMs: 30_000,
    });
    killed.process.kill('SIGKILL');
    await killed.process.exited;

    expect(await countBatchRows(shop.store, batchId)).toEqual({ batches: 0, attempts: 0, uploads: 1, orphans: 0 });
    expect((await api.get(`/v1/batches/${batchId}`)).status).toBe(404);

    const again = await upload(api, { text, query });
    expect([again.status, again.body.total]).toEqual([202, 60_000]);
    await waitForBatchProgress(shop.store, batchId, ({ succeeded }) => succeeded === 60_000, 'all items');
    expect(await readStock(shop.store, sku)).toBe(60_000);

    expect(await shop.store.deleteAbandonedUploads(new Date())).toBe(1);
    expect(await countBatchRows(shop.store, batchId)).toEqual({ batches: 1, attempts: 1, uploads: 0, orphans: 0 });
    expect(await countStoredChunks()).toBe(12);
    expect((await upload(api, { text, query })).body).toMatchObject({ batchId, total: 60_000 });
    expect(await readStock(shop.store, sku)).toBe(60_000);
  });
});
