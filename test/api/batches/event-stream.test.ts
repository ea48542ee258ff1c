import { request as httpRequest } from 'node:http';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { startApi, type Api } from '../../support/api/api.js';
import { openEventStream, useBatchApi } from '../../support/api/batch-api.js';
import { waitUntil } from '../../support/processes.js';
import { createMany } from '../../support/create-many.js';
import { stageTestBatch } from '../../support/shop/batches.js';
import { addProduct, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('the event stream of a batch', () => {
  const batchApi = useBatchApi();
  const { tests, get, sendCommand, waitForStatus, startBlockedBatch, runBatchWithFailures } = batchApi;
  let shop: Shop;
  let api: Api;
  beforeAll(() => void ({ shop, api } = batchApi));

  describe('GET /v1/batches/{id}/events', () => {
    test('streams progress events while a batch runs, and an end event when the batch closes', async () => {
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

    test('the event stream of a closed batch contains only the end event', async () => {
      const batchId = await runBatchWithFailures(1);
      const events = await openEventStream(api, batchId);
      expect(await events.rest()).toEqual([{ event: 'end', data: (await get(batchId)).body }]);
    });

    test('the event stream of a staged batch stays open until the batch starts and ends', async () => {
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
    ])('the event stream answers a request with Accept: %s with %i', async (accept, expected) => {
      const batchId = await runBatchWithFailures(0);
      const response = await fetch(`${api.url}/v1/batches/${batchId}/events`, { headers: { accept } });
      const text = await response.text();

      expect(response.status).toBe(expected);
      if (expected === 406) expect(JSON.parse(text)).toMatchObject({ type: '/problems/not-acceptable', status: 406 });
      else expect(text).toMatch(/^retry: \d+\n\nevent: end\ndata: \{.*\}\n\n$/);
    });

    test('when the API closes, the event stream ends without an end event', async () => {
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

    /** Starts an API that records its progress polls. Each poll waits until `until` resolves. */
    async function startApiWithFollower() {
      const follower = { looks: 0, lookedAt: 0, until: Promise.resolve() };
      const countBatch: Shop['store']['countBatchProgress'] = async (id) => {
        follower.looks += 1;
        follower.lookedAt = performance.now();
        await follower.until;
        return await shop.store.countBatchProgress(id);
      };
      const { url, close } = await startApi({ ...shop, store: { ...shop.store, countBatchProgress: countBatch } });
      return { watched: follower, url, close };
    }

    test('when the API closes, the event stream waits for a running progress poll and then ends', async () => {
      const batchId = await startBlockedBatch();
      const { watched: follower, url, close } = await startApiWithFollower();
      const events = await openEventStream({ url }, batchId);
      await events.next();
      const rest = events.rest();
      let lookOn = (): void => undefined;
      follower.until = new Promise((resolve) => (lookOn = resolve));
      const { looks } = follower;
      await waitUntil(() => follower.looks > looks || undefined, {
        description: 'a progress poll',
        timeoutMs: 10_000,
        intervalMs: 10,
      });
      const closed = close();
      const isUnresponsive = () =>
        fetch(`${url}/livez`).then(
          () => undefined,
          () => true,
        );
      await waitUntil(isUnresponsive, {
        description: 'the API rejecting connections',
        timeoutMs: 5_000,
        intervalMs: 20,
      });
      const began = performance.now();
      lookOn();
      await closed;

      expect(performance.now() - began).toBeLessThan(3_000);
      expect((await rest).map(({ event }) => event)).not.toContain('end');
    });

    test('the event stream stops polling when the client disconnects', async () => {
      const batchId = await startBlockedBatch();
      const { watched: follower, url, close } = await startApiWithFollower();
      try {
        const request = httpRequest(`${url}/v1/batches/${batchId}/events`, { agent: false }).end();
        request.on('error', () => undefined);
        await waitUntil(() => follower.looks >= 3 || undefined, { description: 'progress polls', timeoutMs: 10_000 });
        request.destroy();
        // Polls were one second apart, so 2.5 s without a poll mean that polling has stopped.
        const isQuiet = () => performance.now() - follower.lookedAt > 2_500 || undefined;
        await waitUntil(isQuiet, { description: 'the end of the polls', timeoutMs: 8_000 });
      } finally {
        await close();
      }
    });

    test('five followers of a batch cost one DescribeWorkflowExecution a second', async () => {
      const batchId = await startBlockedBatch();
      const describe = vi.spyOn(shop.client.connection.workflowService, 'describeWorkflowExecution');
      const calls = () => describe.mock.calls.filter(([{ execution }]) => execution?.workflowId?.endsWith(batchId));
      const followers = createMany(5, () => httpRequest(`${api.url}/v1/batches/${batchId}/events`, { agent: false }));
      try {
        for (const follower of followers) follower.on('error', () => undefined).end();
        await waitUntil(() => calls().length >= 2 || undefined, { description: 'two polls', timeoutMs: 10_000 });
        const [before, began] = [calls().length, performance.now()];
        await waitUntil(() => calls().length >= before + 4 || undefined, {
          description: 'four more polls',
          timeoutMs: 20_000,
        });
        expect(performance.now() - began).toBeGreaterThan(3_000);
      } finally {
        for (const follower of followers) follower.destroy();
        describe.mockRestore();
      }
    });

    test('a HEAD request for the event stream does not poll the progress', async () => {
      const batchId = await startBlockedBatch();
      const { watched: follower, url, close } = await startApiWithFollower();
      try {
        const { status } = await fetch(`${url}/v1/batches/${batchId}/events`, { method: 'HEAD' });
        expect(status).toBe(200);
        const isQuiet = () => performance.now() - follower.lookedAt > 2_500 || undefined;
        await waitUntil(isQuiet, { description: 'the end of the polls', timeoutMs: 8_000 });
      } finally {
        await close();
      }
    });

    test('the event stream stays open while the database is unreachable', async () => {
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
        await waitUntil(() => rejected >= 2 || undefined, { description: 'failing polls', timeoutMs: 10_000 });
        tests.unblockCalls();
        await waitForStatus(batchId, 'completed');
        away = false;
        expect((await events.rest()).at(-1)).toMatchObject({ event: 'end', data: { status: 'completed' } });
      } finally {
        await shaky.close();
      }
    });
  });
});
