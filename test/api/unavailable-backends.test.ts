import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Problem } from '../../src/schemas/shared/problem.js';
import { openStore, type Store } from '../../src/store/index.js';
import { createClient } from '../../src/temporal/connections.js';
import { TASK_QUEUES } from '../../src/temporal/task-queues.js';
import { orderWorkflowId } from '../../src/workflows/order/contract.js';
import { freePort, waitUntil } from '../support/processes.js';
import { signShipmentReport, signStripeEvent, startApi, type ApiResponse, type Api } from '../support/api/api.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../support/shop/shop.js';
import { startWorker } from '../support/workers/workers.js';

/** The API waits 5 s for a server and 8 s for a worker. The rest is a margin for a busy machine. */
const RESPONSE_LIMIT_MS = 15_000;

const notReady = (temporal: string, worker: string, store: string) => ({
  status: 'not ready',
  checks: { temporal, worker, store },
});

/** Checks that a response is a 503 with Retry-After and `names` in its detail, without internal details. */
function expectUnavailable({ status, headers, body }: ApiResponse<Problem>, kind: string, names: string): void {
  expect(status).toBe(503);
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect(body).toMatchObject({ type: `/problems/${kind}`, status: 503 });
  expect(body.detail).toContain(names);
  expect(JSON.stringify(body)).not.toMatch(/127\.0\.0\.1|econn|grpc|deadline|unavailable:|terminated|node_modules/i);
}

interface TimedResponse {
  response: ApiResponse<Problem>;
  ms: number;
}

async function measureCall(call: () => Promise<ApiResponse<Problem>>): Promise<TimedResponse> {
  const started = performance.now();
  const response = await call();
  return { response, ms: performance.now() - started };
}

async function callWithinLimit(call: () => Promise<ApiResponse<Problem>>): Promise<ApiResponse<Problem>> {
  const { response, ms } = await measureCall(call);
  expect(ms).toBeLessThan(RESPONSE_LIMIT_MS);
  return response;
}

const openStoreAt = (address: string): Store =>
  openStore({ databaseUrl: `postgres://u:p@${address}/shop`, maxConnections: 2, onIdleError: () => undefined });

const createClientFor = (address: string) => createClient({ TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: 'default' });

const makeOrderBody = () => makeOrder({ lines: [{ sku: 'MUG-BLUE', quantity: 1 }] });

const resolution = { compensation: 'refundPayment', attempt: 1, action: 'skip' };

/** Requests that need Temporal, each with a description. */
const calls: [string, (api: Api) => Promise<ApiResponse<Problem>>][] = [
  ['an order is placed', (api) => api.post('/v1/orders', makeOrderBody())],
  ['an order is read', (api) => api.get('/v1/orders/some-order')],
  ['an order is cancelled', (api) => api.post('/v1/orders/some-order/cancel')],
  ['an operator decides about a compensation', (api) => api.post('/v1/orders/some-order/compensation', resolution)],
  [
    'an operator decides about a delivery',
    (api) => api.post('/v1/orders/some-order/delivery', { attempt: 1, action: 'wait' }),
  ],
  [
    'the carrier sends a report',
    (api) =>
      api.request(
        'POST',
        '/v1/callbacks/shipments',
        signShipmentReport({ orderId: 'some-order', shipmentId: 'sh_1', status: 'lost' }),
      ),
  ],
];
/** Requests that need only the database, each with a description. */
const storeCalls: [string, (api: Api) => Promise<ApiResponse<Problem>>][] = [
  ['products are listed', (api) => api.get('/v1/products')],
  ['orders are listed', (api) => api.get('/v1/orders')],
  [
    'Stripe sends an event',
    (api) => {
      const object = { id: 'pi_1', metadata: { orderId: 'some-order' } };
      const event = { id: 'evt_1', type: 'payment_intent.succeeded', data: { object } };
      return api.request('POST', '/v1/callbacks/stripe', signStripeEvent(event));
    },
  ],
];
const healthCall = (api: Api) => api.get('/readyz');

// These tests mostly wait for timeouts, so they run concurrently.
describe.concurrent.each(['refuse connections', 'accept connections and never respond'])(
  'an API whose Temporal server and database %s',
  (how) => {
    const responses = new Map<unknown, TimedResponse>();

    beforeAll(async () => {
      let silent: Server | undefined;
      let port = await freePort();
      if (how !== 'refuse connections') {
        silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
        await once(silent, 'listening');
        port = (silent.address() as AddressInfo).port;
      }
      const store = openStoreAt(`127.0.0.1:${port}`);
      const client = createClientFor(`127.0.0.1:${port}`);
      const api = await startApi({ client, store });
      try {
        const all = [...calls, ...storeCalls].map(([, call]) => call).concat(healthCall);
        await Promise.all(all.map(async (call) => responses.set(call, await measureCall(() => call(api)))));
        expect((await api.get('/livez')).status).toBe(200);
      } finally {
        await api.close();
        await client.connection.close();
        await store.close();
        silent?.close();
      }
    });

    function responseFor(call: unknown): ApiResponse<Problem> {
      const { response, ms } = responses.get(call)!;
      expect(ms).toBeLessThan(RESPONSE_LIMIT_MS);
      return response;
    }

    test.each(calls)('returns 503 temporal-unavailable within the time limit when %s', (_description, call) => {
      expectUnavailable(responseFor(call), 'temporal-unavailable', 'Temporal');
    });

    test.each(storeCalls)('returns 503 store-unavailable within the time limit when %s', (_description, call) => {
      expectUnavailable(responseFor(call), 'store-unavailable', 'database');
    });

    test('the readiness check returns 503 within the time limit and lists both unavailable servers', () => {
      const { status, body } = responseFor(healthCall);

      expect(status).toBe(503);
      expect(body).toEqual(notReady('Temporal does not answer', 'unknown', 'the database does not answer'));
    });
  },
);

test.concurrent('an unexpected error of a JSON operation returns 500 without details', async () => {
  const store = {
    ...openStoreAt('127.0.0.1:1'),
    listProducts: () => Promise.reject(new Error('secret inner text of /srv/app.js')),
  };
  const api = await startApi({ client: createClientFor('127.0.0.1:1'), store });
  try {
    const { status, headers, body } = await api.get('/v1/products');

    expect(status).toBe(500);
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(body).toEqual({
      type: '/problems/internal-error',
      title: expect.any(String),
      status: 500,
      requestId: headers.get('x-request-id'),
    });
    expect(JSON.stringify(body)).not.toMatch(/secret|srv/);
  } finally {
    await api.close();
    await store.close();
  }
});

describeOnDevServer.concurrent('an API without workers', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const placeOrder = async () => {
    const order = makeOrderBody();
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    return order;
  };

  test.each<[string, (orderId: string) => Promise<ApiResponse<Problem>>]>([
    ['read', (orderId) => api.get(`/v1/orders/${orderId}`)],
    ['cancelled', (orderId) => api.post(`/v1/orders/${orderId}/cancel`)],
    ['decided by an operator', (orderId) => api.post(`/v1/orders/${orderId}/compensation`, resolution)],
  ])(
    'without a worker, returns 503 with the task queue within the time limit when an order is %s',
    async (_description, call) => {
      const { orderId } = await placeOrder();

      const response = await callWithinLimit(() => call(orderId));

      expectUnavailable(response, 'no-worker', 'orders');
      expect(response.body).toMatchObject({ taskQueue: 'orders' });
    },
  );

  test('without a worker, the 503 contains the order fields that Temporal has stored', async () => {
    const { orderId, customerId } = await placeOrder();

    const { body } = await api.get(`/v1/orders/${orderId}`);

    expect(body.order).toEqual({
      orderId,
      customerId,
      status: 'processing',
      stage: 'reserving_stock',
      placedAt: expect.any(String),
    });
  });

  test('without a worker, the 503 shows a terminated order as failed', async () => {
    const { orderId } = await placeOrder();
    await shop.client.workflow.getHandle(orderWorkflowId(orderId)).terminate();

    const { status, body } = await api.get(`/v1/orders/${orderId}`);

    expect(status).toBe(503);
    expect(body.order).toMatchObject({ orderId, status: 'failed', closedAt: expect.any(String) });
  });

  test('without a worker, returns 404 for an unknown order', async () => {
    expect((await api.get(`/v1/orders/${randomUUID()}`)).status).toBe(404);
  });

  test('without a worker, the readiness check returns 503 and lists the unpolled task queues', async () => {
    const { status, body } = await api.get('/readyz');

    expect(status).toBe(503);
    expect(body).toEqual(notReady('ok', `no worker polls task queue ${TASK_QUEUES.join(', ')}`, 'ok'));
  });

  test('orders that were placed without a worker complete once a worker starts', async () => {
    const other = await server.openNamespace('with-a-worker-later');
    const later = await startShop(other, { withWorker: false });
    const laterApi = await startApi(later);
    try {
      const { sku } = await addProduct(later.store);
      const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
      expect((await laterApi.post('/v1/orders', order)).status).toBe(202);
      expect((await laterApi.get('/readyz')).status).toBe(503);
      later.fakes.carrier.configure({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0 });

      const worker = await startWorker(other, later);
      try {
        await laterApi.waitForOrderStatus(order.orderId, 'completed');
        expect((await laterApi.get('/readyz')).status).toBe(200);
      } finally {
        await worker.stop();
      }
    } finally {
      await laterApi.close();
      await later.close();
    }
  });
});

describeOnDevServer.concurrent('an API whose Temporal server starts and stops', () => {
  test('accepts orders when Temporal starts after the API, and returns 503 when Temporal stops again', async () => {
    const port = await freePort();
    const store = openStoreAt('127.0.0.1:1');
    const client = createClientFor(`127.0.0.1:${port}`);
    const api = await startApi({ client, store });
    let server: DevServer | undefined;
    try {
      expectUnavailable(
        await callWithinLimit(() => api.post('/v1/orders', makeOrderBody())),
        'temporal-unavailable',
        'Temporal',
      );

      server = await startDevServer({ port });
      const order = makeOrderBody();
      const isAccepted = async () => ((await api.post('/v1/orders', order)).status === 202 ? true : undefined);
      await waitUntil(isAccepted, { description: 'an order being accepted', timeoutMs: 20_000 });

      await server.close();
      server = undefined;
      expectUnavailable(
        await callWithinLimit(() => api.post('/v1/orders', makeOrderBody())),
        'temporal-unavailable',
        'Temporal',
      );
    } finally {
      await server?.close();
      await api.close();
      await client.connection.close();
      await store.close();
    }
  });
});
