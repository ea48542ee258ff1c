import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import { gzipSync } from 'node:zlib';
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../../src/batch-operations/index.js';
import type { BatchFailure } from '../../../src/schemas/batch.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import {
  NDJSON,
  ndjson,
  openRequest,
  upload,
  uploadPath,
  useBatchApi,
  type Upload,
} from '../../support/api/batch-api.js';
import { countBatchRows, waitForUploads } from '../../support/database/batch-store.js';
import { lockChunks, terminateBlockedConnections } from '../../support/database/database-lock.js';
import { createMany } from '../../support/create-many.js';
import { startBatch, waitForBatchProgress } from '../../support/shop/batches.js';
import { addProduct, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('POST /v1/batches', () => {
  const batchApi = useBatchApi();
  const { get, stockOf, waitForStatus } = batchApi;
  let shop: Shop;
  let api: Api;
  beforeAll(() => void ({ shop, api } = batchApi));

  const waitForUploadCount = (count: number) => waitForUploads(shop.store, count);

  /** Checks that neither the store nor Temporal has the batch, and that the store has no orphaned items. */
  async function expectNotStored(batchId: string): Promise<void> {
    // The API responds before it deletes the items.
    const rows = () => countBatchRows(shop.store, batchId);
    await expect.poll(rows, { timeout: 15_000 }).toEqual({ batches: 0, attempts: 0, uploads: 0, orphans: 0 });
    const workflow = shop.client.workflow.getHandle(batchWorkflowId(batchId));
    await expect(workflow.describe()).rejects.toBeInstanceOf(WorkflowNotFoundError);
    expect((await get(batchId)).status).toBe(404);
  }

  describe('uploads', () => {
    test('an NDJSON upload returns 202 with the location, and each item is processed', async () => {
      const { sku } = await addProduct(shop.store, { available: 0 });
      const batchId = randomUUID();
      const items = createMany(25, () => ({ sku, quantity: 2 }));
      const { status, headers, body } = await upload(api, {
        text: ndjson(items),
        query: { batchId, itemsPerChunk: '10' },
      });

      expect(status).toBe(202);
      expect(headers.get('location')).toBe(`/v1/batches/${batchId}`);
      expect(body).toEqual({ batchId, status: 'running', total: 25 });
      const time = expect.stringMatching(/^\d{4}-.*Z$/);
      expect(await waitForStatus(batchId, 'completed')).toEqual({
        batchId,
        status: 'completed',
        operation: 'restock',
        itemsPerChunk: 10,
        total: 25,
        succeeded: 25,
        failed: 0,
        attempt: 1,
        chunks: 3,
        startedAt: time,
        closedAt: time,
        workflow: { workflowId: batchWorkflowId(batchId), runId: expect.any(String) },
      });
      expect(await stockOf(sku)).toBe(50);
      const description = await shop.client.workflow.getHandle(batchWorkflowId(batchId)).describe();
      expect(description).toMatchObject({ type: 'batch', taskQueue: 'batches' });
      expect(await description.staticSummary()).toBe('restock: 25 items');
    });

    test('reads the columns of a CSV upload as item fields', async () => {
      const [mug, filter] = [await addProduct(shop.store), await addProduct(shop.store)];
      const text = `sku,price.value,price.currency\r\n${mug.sku},77,EUR\r\n"${filter.sku}",88,EUR\r\nNOT-THERE,1,EUR\r\n`;
      const { status, body } = await upload(api, {
        text,
        type: 'text/csv; charset=utf-8',
        query: { operation: 'price-update' },
      });

      expect([status, body.total]).toEqual([202, 3]);
      expect(await waitForStatus(body.batchId, 'completed_with_failures')).toMatchObject({ succeeded: 2, failed: 1 });
      const products = await shop.store.findProducts([mug.sku, filter.sku]);
      expect([products.get(mug.sku)?.price.value, products.get(filter.sku)?.price.value]).toEqual([77, 88]);
      const failures = await api.get<{ items: BatchFailure[] }>(`/v1/batches/${body.batchId}/failures`);
      expect(failures.body).toEqual({
        items: [
          {
            line: 4,
            item: { sku: 'NOT-THERE', price: { value: 1, currency: 'EUR' } },
            reason: { type: 'UnknownSku', message: 'not in the catalogue: NOT-THERE' },
          },
        ],
      });
    });

    test('creates a new batch for each upload that has no batch id', async () => {
      const { sku } = await addProduct(shop.store);
      const text = ndjson([{ sku, quantity: 1 }]);
      const [first, second] = [await upload(api, { text }), await upload(api, { text })];

      expect([first.status, second.status]).toEqual([202, 202]);
      expect(first.headers.get('location')).toBe(`/v1/batches/${first.body.batchId}`);
      expect(first.body.batchId).toMatch(/^[0-9a-f-]{36}$/);
      expect(second.body.batchId).not.toBe(first.body.batchId);
      await waitForStatus(first.body.batchId, 'completed');
      await waitForStatus(second.body.batchId, 'completed');
      expect(await stockOf(sku)).toBe(12);
    });

    test.each([
      [NDJSON, 2],
      ['application/ndjson', 2],
      ['application/jsonl; charset=utf-8', 2],
      ['Application/JSONL', 2],
      ['text/csv', 1],
      ['TEXT/CSV; header=present', 1],
    ])('accepts an upload with the content type %s', async (type, total) => {
      const { sku } = await addProduct(shop.store);
      const items = [
        { sku, quantity: 1 },
        { sku, quantity: 1 },
      ];
      const text = total === 2 ? ndjson(items) : `sku,quantity\n${sku},1\n`;
      const { status, body } = await upload(api, { text, type });

      expect([status, body.total]).toEqual([202, total]);
      await waitForStatus(body.batchId, 'completed');
    });

    test.each([
      [undefined, operations.get('restock')!.itemsPerChunk, 1],
      ['1', 1, 7],
      ['3', 3, 3],
      ['5000', 5_000, 1],
    ])('with itemsPerChunk=%s, a chunk contains at most %i items', async (given, itemsPerChunk, chunks) => {
      const { sku } = await addProduct(shop.store);
      const text = ndjson(createMany(7, () => ({ sku, quantity: 1 })));
      const { body } = await upload(api, { text, query: { ...(given && { itemsPerChunk: given }) } });

      expect(await waitForStatus(body.batchId, 'completed')).toMatchObject({ itemsPerChunk, chunks, succeeded: 7 });
    });

    test.each<[string, Record<string, string>, string, string]>([
      ['itemsPerChunk is 0', { itemsPerChunk: '0' }, '', '/itemsPerChunk'],
      ['itemsPerChunk is negative', { itemsPerChunk: '-1' }, '', '/itemsPerChunk'],
      ['itemsPerChunk is too large', { itemsPerChunk: '5001' }, '', '/itemsPerChunk'],
      ['itemsPerChunk is a fraction', { itemsPerChunk: '1.5' }, '', '/itemsPerChunk'],
      ['itemsPerChunk is not a number', { itemsPerChunk: 'many' }, '', '/itemsPerChunk'],
      ['itemsPerChunk is empty', { itemsPerChunk: '' }, '', '/itemsPerChunk'],
      ['itemsPerChunk is repeated', { itemsPerChunk: '1' }, '&itemsPerChunk=2', '/itemsPerChunk'],
      ['the operation is unknown', { operation: 'delete-all' }, '', '/operation'],
      ['the operation is a property of every object', { operation: 'constructor' }, '', '/operation'],
      ['the operation is empty', { operation: '' }, '', '/operation'],
      ['the operation is repeated', {}, '&operation=restock', '/operation'],
      ['the id is invalid', { batchId: 'a b' }, '', '/batchId'],
      ['the id is empty', { batchId: '' }, '', '/batchId'],
      ['the id is too long', { batchId: 'x'.repeat(65) }, '', '/batchId'],
      ['the id has a slash', { batchId: 'a/0' }, '', '/batchId'],
      ['the query has an unknown parameter', { limit: '1' }, '', '/limit'],
    ])(
      'rejects an upload with 400 and the name of the invalid parameter when %s',
      async (_description, query, more, pointer) => {
        const { status, headers, body } = await api.request('POST', uploadPath(query) + more, {
          text: ndjson([{ sku: 'MUG', quantity: 1 }]),
          headers: { 'content-type': NDJSON },
        });

        expect(status).toBe(400);
        expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
        expect(body).toMatchObject({ type: '/problems/invalid-request', errors: [{ pointer }] });
        expect(body.errors).toHaveLength(1);
      },
    );

    test('rejects an unknown or missing operation with 400, and lists the known operations for an unknown operation', async () => {
      const unknown = await upload(api, { text: '', query: { operation: 'delete-all' } });
      expect(unknown.body.errors).toEqual([{ pointer: '/operation', detail: 'must be one of price-update, restock' }]);
      const { status, body } = await api.request('POST', '/v1/batches', {
        text: '',
        headers: { 'content-type': NDJSON },
      });
      expect([status, body.errors?.map(({ pointer }) => pointer)]).toEqual([400, ['/operation']]);
    });

    test.each([
      'application/json',
      'text/plain',
      'text/csvx',
      'application/octet-stream',
      'multipart/form-data; boundary=x',
      'application/x-www-form-urlencoded',
      'nonsense',
    ])('returns 415 for an upload with the content type %s', async (type) => {
      const batchId = randomUUID();
      const { status, headers, body } = await upload(api, { text: '{"sku":"MUG"}', type, query: { batchId } });

      expect(status).toBe(415);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(body).toMatchObject({ type: '/problems/unsupported-media-type', status: 415 });
      await expectNotStored(batchId);
    });

    const sendCompressed = (bytes: Uint8Array, query: Record<string, string>, type = NDJSON, coding = 'gzip') => {
      const { request, response } = openRequest(api, uploadPath(query), {
        headers: { 'content-type': type, 'content-encoding': coding },
      });
      request.end(bytes);
      return response;
    };

    test('accepts an NDJSON upload with Content-Encoding: gzip', async () => {
      const { sku } = await addProduct(shop.store, { available: 0 });
      const batchId = randomUUID();
      const items = createMany(2_500, () => ({ sku, quantity: 1 }));

      const { status, body } = await sendCompressed(gzipSync(ndjson(items)), { batchId });

      expect([status, body.total]).toEqual([202, 2_500]);
      await waitForStatus(batchId, 'completed');
      expect(await stockOf(sku)).toBe(2_500);
    });

    test('accepts a CSV upload with semicolons and Content-Encoding: x-gzip', async () => {
      const { sku } = await addProduct(shop.store, { available: 0 });
      const batchId = randomUUID();
      const text = `quantity;sku\r\n7;${sku}\r\n`;

      const response = await sendCompressed(gzipSync(text), { batchId, delimiter: 'semicolon' }, 'text/csv', 'x-gzip');

      expect(response.status).toBe(202);
      await waitForStatus(batchId, 'completed');
      expect(await stockOf(sku)).toBe(7);
    });

    test.each<[string, (compressed: Buffer) => Uint8Array]>([
      ['is not gzip', () => Buffer.from('{"sku":"MUG","quantity":1}')],
      ['is cut off', (compressed) => compressed.subarray(0, compressed.length - 12)],
      ['is corrupt', (compressed) => compressed.map((byte, at) => (at > 30 ? byte ^ 0x55 : byte))],
    ])('returns 400 and stores nothing when a gzip body %s', async (_description, change) => {
      const batchId = randomUUID();
      const items = createMany(500, (index) => ({ sku: `SKU-${index}`, quantity: 1 }));

      const { status, body } = await sendCompressed(change(gzipSync(ndjson(items))), { batchId });

      expect([status, body.type]).toEqual([400, '/problems/malformed-request']);
      expect(body.detail).toBe('the body is not valid gzip, or is incomplete');
      await expectNotStored(batchId);
    });

    test('rejects a compressed body with 413 when its decompressed size exceeds the limit', async () => {
      const small = await startApi({ ...shop, batchUploadLimits: { maxBytes: 1_000_000 } });
      try {
        const bomb = gzipSync(Buffer.from('{"sku":"MUG","quantity":1}\n'.repeat(400_000)));
        expect(bomb.length).toBeLessThan(100_000);
        const { request, response } = openRequest(small, uploadPath(), {
          headers: { 'content-type': NDJSON, 'content-encoding': 'gzip' },
        });
        request.end(bomb);
        const { status, body } = await response;
        expect([status, body.type]).toEqual([413, '/problems/too-large']);
        expect((await small.get('/livez')).status).toBe(200);
      } finally {
        await small.close();
      }
    });

    test('returns 415 with the accepted types for an upload with a compression other than gzip', async () => {
      const batchId = randomUUID();
      const { status, headers, body } = await sendCompressed(Buffer.from('x'), { batchId }, NDJSON, 'br');

      expect([status, body.type]).toEqual([415, '/problems/unsupported-media-type']);
      expect(body.detail).toBe('send application/x-ndjson, text/csv, uncompressed or with Content-Encoding: gzip');
      expect([headers.accept, headers['accept-encoding']]).toEqual([
        'application/x-ndjson, text/csv',
        'gzip, identity',
      ]);
      await expectNotStored(batchId);
    });

    test('returns 400 for an unknown delimiter, and for any delimiter with NDJSON', async () => {
      for (const [type, delimiter] of [
        [NDJSON, 'comma'],
        ['text/csv', '|'],
      ] as const) {
        const { status, body } = await upload(api, { text: 'sku\nA\n', type, query: { delimiter } });
        expect([status, body]).toMatchObject([400, { errors: [{ pointer: '/delimiter' }] }]);
      }
    });

    test.each(['a body', 'no body'])(
      'returns 415 for an upload with %s when the content type is missing',
      async (what) => {
        const { request, response } = openRequest(api, uploadPath(), {
          headers: what === 'a body' ? { 'transfer-encoding': 'chunked' } : { 'content-length': '0' },
        });
        request.end(what === 'a body' ? '{"sku":"MUG"}' : undefined);
        const { status, body } = await response;

        expect([status, body.type]).toEqual([415, '/problems/unsupported-media-type']);
      },
    );

    test.each(['PUT', 'DELETE', 'PATCH'])('rejects %s /v1/batches with 405', async (method) => {
      expect((await api.request(method, '/v1/batches')).status).toBe(405);
    });
  });

  describe('uploads with invalid items', () => {
    test('an upload with invalid lines returns 422 with the pointers of each line, and stores nothing', async () => {
      const batchId = randomUUID();
      const good = JSON.stringify({ sku: 'MUG', quantity: 1 });
      const lines = [
        good,
        good,
        '{"sku":"mug","quantity":0}',
        '',
        good,
        '{"sku":"MUG","quantity":1',
        '{"sku":"MUG","quantity":1,"price":{"value":1}}',
        '[]',
        good,
      ];
      const { status, headers, body } = await upload(api, {
        text: lines.join('\n'),
        query: { batchId, itemsPerChunk: '1' },
      });

      expect(status).toBe(422);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(body).toMatchObject({
        type: '/problems/invalid-items',
        detail: '4 lines are invalid; nothing was stored',
        errors: [
          { line: 3, pointer: '/sku' },
          { line: 3, pointer: '/quantity' },
          { line: 6, pointer: '', detail: expect.stringMatching(/^is not JSON: /) },
          { line: 7, pointer: '/price', detail: 'is not a known field' },
          { line: 8, pointer: '' },
        ],
      });
      expect(body.errors).toHaveLength(5);
      await expectNotStored(batchId);
    });

    test('lists only the first 100 invalid lines of an upload', async () => {
      const batchId = randomUUID();
      const items = createMany(250, (n) => ({ sku: 'MUG', quantity: n % 2 }));
      const { status, body } = await upload(api, { text: ndjson(items), query: { batchId, itemsPerChunk: '1' } });

      expect([status, body.type]).toEqual([422, '/problems/invalid-items']);
      expect(body.detail).toMatch(/lines are invalid; nothing was stored$/);
      expect(body.errors).toMatchObject(createMany(100, (n) => ({ line: n * 2 + 1, pointer: '/quantity' })));
      expect(body.errors).toHaveLength(100);
      await expectNotStored(batchId);
    });

    test.each([
      ['no items', NDJSON, ''],
      ['blank lines', NDJSON, '\n \n\r\n'],
      ['no items', 'text/csv', ''],
      ['a wrong column', 'text/csv', 'sku,amount\nMUG,1\n'],
      ['a wrong value', 'text/csv', 'sku,quantity\nMUG,none\n'],
    ])('returns 422 and stores nothing for an upload with %s in %s', async (_description, type, text) => {
      const batchId = randomUUID();
      const { status, body } = await upload(api, { text, type, query: { batchId } });
      expect([status, body.type]).toEqual([422, '/problems/invalid-items']);
      await expectNotStored(batchId);
    });

    test('a corrected upload can use the batch id of a rejected upload', async () => {
      const batchId = randomUUID();
      const { sku } = await addProduct(shop.store);
      expect((await upload(api, { text: '{}', query: { batchId } })).status).toBe(422);
      expect((await upload(api, { text: ndjson([{ sku, quantity: 1 }]), query: { batchId } })).status).toBe(202);
      await waitForStatus(batchId, 'completed');
    });

    test('returns 400 and stores nothing when an upload is not UTF-8', async () => {
      const batchId = randomUUID();
      const { request, response } = openRequest(api, uploadPath({ batchId }));
      request.end(Buffer.concat([Buffer.from(ndjson([{ sku: 'MUG', quantity: 1 }])), Buffer.from([0xff, 0xfe])]));
      const { status, body } = await response;
      expect([status, body.type]).toEqual([400, '/problems/malformed-request']);
      await expectNotStored(batchId);
    });
  });

  describe('uploads above the size limits', () => {
    const LIMITS = { maxBytes: 2_000, maxLineLength: 100 };
    let small: Api;
    beforeAll(async () => {
      small = await startApi({ ...shop, batchUploadLimits: LIMITS });
    });
    afterAll(() => small?.close());

    const line = ndjson([{ sku: 'MUG', quantity: 1 }]);

    test.each([
      ['the body exceeds the size limit', NDJSON, line.repeat(100), /^the body has more than 2000 bytes$/],
      ['a line is too long', NDJSON, `${line.repeat(3)}{"sku":"${'M'.repeat(100)}"}\n`, /^line 4 has more than 100/],
      ['a line never ends', NDJSON, 'x'.repeat(200), /^line 1 has more than 100/],
      ['a quote is never closed', 'text/csv', `sku,quantity\n"MUG,1\n${'MUG,1\n'.repeat(30)}`, /^the record at line 2/],
    ])('returns 413 and stores nothing when %s', async (_description, type, text, detail) => {
      const batchId = randomUUID();
      const { status, body } = await upload(small, { text, type, query: { batchId, itemsPerChunk: '1' } });

      expect([status, body.type]).toEqual([413, '/problems/too-large']);
      expect(body.detail).toMatch(detail);
      await expectNotStored(batchId);
    });

    test('accepts an upload of exactly the maximum size', async () => {
      const text = line.repeat(50).padEnd(LIMITS.maxBytes, '\n');
      const { status, body } = await upload(small, { text });
      expect([status, body.total]).toEqual([202, 50]);
      await waitForStatus(body.batchId, 'completed_with_failures');
    });

    test('a client that sends its whole body before it reads the response still receives the 413', async () => {
      const { request, response } = openRequest(small, uploadPath());
      request.end(line.repeat(500_000));
      expect((await response).status).toBe(413);
    });

    test('the next upload succeeds after an upload on the same connection was rejected midway', async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      try {
        for (const text of [line.repeat(50_000), line]) {
          const { request, response } = openRequest(small, uploadPath(), {
            headers: { 'content-type': NDJSON },
            agent,
          });
          request.end(text);
          expect((await response).status).toBe(text === line ? 202 : 413);
        }
      } finally {
        agent.destroy();
      }
    });
  });

  describe('interrupted uploads', () => {
    test.each([
      ['uses chunked transfer encoding', {}],
      ['has a Content-Length', { 'content-length': '100000' }],
    ])('stores nothing when the client disconnects during an upload that %s', async (_description, more) => {
      const batchId = randomUUID();
      const { sku } = await addProduct(shop.store);
      const query = { batchId, itemsPerChunk: '1' };
      const text = ndjson(createMany(20, () => ({ sku, quantity: 1 })));
      const { request } = openRequest(api, uploadPath(query), { headers: { 'content-type': NDJSON, ...more } });
      request.write(text);
      await waitForUploadCount(1);
      request.destroy();
      await waitForUploadCount(0);

      await expectNotStored(batchId);
      expect((await upload(api, { text, query })).status).toBe(202);
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ total: 20, succeeded: 20 });
      expect(await stockOf(sku)).toBe(30);
    });

    test('an upload returns 503 when the database closes its connection, and the next upload succeeds', async () => {
      const batchId = randomUUID();
      const { sku } = await addProduct(shop.store);
      const item = ndjson([{ sku, quantity: 1 }]);
      const query = { batchId, itemsPerChunk: '1' };
      const lock = await lockChunks(shop.ownerDatabaseUrl);
      const cut = upload(api, { text: item, query });
      await lock.waitForBlocked();
      await terminateBlockedConnections(shop.ownerDatabaseUrl);
      await lock.release();

      const { status, headers, body } = await cut;
      expect([status, body.type, headers.get('retry-after')]).toEqual([503, '/problems/store-unavailable', '5']);
      await expectNotStored(batchId);
      expect((await upload(api, { text: item, query })).status).toBe(202);
      await waitForStatus(batchId, 'completed');
    });

    test('an upload returns 503 when a write to the database fails with EPIPE', async () => {
      const stageBatch = () => Promise.reject(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      const cut = await startApi({ ...shop, store: { ...shop.store, stageBatch } });
      try {
        const { status, body } = await upload(cut, { text: ndjson([{ sku: 'MUG', quantity: 1 }]) });
        expect([status, body.type]).toEqual([503, '/problems/store-unavailable']);
      } finally {
        await cut.close();
      }
    });

    test('many uploads over one connection cause no Node.js warning', async () => {
      const warnings: string[] = [];
      const recordWarning = ({ name }: Error) => void warnings.push(name);
      process.on('warning', recordWarning);
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const { sku } = await addProduct(shop.store);
      const text = ndjson([{ sku, quantity: 1 }]);
      const ports = new Set<number | undefined>();
      const batchIds: string[] = [];
      try {
        for (let count = 0; count < 12; count += 1) {
          const { request, response } = openRequest(api, uploadPath(), { agent });
          request.end(text);
          const { status, body } = await response;
          expect(status).toBe(202);
          ports.add(request.socket?.localPort);
          batchIds.push(body.batchId);
        }
      } finally {
        agent.destroy();
        process.off('warning', recordWarning);
      }
      for (const batchId of batchIds) await waitForStatus(batchId, 'completed');
      expect(ports.size).toBe(1);
      expect(warnings).toEqual([]);
    });
  });

  describe('the batch id as an idempotency key', () => {
    test('a repeated upload returns the same batch, and each item is processed once', async () => {
      const { sku } = await addProduct(shop.store);
      const given = { text: ndjson(createMany(5, () => ({ sku, quantity: 1 }))), query: { batchId: randomUUID() } };
      const { batchId } = given.query;
      const first = await upload(api, given);
      const again = await upload(api, given);

      expect([again.status, again.headers.get('location')]).toEqual([202, first.headers.get('location')]);
      expect(again.body).toMatchObject({ batchId, total: 5 });
      const { workflow } = await waitForStatus(batchId, 'completed');
      const late = await upload(api, given);
      expect([late.status, late.body]).toEqual([202, { batchId, total: 5, status: 'completed' }]);
      expect((await get(batchId)).body).toMatchObject({ workflow, attempt: 1 });
      expect(await stockOf(sku)).toBe(15);
    });

    test.each<[string, Partial<Upload>]>([
      ['other items', { text: ndjson([{ sku: 'MUG', quantity: 2 }]) }],
      [
        'another operation',
        { text: ndjson([{ sku: 'MUG', price: { value: 1, currency: 'EUR' } }]), query: { operation: 'price-update' } },
      ],
      ['another chunk size', { query: { itemsPerChunk: '7' } }],
    ])(
      'returns 409 for a repeated batch id with %s, and keeps the first batch',
      async (_description, { text, query }) => {
        const batchId = randomUUID();
        const given = { text: ndjson([{ sku: 'MUG', quantity: 1 }]), query: { batchId } };
        await upload(api, given);
        const { status, body } = await upload(api, { text: text ?? given.text, query: { ...given.query, ...query } });

        expect(status).toBe(409);
        expect(body).toMatchObject({ type: '/problems/batch-id-taken', batchId });
        expect(await waitForStatus(batchId, 'completed_with_failures')).toMatchObject({
          operation: 'restock',
          total: 1,
        });
      },
    );

    test('an upload runs although a workflow with its batch id was started earlier and failed', async () => {
      const batchId = randomUUID();
      const early = await startBatch(shop.client, batchId);
      await expect(early.result()).rejects.toThrow();
      const { sku } = await addProduct(shop.store);

      const text = ndjson([{ sku, quantity: 1 }]);
      const { status, body } = await upload(api, { text, query: { batchId } });

      expect([status, body.status]).toEqual([202, 'running']);
      await waitForBatchProgress(shop.store, batchId, ({ succeeded }) => succeeded === 1, 'its item');
    });

    test('simultaneous identical uploads create one batch, and each upload returns this batch', async () => {
      const { sku } = await addProduct(shop.store);
      const batchId = randomUUID();
      const text = ndjson(createMany(10, () => ({ sku, quantity: 1 })));
      const responses = await Promise.all(
        createMany(4, () => upload(api, { text, query: { batchId, itemsPerChunk: '2' } })),
      );

      expect(responses.map(({ status, body }) => [status, body.batchId, body.total])).toEqual(
        createMany(4, () => [202, batchId, 10]),
      );
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 10, attempt: 1, chunks: 5 });
      expect(await stockOf(sku)).toBe(20);
    });

    test('of two different simultaneous uploads with the same batch id, one returns 202 and the other 409', async () => {
      const { sku } = await addProduct(shop.store, { available: 0 });
      const batchId = randomUUID();
      const uploads = [1, 1_000].map((quantity) => {
        const opened = openRequest(api, uploadPath({ batchId, itemsPerChunk: '1' }));
        const text = ndjson([{ sku, quantity }]);
        opened.request.write(text);
        return { ...opened, quantity, text };
      });
      await waitForUploadCount(2);
      for (const { request, text } of uploads) request.end(text);
      const responses = await Promise.all(uploads.map(({ response }) => response));

      expect(responses.map(({ status }) => status).toSorted()).toEqual([202, 409]);
      expect(responses.find(({ status }) => status === 409)!.body.type).toBe('/problems/batch-id-taken');
      await waitForStatus(batchId, 'completed');
      const stored = uploads[responses.findIndex(({ status }) => status === 202)]!;
      expect(await stockOf(sku)).toBe(stored.quantity * 2);
    });
  });

  describe('simultaneous uploads', () => {
    test('a fifth simultaneous upload returns 503 until one of the other four ends', async () => {
      const item = ndjson([{ sku: 'MUG', quantity: 1 }]);
      const open = createMany(4, () => openRequest(api, uploadPath({ itemsPerChunk: '1' })));
      for (const { request } of open) request.write(item);
      await waitForUploadCount(4);

      const batchId = randomUUID();
      const given = { text: item, query: { batchId } };
      const { status, headers, body } = await upload(api, given);
      expect([status, body.type, headers.get('retry-after')]).toEqual([503, '/problems/too-many-uploads', '5']);
      await expectNotStored(batchId);

      const [gone, ...others] = open;
      gone!.request.destroy();
      await waitForUploadCount(3);
      expect((await upload(api, given)).status).toBe(202);
      for (const { request } of others) request.end(item);
      const responses = await Promise.all(others.map(({ response }) => response));
      expect(responses.map(({ status, body }) => [status, body.total])).toEqual(createMany(3, () => [202, 2]));
      for (const response of responses) await waitForStatus(response.body.batchId, 'completed_with_failures');
    });

    test('rejected uploads do not count toward the limit of simultaneous uploads', async () => {
      for (let count = 0; count < 6; count += 1) expect((await upload(api, { text: '{}' })).status).toBe(422);
      expect((await upload(api, { text: ndjson([{ sku: 'MUG', quantity: 1 }]) })).status).toBe(202);
    });
  });
});
