import { randomUUID } from 'node:crypto';
import { Agent, request as httpRequest, type ClientRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { WorkflowNotFoundError } from '@temporalio/client';
import Fastify from 'fastify';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { enforceRequestTimeout } from '../../../src/api/plugins/request-timeouts.js';
import { operations } from '../../../src/batch-operations/index.js';
import type { BatchFailure, BatchResource, BatchSummary } from '../../../src/schemas/batch.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { createClient } from '../../../src/temporal/connections.js';
import { batchWorkflowId, BATCH_TASK_QUEUE } from '../../../src/workflows/batch/contract.js';
import { freePort, waitUntil } from '../../support/processes.js';
import { startApi, type ApiResponse, type Api } from '../../support/api/api.js';
import {
  makeItems,
  waitForPendingActivities,
  startBatch,
  stageTestBatch,
  waitForBatchProgress,
  TestOperations,
} from '../../support/shop/batches.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';

type Body = BatchResource & Omit<Problem, 'status'>;

const NDJSON = 'application/x-ndjson';
const ndjson = (items: unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('');
const createMany = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

interface Upload {
  text: string;
  type?: string;
  query?: Record<string, string>;
}

const uploadPath = (query: Record<string, string> = {}) =>
  `/v1/batches?${new URLSearchParams({ operation: 'restock', ...query }).toString()}`;

const upload = (api: Api, { text, type = NDJSON, query }: Upload): Promise<ApiResponse<Body>> =>
  api.request<Body>('POST', uploadPath(query), { text, headers: { 'content-type': type } });

interface RawResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: Body;
}

/** Opens a request whose body the test sends piece by piece. */
function openRequest(
  api: Api,
  path: string,
  { headers = { 'content-type': NDJSON }, agent }: { headers?: Record<string, string>; agent?: Agent } = {},
): { request: ClientRequest; response: Promise<RawResponse> } {
  const request = httpRequest(api.url + path, { method: 'POST', headers, timeout: 20_000, agent: agent ?? false });
  request.on('timeout', () => request.destroy(new Error('no answer')));
  const answer = new Promise<RawResponse>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: JSON.parse(text) as Body }),
      );
    });
  });
  answer.catch(() => undefined);
  request.flushHeaders();
  return { request, response: answer };
}

interface ServerEvent {
  event: string;
  data: BatchResource;
}

/** Reads a server-sent event stream as a browser does. */
async function openEventStream({ url }: Pick<Api, 'url'>, batchId: string) {
  const response = await fetch(`${url}/v1/batches/${batchId}/events`, {
    headers: { accept: 'text/event-stream' },
    signal: AbortSignal.timeout(30_000),
  });
  const text = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  return {
    response,
    /** Returns the next event, or undefined at the end of the stream. */
    async next(): Promise<ServerEvent | undefined> {
      for (;;) {
        const end = held.indexOf('\n\n');
        if (end < 0) {
          const { value, done } = await text.read();
          if (done) return undefined;
          held += value;
          continue;
        }
        const fields = new Map(
          held
            .slice(0, end)
            .split('\n')
            .map((line) => line.split(/: (.*)/s) as [string, string]),
        );
        held = held.slice(end + 2);
        const [event, data] = [fields.get('event'), fields.get('data')];
        if (event && data) return { event, data: JSON.parse(data) as BatchResource };
      }
    },
    /** Returns all remaining events. */
    async rest(): Promise<ServerEvent[]> {
      const events = [];
      for (let event = await this.next(); event; event = await this.next()) events.push(event);
      return events;
    },
  };
}

describeOnDevServer('/v1/batches', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  const tests = new TestOperations();

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: ['batches'], operations: tests.operations });
    api = await startApi(shop);
  });
  afterEach(() => {
    tests.unblockCalls();
    tests.clearFailures();
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const get = (batchId: string) => api.get<Body>(`/v1/batches/${batchId}`);
  const sendCommand = (batchId: string, what: string) => api.post<Body>(`/v1/batches/${batchId}/${what}`);
  const stockOf = async (sku: string) => (await shop.store.findProducts([sku])).get(sku)?.available;

  async function waitForBatch(batchId: string, expected: (batch: BatchResource) => boolean, what: string) {
    let seen: unknown;
    const poll = async () => {
      const { status, body } = await get(batchId);
      seen = body;
      return status === 200 && expected(body) ? body : undefined;
    };
    return await waitUntil(poll, { description: `batch ${batchId}: ${what}`, timeoutMs: 20_000 }).catch(
      (error: unknown) => {
        throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(seen)}`);
      },
    );
  }
  const waitForStatus = (batchId: string, status: BatchResource['status']) =>
    waitForBatch(batchId, (batch) => batch.status === status, status);

  /** Waits until the database reports this number of running uploads. */
  const waitForCopies = (count: number) =>
    waitUntil(
      async () => {
        const { rows } = await sql`
          select from pg_stat_progress_copy where datname = current_database()`.execute(shop.store.db);
        return rows.length === count || undefined;
      },
      { description: `${count} uploads being under way`, timeoutMs: 15_000, intervalMs: 20 },
    );

  /** Checks that neither the store nor Temporal has the batch and that no orphaned items remain. */
  async function expectNotStored(batchId: string): Promise<void> {
    const { rows } = await sql<{ batches: number; orphans: number }>`
      select (select count(*)::int from batches where batch_id = ${batchId}) as batches,
        (select count(*)::int from batch_chunks where attempt_id not in (select attempt_id from batch_attempts)) as orphans`.execute(
      shop.store.db,
    );
    expect(rows).toEqual([{ batches: 0, orphans: 0 }]);
    const workflow = shop.client.workflow.getHandle(batchWorkflowId(batchId));
    await expect(workflow.describe()).rejects.toBeInstanceOf(WorkflowNotFoundError);
    expect((await get(batchId)).status).toBe(404);
  }

  /** Starts a batch whose calls block until the test releases them. */
  async function startBlockedBatch(count = 4): Promise<string> {
    tests.blockCalls();
    const batchId = await stageTestBatch(shop.store, {
      operation: 'call',
      items: makeItems(count, randomUUID()),
      itemsPerChunk: 2,
    });
    expect((await sendCommand(batchId, 'retry')).status).toBe(202);
    await waitForBatch(batchId, ({ status, attempt }) => status === 'running' && attempt === 1, 'running');
    return batchId;
  }

  /** Runs a batch in which some items fail, and waits for its end. */
  async function runBatchWithFailures(failing: number, count = failing + 1): Promise<string> {
    const { sku } = await addProduct(shop.store);
    const items = createMany(count, (n) => ({ sku: n < failing ? 'NOT-THERE' : sku, quantity: 1 }));
    const { status, body } = await upload(api, { text: ndjson(items), query: { itemsPerChunk: '3' } });
    expect(status).toBe(202);
    await waitForStatus(body.batchId, failing > 0 ? 'completed_with_failures' : 'completed');
    return body.batchId;
  }

  describe('uploads', () => {
    test('returns 202 with the location for NDJSON and processes each item', async () => {
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
        round: 1,
        tasks: 3,
        startedAt: time,
        closedAt: time,
        workflow: { workflowId: batchWorkflowId(batchId), runId: expect.any(String) },
      });
      expect(await stockOf(sku)).toBe(50);
      const description = await shop.client.workflow.getHandle(batchWorkflowId(batchId)).describe();
      expect(description).toMatchObject({ type: 'batch', taskQueue: 'batches' });
      expect(await description.staticSummary()).toBe('restock: 25 items');
    });

    test('reads the columns of CSV as item fields', async () => {
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

    test('creates a new batch for each upload without an id', async () => {
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
    ])('accepts the content type %s', async (type, total) => {
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
    ])('with itemsPerChunk %s, puts at most %i items into a chunk', async (given, itemsPerChunk, tasks) => {
      const { sku } = await addProduct(shop.store);
      const text = ndjson(createMany(7, () => ({ sku, quantity: 1 })));
      const { body } = await upload(api, { text, query: { ...(given && { itemsPerChunk: given }) } });

      expect(await waitForStatus(body.batchId, 'completed')).toMatchObject({ itemsPerChunk, tasks, succeeded: 7 });
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
      ['there is an unknown field', { limit: '1' }, '', '/limit'],
    ])('rejects a query with 400 and the wrong parameter: %s', async (_description, query, more, pointer) => {
      const { status, headers, body } = await api.request('POST', uploadPath(query) + more, {
        text: ndjson([{ sku: 'MUG', quantity: 1 }]),
        headers: { 'content-type': NDJSON },
      });

      expect(status).toBe(400);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(body).toMatchObject({ type: '/problems/invalid-request', errors: [{ pointer }] });
      expect(body.errors).toHaveLength(1);
    });

    test('rejects an unknown operation with 400 and the known ones, and a missing operation with 400', async () => {
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
    ])('rejects the content type %s with 415', async (type) => {
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

    test('accepts NDJSON with Content-Encoding gzip', async () => {
      const { sku } = await addProduct(shop.store, { available: 0 });
      const batchId = randomUUID();
      const items = createMany(2_500, () => ({ sku, quantity: 1 }));

      const { status, body } = await sendCompressed(gzipSync(ndjson(items)), { batchId });

      expect([status, body.total]).toEqual([202, 2_500]);
      await waitForStatus(batchId, 'completed');
      expect(await stockOf(sku)).toBe(2_500);
    });

    test('accepts CSV with Content-Encoding gzip and semicolons', async () => {
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
      ['is changed', (compressed) => compressed.map((byte, at) => (at > 30 ? byte ^ 0x55 : byte))],
    ])('rejects a compressed body that %s with 400 and stores nothing', async (_description, change) => {
      const batchId = randomUUID();
      const items = createMany(500, (index) => ({ sku: `SKU-${index}`, quantity: 1 }));

      const { status, body } = await sendCompressed(change(gzipSync(ndjson(items))), { batchId });

      expect([status, body.type]).toEqual([400, '/problems/malformed-request']);
      expect(body.detail).toBe('the body is not valid gzip, or is incomplete');
      await expectNotStored(batchId);
    });

    test('rejects a small body that expands beyond the limit with 413', async () => {
      const small = await startApi({ ...shop, uploadLimits: { maxBytes: 1_000_000 } });
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

    test('rejects another compression with 415 that lists the accepted types', async () => {
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

    test('rejects an unknown delimiter, and any delimiter for NDJSON, with 400', async () => {
      for (const [type, delimiter] of [
        [NDJSON, 'comma'],
        ['text/csv', '|'],
      ] as const) {
        const { status, body } = await upload(api, { text: 'sku\nA\n', type, query: { delimiter } });
        expect([status, body]).toMatchObject([400, { errors: [{ pointer: '/delimiter' }] }]);
      }
    });

    test.each(['a body', 'no body'])('rejects a request with %s and without a content type with 415', async (what) => {
      const { request, response } = openRequest(api, uploadPath(), {
        headers: what === 'a body' ? { 'transfer-encoding': 'chunked' } : { 'content-length': '0' },
      });
      request.end(what === 'a body' ? '{"sku":"MUG"}' : undefined);
      const { status, body } = await response;

      expect([status, body.type]).toEqual([415, '/problems/unsupported-media-type']);
    });

    test.each(['PUT', 'DELETE', 'PATCH'])('rejects the method %s with 405', async (method) => {
      expect((await api.request(method, '/v1/batches')).status).toBe(405);
    });
  });

  describe('uploads with invalid items', () => {
    test('rejects invalid lines with 422, names each with its pointer and stores nothing', async () => {
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
        detail: '4 lines are wrong, nothing was stored',
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

    test('names the first 100 invalid lines', async () => {
      const batchId = randomUUID();
      const items = createMany(250, (n) => ({ sku: 'MUG', quantity: n % 2 }));
      const { status, body } = await upload(api, { text: ndjson(items), query: { batchId, itemsPerChunk: '1' } });

      expect([status, body.type]).toEqual([422, '/problems/invalid-items']);
      expect(body.detail).toMatch(/lines are wrong, nothing was stored$/);
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
    ])('rejects %s in %s with 422 and stores nothing', async (_description, type, text) => {
      const batchId = randomUUID();
      const { status, body } = await upload(api, { text, type, query: { batchId } });
      expect([status, body.type]).toEqual([422, '/problems/invalid-items']);
      await expectNotStored(batchId);
    });

    test('leaves the id of a rejected upload free for a corrected one', async () => {
      const batchId = randomUUID();
      const { sku } = await addProduct(shop.store);
      expect((await upload(api, { text: '{}', query: { batchId } })).status).toBe(422);
      expect((await upload(api, { text: ndjson([{ sku, quantity: 1 }]), query: { batchId } })).status).toBe(202);
      await waitForStatus(batchId, 'completed');
    });

    test('rejects a body that is not UTF-8 with 400 and stores nothing', async () => {
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
      small = await startApi({ ...shop, uploadLimits: LIMITS });
    });
    afterAll(() => small?.close());

    const line = ndjson([{ sku: 'MUG', quantity: 1 }]);

    test.each([
      ['the body exceeds the size limit', NDJSON, line.repeat(100), /^the body has more than 2000 bytes$/],
      ['a line is too long', NDJSON, `${line.repeat(3)}{"sku":"${'M'.repeat(100)}"}\n`, /^line 4 has more than 100/],
      ['a line never ends', NDJSON, 'x'.repeat(200), /^line 1 has more than 100/],
      ['a quote is never closed', 'text/csv', `sku,quantity\n"MUG,1\n${'MUG,1\n'.repeat(30)}`, /^the record at line 2/],
    ])('rejects an upload with 413 and stores nothing: %s', async (_description, type, text, detail) => {
      const batchId = randomUUID();
      const { status, body } = await upload(small, { text, type, query: { batchId, itemsPerChunk: '1' } });

      expect([status, body.type]).toEqual([413, '/problems/too-large']);
      expect(body.detail).toMatch(detail);
      await expectNotStored(batchId);
    });

    test('accepts a body of exactly the maximum size', async () => {
      const text = line.repeat(50).padEnd(LIMITS.maxBytes, '\n');
      const { status, body } = await upload(small, { text });
      expect([status, body.total]).toEqual([202, 50]);
      await waitForStatus(body.batchId, 'completed_with_failures');
    });

    test('delivers the 413 to a client that sends its whole body before it reads the response', async () => {
      const { request, response } = openRequest(small, uploadPath());
      request.end(line.repeat(500_000));
      expect((await response).status).toBe(413);
    });

    test('reuses or closes the connection after it rejects an upload midway', async () => {
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
      ['is sent in chunks', {}],
      ['has a length', { 'content-length': '100000' }],
    ])('stores nothing when the client disconnects during a body that %s', async (_description, more) => {
      const batchId = randomUUID();
      const { sku } = await addProduct(shop.store);
      const query = { batchId, itemsPerChunk: '1' };
      const text = ndjson(createMany(20, () => ({ sku, quantity: 1 })));
      const { request } = openRequest(api, uploadPath(query), { headers: { 'content-type': NDJSON, ...more } });
      request.write(text);
      await waitForCopies(1);
      request.destroy();
      await waitForCopies(0);

      await expectNotStored(batchId);
      expect((await upload(api, { text, query })).status).toBe(202);
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ total: 20, succeeded: 20 });
      expect(await stockOf(sku)).toBe(30);
    });

    test('returns 503 when the database drops the connection of an upload, and accepts the next upload', async () => {
      const batchId = randomUUID();
      const { sku } = await addProduct(shop.store);
      const item = ndjson([{ sku, quantity: 1 }]);
      const query = { batchId, itemsPerChunk: '1' };
      const { request, response } = openRequest(api, uploadPath(query));
      request.write(item);
      await waitForCopies(1);
      await sql`select pg_terminate_backend(pid) from pg_stat_progress_copy where datname = current_database()`.execute(
        shop.store.db,
      );
      await waitForCopies(0);
      request.end(item);

      const { status, headers, body } = await response;
      expect([status, body.type, headers['retry-after']]).toEqual([503, '/problems/store-unavailable', '5']);
      await expectNotStored(batchId);
      expect((await upload(api, { text: item, query })).status).toBe(202);
      await waitForStatus(batchId, 'completed');
    });

    test('returns 503 when a write discovers the lost database connection', async () => {
      const stageBatch = () => Promise.reject(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      const cut = await startApi({ ...shop, store: { ...shop.store, stageBatch } });
      try {
        const { status, body } = await upload(cut, { text: ndjson([{ sku: 'MUG', quantity: 1 }]) });
        expect([status, body.type]).toEqual([503, '/problems/store-unavailable']);
      } finally {
        await cut.close();
      }
    });

    test('serves many uploads over one connection without a warning', async () => {
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
    test('returns the same batch for a repeated upload and processes each item once', async () => {
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
      expect((await get(batchId)).body).toMatchObject({ workflow, round: 1 });
      expect(await stockOf(sku)).toBe(15);
    });

    test.each<[string, Partial<Upload>]>([
      ['other items', { text: ndjson([{ sku: 'MUG', quantity: 2 }]) }],
      [
        'another operation',
        { text: ndjson([{ sku: 'MUG', price: { value: 1, currency: 'EUR' } }]), query: { operation: 'price-update' } },
      ],
      ['another chunk size', { query: { itemsPerChunk: '7' } }],
    ])('rejects a repeated id with %s with 409 and keeps the first batch', async (_description, { text, query }) => {
      const batchId = randomUUID();
      const given = { text: ndjson([{ sku: 'MUG', quantity: 1 }]), query: { batchId } };
      await upload(api, given);
      const { status, body } = await upload(api, { text: text ?? given.text, query: { ...given.query, ...query } });

      expect(status).toBe(409);
      expect(body).toMatchObject({ type: '/problems/batch-id-taken', batchId });
      expect(await waitForStatus(batchId, 'completed_with_failures')).toMatchObject({ operation: 'restock', total: 1 });
    });

    test('runs an upload whose batch was started before it and failed', async () => {
      const batchId = randomUUID();
      const early = await startBatch(shop.client, batchId);
      await expect(early.result()).rejects.toThrow();
      const { sku } = await addProduct(shop.store);

      const text = ndjson([{ sku, quantity: 1 }]);
      const { status, body } = await upload(api, { text, query: { batchId } });

      expect([status, body.status]).toEqual([202, 'running']);
      await waitForBatchProgress(shop.store, batchId, ({ succeeded }) => succeeded === 1, 'its item');
    });

    test('creates one batch for simultaneous identical uploads and returns it to each', async () => {
      const { sku } = await addProduct(shop.store);
      const batchId = randomUUID();
      const text = ndjson(createMany(10, () => ({ sku, quantity: 1 })));
      const responses = await Promise.all(
        createMany(4, () => upload(api, { text, query: { batchId, itemsPerChunk: '2' } })),
      );

      expect(responses.map(({ status, body }) => [status, body.batchId, body.total])).toEqual(
        createMany(4, () => [202, batchId, 10]),
      );
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 10, round: 1, tasks: 5 });
      expect(await stockOf(sku)).toBe(20);
    });

    test('gives the id to one of two different simultaneous uploads and returns 409 to the other', async () => {
      const { sku } = await addProduct(shop.store, { available: 0 });
      const batchId = randomUUID();
      const uploads = [1, 1_000].map((quantity) => {
        const opened = openRequest(api, uploadPath({ batchId, itemsPerChunk: '1' }));
        const text = ndjson([{ sku, quantity }]);
        opened.request.write(text);
        return { ...opened, quantity, text };
      });
      await waitForCopies(2);
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
    test('returns 503 for a fifth upload until one of four ends', async () => {
      const item = ndjson([{ sku: 'MUG', quantity: 1 }]);
      const open = createMany(4, () => openRequest(api, uploadPath({ itemsPerChunk: '1' })));
      for (const { request } of open) request.write(item);
      await waitForCopies(4);

      const batchId = randomUUID();
      const given = { text: item, query: { batchId } };
      const { status, headers, body } = await upload(api, given);
      expect([status, body.type, headers.get('retry-after')]).toEqual([503, '/problems/too-many-uploads', '5']);
      await expectNotStored(batchId);

      const [gone, ...others] = open;
      gone!.request.destroy();
      await waitForCopies(3);
      expect((await upload(api, given)).status).toBe(202);
      for (const { request } of others) request.end(item);
      const responses = await Promise.all(others.map(({ response }) => response));
      expect(responses.map(({ status, body }) => [status, body.total])).toEqual(createMany(3, () => [202, 2]));
      for (const response of responses) await waitForStatus(response.body.batchId, 'completed_with_failures');
    });

    test('does not count rejected uploads as running', async () => {
      for (let count = 0; count < 6; count += 1) expect((await upload(api, { text: '{}' })).status).toBe(422);
      expect((await upload(api, { text: ndjson([{ sku: 'MUG', quantity: 1 }]) })).status).toBe(202);
    });
  });

  describe('unknown batches', () => {
    test.each([
      ['GET', ''],
      ['GET', '/failures'],
      ['GET', '/events'],
      ['POST', '/pause'],
      ['POST', '/resume'],
      ['POST', '/cancel'],
      ['POST', '/retry'],
    ])('returns 404 for an unknown batch: %s %s', async (method, path) => {
      const { status, body } = await api.request(method, `/v1/batches/${randomUUID()}${path}`);
      expect([status, body.type]).toEqual([404, '/problems/not-found']);
    });

    test('returns 404 for a batch id with a workflow but without an upload', async () => {
      const batchId = randomUUID();
      const handle = await shop.client.workflow.start('batch', {
        workflowId: batchWorkflowId(batchId),
        taskQueue: 'batches',
        args: [{ batchId }],
      });
      await handle.result().catch(() => undefined);
      for (const path of ['', '/failures', '/events']) {
        expect((await api.get(`/v1/batches/${batchId}${path}`)).status).toBe(404);
      }
      for (const what of ['pause', 'resume', 'cancel', 'retry'])
        expect((await sendCommand(batchId, what)).status).toBe(404);
    });

    test.each(['/v1/batches/a%20b', '/v1/batches/a%20b/failures', '/v1/batches/-/events'])(
      'rejects %s, whose batch id is invalid, with 400',
      async (path) => {
        expect((await api.get(path)).body).toMatchObject({ status: 400, errors: [{ pointer: '/batchId' }] });
      },
    );
  });

  describe('GET /v1/batches/{id}/failures', () => {
    interface Page {
      items: BatchFailure[];
      nextCursor?: string;
    }

    test('lists failed items page by page in the order of their lines', async () => {
      const { sku } = await addProduct(shop.store);
      const items = createMany(9, (n) => ({ sku: n % 2 ? sku : `NONE-${n}`, quantity: 1 }));
      const { body } = await upload(api, { text: ndjson(items), query: { itemsPerChunk: '4' } });
      const { batchId } = body;
      await waitForStatus(batchId, 'completed_with_failures');

      for (const limit of [1, 2, 4, 5, 200]) {
        const found: BatchFailure[] = [];
        for (let cursor: string | undefined = ''; cursor !== undefined;) {
          const query = `limit=${limit}${cursor && `&cursor=${cursor}`}`;
          const page: ApiResponse<Page> = await api.get<Page>(`/v1/batches/${batchId}/failures?${query}`);
          expect(page.status).toBe(200);
          expect(page.body.items.length).toBeLessThanOrEqual(limit);
          found.push(...page.body.items);
          cursor = page.body.nextCursor;
        }
        expect(found).toEqual(
          [0, 2, 4, 6, 8].map((n) => ({
            line: n + 1,
            item: { sku: `NONE-${n}`, quantity: 1 },
            reason: { type: 'UnknownSku', message: `not in the catalogue: NONE-${n}` },
          })),
        );
      }
    });

    test('returns an empty list when no item failed', async () => {
      const batchId = await runBatchWithFailures(0);
      expect((await api.get(`/v1/batches/${batchId}/failures`)).body).toEqual({ items: [] });
    });

    test('rejects a cursor of another list with 400', async () => {
      const batchId = await runBatchWithFailures(3);
      await addProduct(shop.store);
      const { body: products } = await api.get<Page>('/v1/products?limit=1');
      const { body: failures } = await api.get<Page>(`/v1/batches/${batchId}/failures?limit=1`);
      expect(failures.nextCursor).toEqual(expect.any(String));

      for (const path of [
        `/v1/batches/${batchId}/failures?cursor=AAAA`,
        `/v1/batches/${batchId}/failures?cursor=not+a+cursor`,
        `/v1/batches/${batchId}/failures?cursor=${products.nextCursor}`,
        `/v1/batches?cursor=${failures.nextCursor}`,
        `/v1/products?cursor=${failures.nextCursor}`,
      ]) {
        const { status, body } = await api.get(path);
        expect([status, body.errors?.map(({ pointer }) => pointer)]).toEqual([400, ['/cursor']]);
      }
    });

    test.each(['limit=0', 'limit=201', 'limit=x', 'page=2'])('rejects the query %s with 400', async (query) => {
      const batchId = await stageTestBatch(shop.store, { items: [{ sku: 'MUG', quantity: 1 }] });
      expect((await api.get(`/v1/batches/${batchId}/failures?${query}`)).status).toBe(400);
    });
  });

  describe('pause, resume, cancel and retry', () => {
    const commandRejection = async (batchId: string, what: string) => {
      const { status, body } = await sendCommand(batchId, what);
      expect(body.batchId).toBe(batchId);
      return `${status} ${String(body.type)}`;
    };

    test('processes all items after repeated pauses and resumes', async () => {
      const batchId = await startBlockedBatch();
      const pauses = [await sendCommand(batchId, 'pause'), await sendCommand(batchId, 'pause')];
      expect(pauses.map(({ status, body }) => [status, body.batchId])).toEqual(createMany(2, () => [202, batchId]));
      await waitForStatus(batchId, 'paused');
      expect(await sendCommand(batchId, 'pause')).toMatchObject({ status: 202, body: { status: 'paused' } });
      await waitForPendingActivities(
        shop.client.workflow.getHandle(batchWorkflowId(batchId)),
        (pending) => pending === 0,
      );
      tests.unblockCalls();
      expect((await get(batchId)).body).toMatchObject({ status: 'paused', succeeded: 0, failed: 0 });

      expect((await sendCommand(batchId, 'resume')).status).toBe(202);
      expect((await sendCommand(batchId, 'resume').catch(() => undefined))?.status).toSatisfy((status) =>
        [202, 409].includes(status as number),
      );
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 4, round: 1 });
    });

    test('resumes a running batch without an effect', async () => {
      const batchId = await startBlockedBatch();
      expect(await sendCommand(batchId, 'resume')).toMatchObject({ status: 202, body: { status: 'running' } });
      tests.unblockCalls();
      await waitForStatus(batchId, 'completed');
    });

    test('accepts a repeated cancel, and a retry processes the remaining items', async () => {
      const batchId = await startBlockedBatch();
      for (let count = 0; count < 2; count += 1) expect((await sendCommand(batchId, 'cancel')).status).toBe(202);
      expect(await waitForStatus(batchId, 'cancelled')).toMatchObject({ succeeded: 0, closedAt: expect.any(String) });
      expect(await sendCommand(batchId, 'cancel')).toMatchObject({ status: 202, body: { status: 'cancelled' } });
      for (const what of ['pause', 'resume']) {
        expect(await commandRejection(batchId, what)).toBe('409 /problems/batch-closed');
      }
      tests.unblockCalls();
      expect(await sendCommand(batchId, 'retry')).toMatchObject({ status: 202, body: { status: 'running' } });
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 4, failed: 0, round: 2 });
    });

    test('cancels a paused batch', async () => {
      const batchId = await startBlockedBatch();
      await sendCommand(batchId, 'pause');
      await waitForStatus(batchId, 'paused');
      expect((await sendCommand(batchId, 'cancel')).status).toBe(202);
      await waitForStatus(batchId, 'cancelled');
    });

    test('rejects pause, resume and cancel of a closed batch with 409', async () => {
      for (const batchId of [await runBatchWithFailures(0), await runBatchWithFailures(1)]) {
        for (const what of ['pause', 'resume', 'cancel']) {
          expect(await commandRejection(batchId, what)).toBe('409 /problems/batch-closed');
        }
      }
    });

    test('rejects a retry of a running or paused batch with 409', async () => {
      const batchId = await startBlockedBatch();
      expect(await commandRejection(batchId, 'retry')).toBe('409 /problems/batch-running');
      await sendCommand(batchId, 'pause');
      await waitForStatus(batchId, 'paused');
      expect(await commandRejection(batchId, 'retry')).toBe('409 /problems/batch-running');
      await sendCommand(batchId, 'cancel');
      await waitForStatus(batchId, 'cancelled');
    });

    test('rejects a retry with 409 when every item succeeded', async () => {
      expect(await commandRejection(await runBatchWithFailures(0), 'retry')).toBe('409 /problems/nothing-to-retry');
    });

    test('retries only the failed items', async () => {
      const { sku } = await addProduct(shop.store);
      const late = `LATE-${randomUUID().slice(0, 8).toUpperCase()}`;
      const items = createMany(7, (n) => ({ sku: n % 2 ? late : sku, quantity: 1 }));
      const { body } = await upload(api, { text: ndjson(items), query: { itemsPerChunk: '2' } });
      const { batchId } = body;
      expect(await waitForStatus(batchId, 'completed_with_failures')).toMatchObject({ succeeded: 4, failed: 3 });
      await addProduct(shop.store, { sku: late, available: 0 });

      expect(await sendCommand(batchId, 'retry')).toMatchObject({ status: 202, body: { status: 'running' } });
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 7, failed: 0, round: 2, tasks: 2 });
      expect([await stockOf(sku), await stockOf(late)]).toEqual([14, 3]);
      const description = await shop.client.workflow.getHandle(batchWorkflowId(batchId)).describe();
      expect(await description.staticSummary()).toBe('restock: retry of 3 items');
    });

    test('starts one attempt for simultaneous retries', async () => {
      const batchId = await runBatchWithFailures(2);
      const responses = await Promise.all(createMany(5, () => sendCommand(batchId, 'retry')));

      for (const { status, body } of responses) {
        expect(status === 202 || body.type === '/problems/batch-running').toBe(true);
      }
      expect(responses.some(({ status }) => status === 202)).toBe(true);
      expect(await waitForStatus(batchId, 'completed_with_failures')).toMatchObject({ round: 2 });
    });

    test('shows a batch as failed after its workflow is terminated, and a retry completes the rest', async () => {
      // More items than the running chunks hold; those chunks still complete.
      const count = 20;
      const batchId = await startBlockedBatch(count);
      await shop.client.workflow.getHandle(batchWorkflowId(batchId)).terminate();
      expect((await get(batchId)).body).toMatchObject({ status: 'failed', closedAt: expect.any(String) });
      for (const what of ['pause', 'resume', 'cancel']) {
        expect(await commandRejection(batchId, what)).toBe('409 /problems/batch-closed');
      }
      tests.unblockCalls();
      expect((await sendCommand(batchId, 'retry')).status).toBe(202);
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: count, round: 2 });
    });

    test('starts a staged batch on retry and rejects pause, resume and cancel with 409', async () => {
      const { sku } = await addProduct(shop.store);
      const batchId = await stageTestBatch(shop.store, { items: [{ sku, quantity: 1 }] });
      const { body } = await get(batchId);
      expect(body).toEqual({
        batchId,
        status: 'staged',
        operation: 'restock',
        itemsPerChunk: 10,
        total: 1,
        succeeded: 0,
        failed: 0,
        round: 0,
        tasks: 1,
      });
      for (const what of ['pause', 'resume', 'cancel']) {
        expect(await commandRejection(batchId, what)).toBe('409 /problems/batch-not-started');
      }
      expect((await sendCommand(batchId, 'retry')).status).toBe(202);
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 1, round: 1 });
      expect(await stockOf(sku)).toBe(11);
    });

    test('rejects a retry with unknown body fields with 400', async () => {
      const batchId = await stageTestBatch(shop.store, { items: [{ sku: 'MUG', quantity: 1 }] });
      const { status, body } = await api.post(`/v1/batches/${batchId}/retry`, { force: true });
      expect([status, body.errors?.map(({ pointer }) => pointer)]).toEqual([400, ['/force']]);
      expect((await get(batchId)).body.status).toBe('staged');
    });
  });

  describe('GET /v1/batches/{id}/events', () => {
    test('streams progress while a batch runs, and an end event when it closes', async () => {
      const batchId = await startBlockedBatch();
      const events = await openEventStream(api, batchId);

      expect(events.response.status).toBe(200);
      expect(events.response.headers.get('content-type')).toBe('text/event-stream');
      expect(events.response.headers.get('cache-control')).toBe('no-store');
      expect(await events.next()).toMatchObject({
        event: 'progress',
        data: { batchId, status: 'running', succeeded: 0 },
      });
      await sendCommand(batchId, 'pause');
      expect(await events.next()).toMatchObject({ event: 'progress', data: { status: 'paused' } });
      tests.unblockCalls();
      await sendCommand(batchId, 'resume');
      const rest = await events.rest();

      expect(rest.slice(0, -1).every(({ event }) => event === 'progress')).toBe(true);
      expect(rest.at(-1)).toEqual({ event: 'end', data: (await get(batchId)).body });
      expect(rest.at(-1)!.data).toMatchObject({ status: 'completed', succeeded: 4 });
    });

    test('sends only the end event for a closed batch', async () => {
      const batchId = await runBatchWithFailures(1);
      const events = await openEventStream(api, batchId);
      expect(await events.rest()).toEqual([{ event: 'end', data: (await get(batchId)).body }]);
    });

    test('waits for the start of a staged batch', async () => {
      const { sku } = await addProduct(shop.store);
      const batchId = await stageTestBatch(shop.store, { items: [{ sku, quantity: 1 }] });
      const events = await openEventStream(api, batchId);
      expect(await events.next()).toMatchObject({ event: 'progress', data: { status: 'staged' } });
      await sendCommand(batchId, 'retry');
      expect((await events.rest()).at(-1)).toMatchObject({ event: 'end', data: { status: 'completed' } });
    });

    test.each([
      ['application/json', 406],
      ['text/html', 406],
      ['*/*', 200],
      ['text/*', 200],
      ['text/html, text/event-stream;q=0.9', 200],
    ])('answers Accept %s with %i', async (accept, expected) => {
      const batchId = await runBatchWithFailures(0);
      const response = await fetch(`${api.url}/v1/batches/${batchId}/events`, { headers: { accept } });
      const text = await response.text();

      expect(response.status).toBe(expected);
      if (expected === 406) expect(JSON.parse(text)).toMatchObject({ type: '/problems/not-acceptable', status: 406 });
      else expect(text).toMatch(/^retry: \d+\n\nevent: end\ndata: \{.*\}\n\n$/);
    });

    test('ends the stream without an end event when the API closes', async () => {
      const batchId = await startBlockedBatch();
      const closing = await startApi(shop);
      const events = await openEventStream(closing, batchId);
      expect((await events.next())?.event).toBe('progress');
      const began = performance.now();
      const rest = events.rest();
      await closing.close();

      expect(performance.now() - began).toBeLessThan(3_000);
      expect((await rest).map(({ event }) => event)).not.toContain('end');
      expect((await get(batchId)).body.status).toBe('running');
    });

    /** An API that records its progress polls and takes as long for one as the test wants. */
    async function startApiWithFollower() {
      const watched = { looks: 0, lookedAt: 0, until: Promise.resolve() };
      const countBatch: Shop['store']['countBatchProgress'] = async (id) => {
        watched.looks += 1;
        watched.lookedAt = performance.now();
        await watched.until;
        return await shop.store.countBatchProgress(id);
      };
      const { url, close } = await startApi({ ...shop, store: { ...shop.store, countBatchProgress: countBatch } });
      return { watched, url, close };
    }

    test('waits for a running progress poll when the API closes, then ends the stream', async () => {
      const batchId = await startBlockedBatch();
      const { watched, url, close } = await startApiWithFollower();
      const events = await openEventStream({ url }, batchId);
      await events.next();
      const rest = events.rest();
      let lookOn = (): void => undefined;
      watched.until = new Promise((resolve) => (lookOn = resolve));
      const { looks } = watched;
      await waitUntil(() => watched.looks > looks || undefined, {
        description: 'a look',
        timeoutMs: 10_000,
        intervalMs: 10,
      });
      const closed = close();
      const isUnresponsive = () =>
        fetch(`${url}/livez`).then(
          () => undefined,
          () => true,
        );
      await waitUntil(isUnresponsive, { description: 'no request being taken', timeoutMs: 5_000, intervalMs: 20 });
      const began = performance.now();
      lookOn();
      await closed;

      expect(performance.now() - began).toBeLessThan(3_000);
      expect((await rest).map(({ event }) => event)).not.toContain('end');
    });

    test('stops polling when the client disconnects', async () => {
      const batchId = await startBlockedBatch();
      const { watched, url, close } = await startApiWithFollower();
      try {
        const request = httpRequest(`${url}/v1/batches/${batchId}/events`, { agent: false }).end();
        request.on('error', () => undefined);
        await waitUntil(() => watched.looks >= 3 || undefined, { description: 'looks', timeoutMs: 10_000 });
        request.destroy();
        // The stream polled once per second before.
        const isQuiet = () => performance.now() - watched.lookedAt > 2_500 || undefined;
        await waitUntil(isQuiet, { description: 'the end of the looks', timeoutMs: 8_000 });
      } finally {
        await close();
      }
    });

    test('does not poll for a HEAD request', async () => {
      const batchId = await startBlockedBatch();
      const { watched, url, close } = await startApiWithFollower();
      try {
        const { status } = await fetch(`${url}/v1/batches/${batchId}/events`, { method: 'HEAD' });
        expect(status).toBe(200);
        const isQuiet = () => performance.now() - watched.lookedAt > 2_500 || undefined;
        await waitUntil(isQuiet, { description: 'the end of the looks', timeoutMs: 8_000 });
      } finally {
        await close();
      }
    });

    test('keeps the stream open while the database is unreachable', async () => {
      const batchId = await startBlockedBatch();
      let away = false;
      let rejected = 0;
      const countBatch: Shop['store']['countBatchProgress'] = async (id) => {
        if (!away) return await shop.store.countBatchProgress(id);
        rejected += 1;
        throw new Error('connection terminated');
      };
      const shaky = await startApi({ ...shop, store: { ...shop.store, countBatchProgress: countBatch } });
      try {
        const events = await openEventStream(shaky, batchId);
        expect((await events.next())?.event).toBe('progress');
        away = true;
        await waitUntil(() => rejected >= 2 || undefined, { description: 'looks in vain', timeoutMs: 10_000 });
        tests.unblockCalls();
        await waitForStatus(batchId, 'completed');
        away = false;
        expect((await events.rest()).at(-1)).toMatchObject({ event: 'end', data: { status: 'completed' } });
      } finally {
        await shaky.close();
      }
    });
  });

  describe('GET /v1/batches', () => {
    interface Page {
      items: BatchSummary[];
      nextCursor?: string;
    }
    /** Reads all pages of a list. */
    async function listBatches(query: Record<string, string>): Promise<BatchSummary[]> {
      const found: BatchSummary[] = [];
      for (let cursor: string | undefined = ''; cursor !== undefined;) {
        const search = new URLSearchParams({ ...query, ...(cursor && { cursor }) });
        const page: ApiResponse<Page> = await api.get<Page>(`/v1/batches?${search.toString()}`);
        expect(page.status).toBe(200);
        found.push(...page.body.items);
        cursor = page.body.nextCursor;
      }
      expect(new Set(found.map(({ batchId }) => batchId)).size).toBe(found.length);
      return found;
    }
    /** Visibility lags by up to about a second. */
    const waitUntilListed = (query: Record<string, string>, batchIds: string[]) =>
      waitUntil(
        async () => {
          const mine = (await listBatches(query)).filter(({ batchId }) => batchIds.includes(batchId));
          return mine.length === batchIds.length ? mine : undefined;
        },
        { description: `${batchIds.length} batches in the list by ${JSON.stringify(query)}`, timeoutMs: 15_000 },
      );
    const waitUntilNotListed = (query: Record<string, string>, batchId: string) =>
      waitUntil(async () => !(await listBatches(query)).some((item) => item.batchId === batchId) || undefined, {
        description: `no such batch in the list by ${JSON.stringify(query)}`,
        timeoutMs: 15_000,
      });

    test('pages through all batches, newest first', async () => {
      const batchIds: string[] = [];
      for (let count = 0; count < 3; count += 1) batchIds.push(await runBatchWithFailures(1));
      const mine = await waitUntilListed({ limit: '2', status: 'completed_with_failures' }, batchIds);

      expect(mine.map(({ batchId }) => batchId)).toEqual(batchIds.toReversed());
      const time = expect.stringMatching(/^\d{4}-.*Z$/);
      expect(mine[0]).toEqual({
        batchId: batchIds[2],
        status: 'completed_with_failures',
        operation: 'restock',
        total: 2,
        succeeded: 1,
        failed: 1,
        uploadedAt: time,
        startedAt: time,
        closedAt: time,
        asOf: time,
      });
      const all = await waitUntilListed({ limit: '200' }, batchIds);
      expect(all).toEqual(mine);
    });

    test('moves a batch through the lists by status', async () => {
      const batchId = await startBlockedBatch();
      expect(await waitUntilListed({ status: 'running' }, [batchId])).toMatchObject([{ batchId, status: 'running' }]);
      await sendCommand(batchId, 'pause');
      await waitUntilListed({ status: 'paused' }, [batchId]);
      await waitUntilNotListed({ status: 'running' }, batchId);
      await sendCommand(batchId, 'cancel');
      expect(await waitUntilListed({ status: 'cancelled' }, [batchId])).toMatchObject([
        { batchId, status: 'cancelled' },
      ]);
      await waitUntilNotListed({ status: 'paused' }, batchId);
      tests.unblockCalls();
      await sendCommand(batchId, 'retry');
      expect(await waitUntilListed({ status: 'completed' }, [batchId])).toMatchObject([
        { batchId, status: 'completed' },
      ]);
    });

    test('lists a retried batch once, with the counts of all its runs', async () => {
      const { sku } = await addProduct(shop.store);
      const late = `LATE-${randomUUID().slice(0, 8).toUpperCase()}`;
      const text = ndjson([sku, late].map((each) => ({ sku: each, quantity: 1 })));
      const { batchId } = (await upload(api, { text })).body;
      await waitForStatus(batchId, 'completed_with_failures');
      await addProduct(shop.store, { sku: late });
      await sendCommand(batchId, 'retry');
      await waitForStatus(batchId, 'completed');

      const [item] = await waitUntilListed({ status: 'completed' }, [batchId]);
      expect(item).toMatchObject({ operation: 'restock', total: 2, succeeded: 2, failed: 0 });
      await waitUntilNotListed({ status: 'completed_with_failures' }, batchId);
    });

    test('neither repeats nor skips a batch while batches close between two pages', async () => {
      const held = [await startBlockedBatch(), await startBlockedBatch()];
      const first = await api.get<Page>('/v1/batches?limit=1');
      expect(first.body.items).toMatchObject([{ batchId: held[1], status: 'running' }]);
      for (const batchId of held) await sendCommand(batchId, 'cancel');
      for (const batchId of held) await waitForStatus(batchId, 'cancelled');

      const search = new URLSearchParams({ limit: '2', cursor: first.body.nextCursor! });
      const second = await api.get<Page>(`/v1/batches?${search.toString()}`);
      expect(second.body.items.map(({ batchId }) => batchId)).toContain(held[0]);
      expect(second.body.items.map(({ batchId }) => batchId)).not.toContain(held[1]);
      tests.unblockCalls();
    });

    test('does not list a workflow whose id does not have the form of a batch id', async () => {
      const workflowId = `plain-${randomUUID()}`;
      const foreign = await shop.client.workflow.start('batch', {
        workflowId,
        taskQueue: BATCH_TASK_QUEUE,
        args: [{ batchId: 'none' }],
      });
      await foreign.result().catch(() => undefined);

      expect((await listBatches({})).some(({ batchId }) => workflowId.includes(batchId))).toBe(false);
    });

    test('lists a batch as failed, and not as running, after its workflow is terminated', async () => {
      const batchId = await startBlockedBatch();
      await waitUntilListed({ status: 'running' }, [batchId]);
      await shop.client.workflow.getHandle(batchWorkflowId(batchId)).terminate();
      expect(await waitUntilListed({ status: 'failed' }, [batchId])).toMatchObject([{ batchId, status: 'failed' }]);
      await waitUntilNotListed({ status: 'running' }, batchId);
    });

    test.each([
      ['status=lost', '/status'],
      ["status=running' or 'a'='a", '/status'],
      ['status=running&status=paused', '/status'],
      ['limit=0', '/limit'],
      ['limit=201', '/limit'],
      ['cursor=AAAA', '/cursor'],
      ['operation=restock', '/operation'],
    ])('rejects the query %s with 400 that names %s', async (query, pointer) => {
      const { status, body } = await api.get(`/v1/batches?${query}`);
      expect([status, body.errors?.map((error) => error.pointer)]).toEqual([400, [pointer]]);
    });
  });

  describe('unavailable workers or servers', () => {
    test('accepts, shows and pauses batches without a worker', async () => {
      const other = await server.openNamespace(`no-worker-${randomUUID()}`);
      const idle = await startShop(other, { withWorker: false });
      const idleApi = await startApi(idle);
      try {
        const batchId = randomUUID();
        const { status, body } = await upload(idleApi, {
          text: ndjson(createMany(3, () => ({ sku: 'MUG', quantity: 1 }))),
          query: { batchId, itemsPerChunk: '2' },
        });
        expect([status, body]).toEqual([202, { batchId, status: 'running', total: 3 }]);
        const seen = await idleApi.get<Body>(`/v1/batches/${batchId}`);
        expect([seen.status, seen.body]).toMatchObject([
          200,
          { batchId, status: 'running', total: 3, succeeded: 0, failed: 0, round: 0, tasks: 2 },
        ]);
        for (const what of ['pause', 'resume', 'cancel']) {
          const response = await idleApi.post<Body>(`/v1/batches/${batchId}/${what}`);
          expect([response.status, response.body.batchId]).toEqual([202, batchId]);
        }
        const retried = await idleApi.post<Body>(`/v1/batches/${batchId}/retry`);
        expect([retried.status, retried.body.type]).toEqual([409, '/problems/batch-running']);
      } finally {
        await idleApi.close();
        await idle.close();
      }
    });

    test('returns 503 but stores the items without Temporal; the same upload starts the batch later', async () => {
      const client = createClient({
        TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`,
        TEMPORAL_NAMESPACE: server.namespace,
      });
      const alone = await startApi({ client, store: shop.store });
      try {
        const { sku } = await addProduct(shop.store);
        const batchId = randomUUID();
        const given = { text: ndjson(createMany(3, () => ({ sku, quantity: 1 }))), query: { batchId } };
        const { status, headers, body } = await upload(alone, given);
        expect([status, body.type, headers.get('retry-after')]).toEqual([503, '/problems/temporal-unavailable', '5']);
        expect(await shop.store.countBatchProgress(batchId)).toMatchObject({ total: 3, round: 0 });
        expect((await get(batchId)).body.status).toBe('staged');

        const started = await upload(api, given);
        expect([started.status, started.body]).toEqual([202, { batchId, status: 'running', total: 3 }]);
        await waitForStatus(batchId, 'completed');
        expect(await stockOf(sku)).toBe(13);
      } finally {
        await alone.close();
        await client.connection.close();
      }
    });

    test('derives the status of a batch from its counts when Temporal no longer has the workflow', async () => {
      const items = createMany(4, () => ({ sku: 'MUG', quantity: 1 }));
      const batchId = await stageTestBatch(shop.store, { items, itemsPerChunk: 2 });
      const { attemptId } = (await shop.store.openAttempt(batchId, 'a run of long ago'))!;
      expect((await get(batchId)).body.status).toBe('cancelled');
      await shop.store.applyChunk({ attemptId, chunkIndex: 0 }, async () => []);
      await shop.store.giveUpChunks(attemptId, { first: 1, count: 1 }, { type: 'Refused', message: 'no' });
      expect((await get(batchId)).body.status).toBe('completed_with_failures');
      for (const what of ['pause', 'cancel']) {
        expect(await sendCommand(batchId, what)).toMatchObject({
          status: 409,
          body: { type: '/problems/batch-closed' },
        });
      }
      expect((await sendCommand(batchId, 'retry')).status).toBe(202);
      await waitForBatchProgress(
        shop.store,
        batchId,
        ({ attempt, failed }) => attempt === 2 && failed === 2,
        'the retry',
      );
    });
  });
});

describe('requests that are not complete within the time limit', () => {
  const LIMIT_MS = 200;

  /** An application with one route, whose handler waits until the test lets it respond. */
  async function buildAppWithTimeLimit() {
    const app = Fastify();
    const handled: unknown[] = [];
    let response = (): void => undefined;
    const responseReleased = new Promise<void>((resolve) => (response = resolve));
    app.addHook('onRequest', async (request, reply) => enforceRequestTimeout(request, reply, LIMIT_MS));
    app.post('/', async (request) => {
      handled.push(request.body);
      await responseReleased;
      return { status: 'ok' };
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as { port: number };
    return { app, port, handled, response };
  }

  /** Sends raw text and reads until the connection closes. */
  function openSocket(port: number) {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8');
    let received = '';
    socket.on('data', (chunk: string) => (received += chunk));
    socket.on('error', () => undefined);
    const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(received)));
    return { socket, closed, received: () => received };
  }

  const requestHead = (length: number) =>
    `POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

  test('returns 408 and closes the connection when the body does not end', async () => {
    const { app, port, handled } = await buildAppWithTimeLimit();
    const { socket, closed } = openSocket(port);
    socket.write(`${requestHead(100)}{"a":`);
    const received = await closed;
    await app.close();

    expect(received).toMatch(/^HTTP\/1\.1 408 /);
    expect(received).toMatch(/\r\nconnection: close\r\n/i);
    expect(received).toMatch(/\r\ncontent-type: application\/problem\+json/);
    const problem = JSON.parse(received.slice(received.indexOf('\r\n\r\n') + 4)) as Problem;
    expect(problem).toMatchObject({
      type: '/problems/request-timeout',
      status: 408,
      requestId: expect.any(String),
      detail: 'the request was not received completely within 0.2 seconds',
    });
    expect(handled).toEqual([]);
  });

  test('returns 408 when the body arrives slowly, because the limit applies to its end', async () => {
    const { app, port, handled } = await buildAppWithTimeLimit();
    const { socket, closed } = openSocket(port);
    socket.write(requestHead(10_000));
    const trickle = setInterval(() => socket.write(' '), LIMIT_MS / 10);
    const received = await closed;
    clearInterval(trickle);
    await app.close();

    expect(received).toMatch(/^HTTP\/1\.1 408 /);
    expect(handled).toEqual([]);
  });

  test.each([
    ['is received in one piece', [`${requestHead(7)}{"a":1}`]],
    ['is received in several pieces', [requestHead(7), '{"a"', ':1}']],
  ])('responds when a body %s and the handler takes longer than the limit', async (_description, pieces) => {
    const { app, port, handled, response } = await buildAppWithTimeLimit();
    const { socket, closed, received } = openSocket(port);
    for (const piece of pieces) socket.write(piece);
    await waitUntil(() => handled.length || undefined, { description: 'the request', timeoutMs: 5_000, intervalMs: 5 });
    const since = performance.now();
    const isLate = () => performance.now() - since > LIMIT_MS * 2 || undefined;
    await waitUntil(isLate, { description: 'the limit', timeoutMs: 5_000, intervalMs: 20 });
    expect(received()).toBe('');
    response();
    await waitUntil(() => received() || undefined, { description: 'the answer', timeoutMs: 5_000, intervalMs: 5 });
    socket.end();

    expect(await closed).toMatch(/^HTTP\/1\.1 200 /);
    expect(handled).toEqual([{ a: 1 }]);
    await app.close();
  });
});
