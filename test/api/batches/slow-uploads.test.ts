import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type Api } from '../../support/api/api.js';
import { NDJSON, ndjson, openRequest, uploadPath, useBatchApi } from '../../support/api/batch-api.js';
import { authOf, createCaller, type TestCaller } from '../../support/api/callers.js';
import { countBatchRows, waitForUploads } from '../../support/database/batch-store.js';
import { lockChunks } from '../../support/database/database-lock.js';
import { DAY_SECONDS } from '../../support/shop/approvals.js';
import { createMany } from '../../support/create-many.js';
import { waitForBatchProgress } from '../../support/shop/batches.js';
import { addProduct, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

const item = ndjson([{ sku: 'MUG', quantity: 1 }]);

describeOnDevServer('slow uploads', () => {
  const batchApi = useBatchApi();
  const [ada, ben, eve] = [createCaller(['operator']), createCaller(['operator']), createCaller(['operator'])] as const;
  let shop: Shop;
  let patient: Api;
  let strict: Api;
  beforeAll(async () => {
    ({ shop } = batchApi);
    const auth = authOf(ada, ben, eve);
    patient = await startApi({ ...shop, auth, batchUploadLimits: { maxUploads: 5, maxUploadsPerCaller: 3 } });
    strict = await startApi({ ...shop, auth, batchUploadLimits: { minBytesPerSecond: 10_000, speedCheckMs: 500 } });
  });
  afterAll(async () => {
    await patient?.close();
    await strict?.close();
  });

  /** Begins an upload and sends one item. The upload stays open. */
  function openSlowUpload(api: Api, { authHeader }: TestCaller, batchId: string = randomUUID()) {
    const path = uploadPath({ batchId, itemsPerChunk: '1' });
    const opened = openRequest(api, path, { headers: { 'content-type': NDJSON, ...authHeader } });
    opened.request.write(item);
    return { ...opened, batchId };
  }

  const sendUpload = (api: Api, caller: TestCaller, { text = item, batchId = String(randomUUID()) } = {}) =>
    caller.send<{ total: number; detail: string }>(api, 'POST', uploadPath({ batchId }), {
      text,
      headers: { 'content-type': NDJSON },
    });

  test('slow uploads of one caller leave slots for an upload of another caller', async () => {
    const slow = createMany(3, () => openSlowUpload(patient, ada));
    await waitForUploads(shop.store, 3);

    const rejected = await sendUpload(patient, ada);
    expect([rejected.status, rejected.headers.get('retry-after')]).toEqual([503, '5']);
    expect(rejected.body).toMatchObject({
      type: '/problems/too-many-uploads',
      detail: '3 uploads of this caller are in progress, which is the maximum; retry later',
    });
    const { sku } = await addProduct(shop.store, { available: 0 });
    const batchId = randomUUID();
    const text = ndjson(createMany(2_000, () => ({ sku, quantity: 1 })));
    const normal = await sendUpload(patient, ben, { text, batchId });
    expect([normal.status, normal.body.total]).toEqual([202, 2_000]);
    await waitForBatchProgress(shop.store, batchId, ({ succeeded }) => succeeded === 2_000, 'all items');

    for (const { request } of slow) request.end();
    expect(await Promise.all(slow.map(({ response }) => response))).toMatchObject(
      createMany(3, () => ({ status: 202, body: { total: 1 } })),
    );
  });

  test('returns 503 for an upload of any caller while the maximum number of uploads is in progress', async () => {
    const slow = [ada, ada, ada, ben, ben].map((caller) => openSlowUpload(patient, caller));
    await waitForUploads(shop.store, 5);

    const rejected = await sendUpload(patient, eve);
    expect([rejected.status, rejected.headers.get('retry-after')]).toEqual([503, '5']);
    expect(rejected.body.detail).toBe('5 uploads are in progress, which is the maximum; retry later');

    slow[0]!.request.destroy();
    await waitForUploads(shop.store, 4);
    expect((await sendUpload(patient, eve)).status).toBe(202);
    for (const { request } of slow) request.destroy();
    await waitForUploads(shop.store, 0);
  });

  test('returns 408, closes the connection and stores nothing when an upload is slower than the minimum speed', async () => {
    const { request, response, batchId } = openSlowUpload(strict, ada);
    const closed = new Promise((resolve) => request.on('socket', (socket) => socket.once('close', resolve)));

    const { status, headers, body } = await response;

    expect([status, headers.connection]).toEqual([408, 'close']);
    expect(body).toMatchObject({
      type: '/problems/request-timeout',
      detail: 'the upload sent less than 10000 bytes per second for 0.5 seconds',
    });
    await closed;
    await waitForUploads(shop.store, 0);
    expect(await countBatchRows(shop.store, batchId)).toEqual({ batches: 0, attempts: 0, uploads: 0, orphans: 0 });
    expect((await sendUpload(strict, ada, { batchId })).status).toBe(202);
  });

  test('returns 408 when the upload continues after the purge has deleted its items', async () => {
    const { request, response, batchId } = openSlowUpload(patient, ada);
    await waitForUploads(shop.store, 1);
    await sql`update batch_uploads set last_part_at = now() - interval '2 days'`.execute(shop.ownerStore.db);
    await shop.store.deleteAbandonedUploads(new Date(Date.now() - DAY_SECONDS * 1000));
    request.end();

    expect(await response).toMatchObject({
      status: 408,
      body: {
        type: '/problems/request-timeout',
        detail: 'the upload stored no items for 24 hours, so its items were deleted; send the upload again',
      },
    });
    expect(await countBatchRows(shop.store, batchId)).toEqual({ batches: 0, attempts: 0, uploads: 0, orphans: 0 });
  });

  test('slow uploads that end with 408 free their slots', async () => {
    const slow = createMany(4, () => openSlowUpload(strict, ada));
    const responses = await Promise.all(slow.map(({ response }) => response));
    expect(responses.map(({ status }) => status)).toEqual([408, 408, 408, 408]);
    expect((await sendUpload(strict, ada)).status).toBe(202);
  });

  test('does not end an upload that is slow because the database is slow', async () => {
    const lock = await lockChunks(shop.ownerDatabaseUrl);
    const text = item.repeat(200_000);
    const held = sendUpload(strict, ada, { text });
    await lock.waitForBlocked();
    // This upload ends after the minimum speed was checked several times.
    expect((await openSlowUpload(strict, ben).response).status).toBe(408);
    expect((await openSlowUpload(strict, ben).response).status).toBe(408);
    await lock.release();

    const { status, body } = await held;
    expect([status, body.total]).toEqual([202, 200_000]);
  });
});
