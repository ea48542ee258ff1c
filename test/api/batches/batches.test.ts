import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { BatchFailure, BatchSummary } from '../../../src/schemas/batch.js';
import { createClient } from '../../../src/temporal/connections.js';
import { batchWorkflowId, BATCH_TASK_QUEUE } from '../../../src/workflows/batch/contract.js';
import { startApi, type Api, type ApiResponse } from '../../support/api/api.js';
import { ndjson, upload, useBatchApi, type BatchBody } from '../../support/api/batch-api.js';
import { freePort, waitUntil } from '../../support/processes.js';
import { createMany } from '../../support/create-many.js';
import { stageTestBatch, waitForBatchProgress, waitForPendingActivities } from '../../support/shop/batches.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, type DevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('/v1/batches', () => {
  const batchApi = useBatchApi();
  const { tests, get, sendCommand, stockOf, waitForStatus, startBlockedBatch, runBatchWithFailures } = batchApi;
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  beforeAll(() => void ({ server, shop, api } = batchApi));

  describe('unknown batches', () => {
    test.each([
      ['GET', ''],
      ['GET', '/failures'],
      ['GET', '/failures/file'],
      ['GET', '/events'],
      ['POST', '/pause'],
      ['POST', '/resume'],
      ['POST', '/cancel'],
      ['POST', '/retry'],
    ])('returns 404 for an unknown batch: %s %s', async (method, path) => {
      const { status, body } = await api.request(method, `/v1/batches/${randomUUID()}${path}`);
      expect([status, body.type]).toEqual([404, '/problems/not-found']);
    });

    test('returns 404 for a batch id that has a workflow but no upload', async () => {
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
      'returns 400 for %s, because its batch id is invalid',
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

    test('lists failed items page by page in line order', async () => {
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

    test('returns an empty failure list when no item of a batch failed', async () => {
      const batchId = await runBatchWithFailures(0);
      expect((await api.get(`/v1/batches/${batchId}/failures`)).body).toEqual({ items: [] });
    });

    test('the failure list returns 400 for an invalid cursor and for the cursor of another list', async () => {
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

    test.each(['limit=0', 'limit=201', 'limit=x', 'page=2'])(
      'returns 400 for the query %s of a failure list',
      async (query) => {
        const batchId = await stageTestBatch(shop.store, { items: [{ sku: 'MUG', quantity: 1 }] });
        expect((await api.get(`/v1/batches/${batchId}/failures?${query}`)).status).toBe(400);
      },
    );
  });

  describe('pause, resume, cancel and retry', () => {
    const commandRejection = async (batchId: string, what: string) => {
      const { status, body } = await sendCommand(batchId, what);
      expect(body.batchId).toBe(batchId);
      return `${status} ${String(body.type)}`;
    };

    test('a batch processes all items after repeated pauses and resumes', async () => {
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
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 4, attempt: 1 });
    });

    test('accepts a resume of a running batch and changes nothing', async () => {
      const batchId = await startBlockedBatch();
      expect(await sendCommand(batchId, 'resume')).toMatchObject({ status: 202, body: { status: 'running' } });
      tests.unblockCalls();
      await waitForStatus(batchId, 'completed');
    });

    test('accepts a repeated cancel of a batch, and a retry processes the remaining items', async () => {
      const batchId = await startBlockedBatch();
      for (let count = 0; count < 2; count += 1) expect((await sendCommand(batchId, 'cancel')).status).toBe(202);
      expect(await waitForStatus(batchId, 'cancelled')).toMatchObject({ succeeded: 0, closedAt: expect.any(String) });
      expect(await sendCommand(batchId, 'cancel')).toMatchObject({ status: 202, body: { status: 'cancelled' } });
      for (const what of ['pause', 'resume']) {
        expect(await commandRejection(batchId, what)).toBe('409 /problems/batch-closed');
      }
      tests.unblockCalls();
      expect(await sendCommand(batchId, 'retry')).toMatchObject({ status: 202, body: { status: 'running' } });
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 4, failed: 0, attempt: 2 });
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

    test('rejects a retry of a batch with 409 when every item succeeded', async () => {
      expect(await commandRejection(await runBatchWithFailures(0), 'retry')).toBe('409 /problems/nothing-to-retry');
    });

    test('a retry of a batch processes only the failed items', async () => {
      const { sku } = await addProduct(shop.store);
      const late = `LATE-${randomUUID().slice(0, 8).toUpperCase()}`;
      const items = createMany(7, (n) => ({ sku: n % 2 ? late : sku, quantity: 1 }));
      const { body } = await upload(api, { text: ndjson(items), query: { itemsPerChunk: '2' } });
      const { batchId } = body;
      expect(await waitForStatus(batchId, 'completed_with_failures')).toMatchObject({ succeeded: 4, failed: 3 });
      await addProduct(shop.store, { sku: late, available: 0 });

      expect(await sendCommand(batchId, 'retry')).toMatchObject({ status: 202, body: { status: 'running' } });
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({
        succeeded: 7,
        failed: 0,
        attempt: 2,
        chunks: 2,
      });
      expect([await stockOf(sku), await stockOf(late)]).toEqual([14, 3]);
      const description = await shop.client.workflow.getHandle(batchWorkflowId(batchId)).describe();
      expect(await description.staticSummary()).toBe('restock: retry of 3 items');
    });

    test('simultaneous retries of a batch start one attempt', async () => {
      const batchId = await runBatchWithFailures(2);
      const responses = await Promise.all(createMany(5, () => sendCommand(batchId, 'retry')));

      for (const { status, body } of responses) {
        expect(status === 202 || body.type === '/problems/batch-running').toBe(true);
      }
      expect(responses.some(({ status }) => status === 202)).toBe(true);
      expect(await waitForStatus(batchId, 'completed_with_failures')).toMatchObject({ attempt: 2 });
    });

    test('shows a batch as failed after its workflow is terminated, and a retry completes the remaining items', async () => {
      // The chunks that run during the termination complete later. The batch has more items than these chunks, so the
      // retry has items left.
      const count = 20;
      const batchId = await startBlockedBatch(count);
      await shop.client.workflow.getHandle(batchWorkflowId(batchId)).terminate();
      expect((await get(batchId)).body).toMatchObject({ status: 'failed', closedAt: expect.any(String) });
      for (const what of ['pause', 'resume', 'cancel']) {
        expect(await commandRejection(batchId, what)).toBe('409 /problems/batch-closed');
      }
      tests.unblockCalls();
      expect((await sendCommand(batchId, 'retry')).status).toBe(202);
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: count, attempt: 2 });
    });

    test('a retry starts a staged batch, but pause, resume and cancel return 409', async () => {
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
        attempt: 0,
        chunks: 1,
      });
      for (const what of ['pause', 'resume', 'cancel']) {
        expect(await commandRejection(batchId, what)).toBe('409 /problems/batch-not-started');
      }
      expect((await sendCommand(batchId, 'retry')).status).toBe(202);
      expect(await waitForStatus(batchId, 'completed')).toMatchObject({ succeeded: 1, attempt: 1 });
      expect(await stockOf(sku)).toBe(11);
    });

    test('returns 400 for a batch retry with unknown body fields', async () => {
      const batchId = await stageTestBatch(shop.store, { items: [{ sku: 'MUG', quantity: 1 }] });
      const { status, body } = await api.post(`/v1/batches/${batchId}/retry`, { force: true });
      expect([status, body.errors?.map(({ pointer }) => pointer)]).toEqual([400, ['/force']]);
      expect((await get(batchId)).body.status).toBe('staged');
    });
  });

  describe('GET /v1/batches', () => {
    interface Page {
      items: BatchSummary[];
      nextCursor?: string;
    }
    /** Reads all pages of a batch list. */
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
    /** Retries the list, because visibility lags by up to about a second. */
    const waitUntilListed = (query: Record<string, string>, batchIds: string[]) =>
      waitUntil(
        async () => {
          const mine = (await listBatches(query)).filter(({ batchId }) => batchIds.includes(batchId));
          return mine.length === batchIds.length ? mine : undefined;
        },
        { description: `${batchIds.length} batches in the list by ${JSON.stringify(query)}`, timeoutMs: 45_000 },
      );
    const waitUntilNotListed = (query: Record<string, string>, batchId: string) =>
      waitUntil(async () => !(await listBatches(query)).some((item) => item.batchId === batchId) || undefined, {
        description: `no such batch in the list by ${JSON.stringify(query)}`,
        timeoutMs: 45_000,
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

    test('lists a batch under its current status as the status changes', async () => {
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
      // The list shows the status from the store, which the workflow records shortly before it closes.
      await waitForStatus(batchId, 'cancelled');
      expect((await sendCommand(batchId, 'retry')).status).toBe(202);
      expect(await waitUntilListed({ status: 'completed' }, [batchId])).toMatchObject([
        { batchId, status: 'completed' },
      ]);
    });

    test('lists a retried batch once, with counts over all its runs', async () => {
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

    test('the batch list neither repeats nor skips a batch when batches close between two pages', async () => {
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

    test('does not list a workflow whose id is not a valid batch workflow id', async () => {
      const workflowId = `plain-${randomUUID()}`;
      const unlistedWorkflow = await shop.client.workflow.start('batch', {
        workflowId,
        taskQueue: BATCH_TASK_QUEUE,
        args: [{ batchId: 'none' }],
      });
      await unlistedWorkflow.result().catch(() => undefined);

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
    ])('for the query %s of a batch list, returns 400 with the pointer %s', async (query, pointer) => {
      const { status, body } = await api.get(`/v1/batches?${query}`);
      expect([status, body.errors?.map((error) => error.pointer)]).toEqual([400, [pointer]]);
    });
  });

  describe('unavailable workers or servers', () => {
    test('without a worker, the API accepts, shows and pauses batches', async () => {
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
        const seen = await idleApi.get<BatchBody>(`/v1/batches/${batchId}`);
        expect([seen.status, seen.body]).toMatchObject([
          200,
          { batchId, status: 'running', total: 3, succeeded: 0, failed: 0, attempt: 0, chunks: 2 },
        ]);
        for (const what of ['pause', 'resume', 'cancel']) {
          const response = await idleApi.post<BatchBody>(`/v1/batches/${batchId}/${what}`);
          expect([response.status, response.body.batchId]).toEqual([202, batchId]);
        }
        const retried = await idleApi.post<BatchBody>(`/v1/batches/${batchId}/retry`);
        expect([retried.status, retried.body.type]).toEqual([409, '/problems/batch-running']);
      } finally {
        await idleApi.close();
        await idle.close();
      }
    });

    test('when Temporal is unavailable, an upload returns 503 and keeps the items, and a repeated upload starts the batch', async () => {
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
        expect(await shop.store.countBatchProgress(batchId)).toMatchObject({ total: 3, attempt: 0 });
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
      await shop.store.giveUpChunks(attemptId, { first: 1, count: 1 }, { type: 'Rejected', message: 'no' });
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
