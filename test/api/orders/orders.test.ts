import { randomUUID } from 'node:crypto';
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OrderInput, OrderResource } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { readBalance, readReservation } from '../../support/shop/balance.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { makeProductOrder, placeDeliveredOrder, placeShippedOrder } from '../../support/api/orders.js';
import { createUnreachableBackends } from '../../support/api/unreachable-backends.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

describeOnDevServer('orders over HTTP', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await startShop(await startDevServer());
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const readVerdict = async (order: OrderInput, product: Product) =>
    (await readBalance(shop, { ...order, products: [product], token: order.payment.token })).verdict;

  describe('POST /v1/orders', () => {
    test('placing an order returns 202 with the location and starts the workflow', async () => {
      const { order } = await makeProductOrder(shop);

      const { status, headers, body } = await api.post('/v1/orders', order);

      expect(status).toBe(202);
      expect(headers.get('location')).toBe(`/v1/orders/${order.orderId}`);
      expect(body).toEqual({ orderId: order.orderId, status: 'processing' });
      const description = await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).describe();
      expect(description).toMatchObject({ type: 'order', taskQueue: 'orders' });
      expect(await description.staticSummary()).toBe(`1 line(s) for ${order.customerId}`);
    });

    test('generates an order id when the request has none', async () => {
      const { order } = await makeProductOrder(shop);
      const { orderId: _none, ...anonymous } = order;

      const first = await api.post<{ orderId: string }>('/v1/orders', anonymous);
      const second = await api.post<{ orderId: string }>('/v1/orders', anonymous);

      expect([first.status, second.status]).toEqual([202, 202]);
      expect(first.body.orderId).not.toBe(second.body.orderId);
      expect(first.headers.get('location')).toBe(`/v1/orders/${first.body.orderId}`);
      expect((await api.get(`/v1/orders/${first.body.orderId}`)).status).toBe(200);
    });

    test('returns the existing order for a repeated order request', async () => {
      const { order } = await makeProductOrder(shop);
      // The sequence of the fields does not change the content.
      const reversed = Object.fromEntries(Object.entries(order).reverse());

      const responses = await Promise.all([order, reversed, order].map((body) => api.post('/v1/orders', body)));
      const later = await api.post('/v1/orders', order);

      for (const { status, headers, body } of [...responses, later]) {
        expect(status).toBe(202);
        expect(headers.get('location')).toBe(`/v1/orders/${order.orderId}`);
        expect(body).toMatchObject({ orderId: order.orderId });
      }
      const description = await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).describe();
      const { body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);
      expect(body.workflow.runId).toBe(description.runId);
      expect(description.raw.workflowExecutionInfo?.firstRunId).toBe(description.runId);
    });

    test('returns the status of a closed order for a repeated order request, and starts no workflow', async () => {
      const { order } = await makeProductOrder(shop, { payment: { token: 'tok_declined' } });
      await api.post('/v1/orders', order);
      const rejected = await api.waitForOrderStatus(order.orderId, 'rejected');

      const { status, body } = await api.post('/v1/orders', order);

      expect(status).toBe(202);
      expect(body).toEqual({ orderId: order.orderId, status: 'rejected' });
      const { runId } = await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).describe();
      expect(runId).toBe(rejected.workflow.runId);
    });

    test('accepts an order whose total equals the expected total', async () => {
      const { order, product } = await makeProductOrder(shop);
      const expectedTotal = { value: 2 * product.price.value, currency: 'EUR' };

      const { status } = await api.post('/v1/orders', { ...order, expectedTotal });

      expect(status).toBe(202);
      const { total } = await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
      expect(total).toEqual(expectedTotal);
    });

    test.each([
      ['amount', { value: 2499, currency: 'EUR' }],
      ['currency', { value: 2500, currency: 'USD' }],
    ])(
      'rejects an expected total with another %s: returns 409 with both totals and does not start the order',
      async (_description, expectedTotal) => {
        const { order, product } = await makeProductOrder(shop);

        const { status, body } = await api.post('/v1/orders', { ...order, expectedTotal });

        expect(status).toBe(409);
        expect(body).toMatchObject({
          type: '/problems/price-changed',
          total: { value: 2500, currency: 'EUR' },
          expectedTotal,
        });
        expect(await shop.store.findOrder(order.orderId)).toBeUndefined();
        expect((await shop.store.findProducts([product.sku])).get(product.sku)?.available).toBe(product.available);
        await expect(shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).describe()).rejects.toThrow(
          WorkflowNotFoundError,
        );
      },
    );

    test('after a price change, returns the existing order for a repeated order request', async () => {
      const { order, product } = await makeProductOrder(shop);
      const request = { ...order, expectedTotal: { value: 2 * product.price.value, currency: 'EUR' } };
      expect((await api.post('/v1/orders', request)).status).toBe(202);
      await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
      await shop.ownerStore.db
        .updateTable('products')
        .set({ price_value: product.price.value + 1 })
        .where('sku', '=', product.sku)
        .execute();

      const repeated = await api.post('/v1/orders', request);
      const another = await api.post('/v1/orders', { ...request, orderId: randomUUID() });

      expect(repeated).toMatchObject({ status: 202, body: { orderId: order.orderId, status: 'processing' } });
      expect(another).toMatchObject({ status: 409, body: { type: '/problems/price-changed' } });
    });

    test('returns the status "failed" for a repeated request when the order was terminated', async () => {
      const { order } = await placeShippedOrder({ shop, api });
      await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).terminate();

      expect((await api.post('/v1/orders', order)).body).toEqual({ orderId: order.orderId, status: 'failed' });
    });

    test.each<[string, (order: OrderInput) => unknown]>([
      ['another quantity', (order) => ({ ...order, lines: order.lines.map((line) => ({ ...line, quantity: 3 })) })],
      ['another customer', (order) => ({ ...order, customerId: 'somebody-else' })],
      ['another token', (order) => ({ ...order, payment: { token: 'tok_declined' } })],
      ['one more line', (order) => ({ ...order, lines: [...order.lines, ...order.lines] })],
    ])('returns 409 for an existing order id with %s', async (_description, change) => {
      const { order } = await makeProductOrder(shop);
      await api.post('/v1/orders', order);

      const { status, headers, body } = await api.post('/v1/orders', change(order));

      expect(status).toBe(409);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(body).toMatchObject({ type: '/problems/order-id-taken', status: 409, orderId: order.orderId });
    });
  });

  describe('GET /v1/orders/{id}', () => {
    test('returns 404 for an unknown order', async () => {
      const { status, body } = await api.get(`/v1/orders/${randomUUID()}`);

      expect(status).toBe(404);
      expect(body).toMatchObject({ type: '/problems/not-found', status: 404 });
    });

    test('shows prices, shipment and completed steps of an order that awaits pickup', async () => {
      const { order, product, shipped } = await placeShippedOrder({ shop, api });

      expect(shipped).toMatchObject({
        orderId: order.orderId,
        customerId: order.customerId,
        status: 'processing',
        stage: 'awaiting_pickup',
        lines: [{ sku: product.sku, name: product.name, quantity: 2, unitPrice: product.price }],
        total: { value: 2 * product.price.value, currency: 'EUR' },
        shipment: { shipmentId: expect.stringMatching(/^sh_/), status: 'requested' },
        compensations: [],
        workflow: { workflowId: `order:${order.orderId}` },
      });
      expect(shipped.steps.map(({ name, status }) => [name, status])).toEqual([
        ['reserveStock', 'completed'],
        ['chargePayment', 'completed'],
        ['requestShipment', 'completed'],
      ]);
      const times = shipped.steps.flatMap(({ startedAt, endedAt }) => [startedAt, endedAt!]);
      expect(times).toEqual([...times].sort());
    });

    test('shows shipment and completed steps of a delivered order', async () => {
      const { order, product } = await placeShippedOrder({ shop, api });
      expect(await shop.fakes.carrier.reportNow(order.orderId, 'in_transit')).toMatchObject({ status: 202 });
      await api.waitForOrderStage(order.orderId, 'in_transit');
      expect(await shop.fakes.carrier.reportNow(order.orderId, 'delivered')).toMatchObject({ status: 202 });

      const completed = await api.waitForOrderStatus(order.orderId, 'completed');

      expect(completed).toMatchObject({ stage: 'done', shipment: { status: 'delivered' }, compensations: [] });
      expect(completed.steps).toHaveLength(3);
      await waitUntil(async () => (await shop.store.findOrder(order.orderId))?.outcome ?? undefined, {
        description: 'the outcome in the store',
        timeoutMs: 10_000,
      });
      expect((await shop.store.findOrder(order.orderId))?.status).toBe('completed');
      expect(await readReservation(shop.store, order.orderId)).toBe('sold');
      expect(completed.reason).toBeUndefined();
      expect(await readVerdict(order, product)).toBe('sold');
    });

    test.each([
      ['tok_declined', 'CardDeclined'],
      ['tok_insufficient_funds', 'InsufficientFunds'],
    ])('shows the reason and the compensations of an order whose payment with %s is declined', async (token, type) => {
      const { order, product } = await makeProductOrder(shop, { payment: { token } });
      await api.post('/v1/orders', order);

      const rejected = await api.waitForOrderStatus(order.orderId, 'rejected');

      expect(rejected).toMatchObject({ stage: 'done', reason: { type } });
      expect(rejected.steps.at(-1)).toMatchObject({ name: 'chargePayment', status: 'failed', reason: { type } });
      expect(rejected.compensations.map(({ name, status }) => [name, status])).toEqual([
        ['refundPayment', 'completed'],
        ['releaseStock', 'completed'],
      ]);
      expect(await readVerdict(order, product)).toBe('rolled back');
    });

    test.each<[string, Partial<OrderInput>, string]>([
      ['that does not exist', { lines: [{ sku: 'NO-SUCH-THING', quantity: 1 }] }, 'UnknownSku'],
      ['with too little stock', {}, 'OutOfStock'],
    ])('rejects an order for a product %s and shows the reason', async (_description, overrides, type) => {
      const scarce = await addProduct(shop.store, { available: 1 });
      const order = makeOrder({ lines: [{ sku: scarce.sku, quantity: 2 }], ...overrides });
      await api.post('/v1/orders', order);

      const rejected = await api.waitForOrderStatus(order.orderId, 'rejected');

      expect(rejected.reason).toMatchObject({ type });
      expect(shop.fakes.records(order.orderId).charges).toEqual([]);
    });

    test('shows payment attempts while the gateway is unavailable, and the order can still be cancelled', async () => {
      const { order, product } = await makeProductOrder(shop, { payment: { token: 'tok_gateway_down' } });
      await api.post('/v1/orders', order);

      const retrying = await api.waitForOrder(order.orderId, (seen) => seen.retrying !== undefined, 'is retrying');
      expect(retrying).toMatchObject({ status: 'processing', stage: 'charging_payment' });
      expect(retrying.retrying).toEqual([
        {
          step: 'chargePayment',
          attempt: expect.any(Number),
          nextAttemptAt: expect.stringMatching(/^\d{4}-.*Z$/),
          lastFailure: { type: 'PaymentGatewayUnavailable', message: 'PaymentGateway: answered 503' },
        },
      ]);

      await api.post(`/v1/orders/${order.orderId}/cancel`);
      await api.waitForOrderStatus(order.orderId, 'cancelled');
      expect(await readVerdict(order, product)).toBe('rolled back');
    });

    test('an order stays open and shows the failure when the gateway rejects the credentials of the shop', async () => {
      const { order, product } = await makeProductOrder(shop);
      const { orderId } = order;
      shop.fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 401, code: null, times: -1 });
      await api.post('/v1/orders', order);

      const seen = await api.waitForOrder(orderId, ({ retrying }) => retrying !== undefined, 'is retrying');

      expect(seen).toMatchObject({ status: 'processing', stage: 'charging_payment' });
      expect(seen.retrying).toMatchObject([
        {
          step: 'chargePayment',
          attempt: 2,
          lastFailure: {
            type: 'PaymentGatewayMisconfigured',
            message: 'PaymentGateway: answered 401 without an error code; check its URL and our credentials',
          },
        },
      ]);
      // The retry delay is several minutes, because only an operator can fix the credentials.
      expect(Date.parse(seen.retrying![0]!.nextAttemptAt!) - Date.now()).toBeGreaterThan(2 * 60_000);

      await api.post(`/v1/orders/${orderId}/cancel`);
      await api.waitForOrderStatus(order.orderId, 'cancelled');
      expect(await readVerdict(order, product)).toBe('rolled back');
    });

    test('returns the final view of a closed order while Temporal is unreachable', async () => {
      const { order, completed } = await placeDeliveredOrder({ shop, api });
      const away = await createUnreachableBackends();
      const lonely = await startApi({ client: away.client, store: shop.store });
      try {
        expect(await lonely.get(`/v1/orders/${order.orderId}`)).toMatchObject({ status: 200, body: completed });
      } finally {
        await lonely.close();
        await away.close();
      }
    });

    test('shows an order as failed with the reason after its workflow is terminated', async () => {
      const { order } = await placeShippedOrder({ shop, api });
      await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).terminate();

      const { status, body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);

      expect(status).toBe(200);
      const message = 'the workflow was terminated; the order was not rolled back yet';
      expect(body).toMatchObject({ status: 'failed', stage: 'done', reason: { type: 'Terminated', message } });
      expect(body.rolledBackAt).toBeUndefined();
    });

    test('shows when the reconciliation rolled a terminated order back', async () => {
      const { order } = await placeShippedOrder({ shop, api });
      const { orderId } = order;
      const handle = shop.client.workflow.getHandle(orderWorkflowId(orderId));
      const { runId: firstRunId } = await handle.describe();
      await handle.terminate();
      expect(await shop.store.rollBackOrder({ orderId, firstRunId })).toBe(true);

      const { body } = await api.get<OrderResource>(`/v1/orders/${orderId}`);

      const { rolled_back_at: at } = await shop.store.db
        .selectFrom('orders')
        .select('rolled_back_at')
        .where('order_id', '=', orderId)
        .executeTakeFirstOrThrow();
      expect(body).toMatchObject({ status: 'failed', rolledBackAt: at!.toISOString() });
      expect(body.reason?.message).toMatch(/^the workflow was terminated; the order was rolled back at \d{4}-/);
    });
  });

  describe('POST /v1/orders/{id}/cancel', () => {
    test('a cancel before pickup returns 202 and compensates the order, and a repeated cancel returns the result', async () => {
      const { order, product } = await placeShippedOrder({ shop, api });

      const { status, body } = await api.post<OrderResource>(`/v1/orders/${order.orderId}/cancel`, {
        reason: 'too many mugs',
      });

      expect(status).toBe(202);
      expect(body).toMatchObject({ orderId: order.orderId, cancellation: { reason: 'too many mugs' } });
      const cancelled = await api.waitForOrderStatus(order.orderId, 'cancelled');
      expect(cancelled.compensations.map(({ name, status }) => [name, status])).toEqual([
        ['cancelShipment', 'completed'],
        ['refundPayment', 'completed'],
        ['releaseStock', 'completed'],
      ]);
      expect(await readVerdict(order, product)).toBe('rolled back');

      const again = await api.post<OrderResource>(`/v1/orders/${order.orderId}/cancel`, {
        reason: 'changed my mind again',
      });
      expect(again.status).toBe(202);
      expect(again.body).toEqual(cancelled);
      expect(await readReservation(shop.store, order.orderId)).toBe('released');
    });

    test('a repeated cancel of a stuck order returns the order and writes no history event', async () => {
      const { order } = await placeShippedOrder({ shop, api });
      const { orderId } = order;
      shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: 1 });
      await api.post(`/v1/orders/${orderId}/cancel`, { reason: 'the first' });
      await api.waitForOrderStatus(order.orderId, 'compensation_stuck');
      const handle = shop.client.workflow.getHandle(orderWorkflowId(orderId));
      const waitForStableHistoryLength = async () => {
        const { historyLength, raw } = await handle.describe();
        return raw.pendingActivities?.length || raw.pendingWorkflowTask ? undefined : historyLength;
      };
      const before = await waitUntil(waitForStableHistoryLength, {
        description: 'an order without pending work',
        timeoutMs: 20_000,
      });

      for (let count = 0; count < 30; count++) {
        const { status, body } = await api.post<OrderResource>(`/v1/orders/${orderId}/cancel`, { reason: 'again' });
        expect([status, body.status, body.cancellation?.reason]).toEqual([202, 'compensation_stuck', 'the first']);
      }

      expect((await handle.describe()).historyLength).toBe(before);
      await api.post(`/v1/orders/${orderId}/compensation`, retryRefund(1));
      await api.waitForOrderStatus(order.orderId, 'cancelled');
    });

    test('an accepted cancel takes effect even when the running step fails before it receives the cancellation', async () => {
      const product = await addProduct(shop.store);
      const order = makeOrder({ lines: [{ sku: product.sku, quantity: 1 }] });
      const { orderId } = order;
      shop.fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 503, times: 1, delayMs: 0 });
      const hold = shop.fakes.hold('charge', orderId, { waitBefore: 'effect' });
      await api.post('/v1/orders', order);
      await hold.arrived;
      expect((await api.post(`/v1/orders/${orderId}/cancel`)).status).toBe(202);
      await hold.release();

      expect(await api.waitForOrderStage(orderId, 'done')).toMatchObject({
        status: 'cancelled',
        steps: [{}, { name: 'chargePayment', status: 'failed', reason: { type: 'PaymentGatewayUnavailable' } }],
      });
      expect(await readVerdict(order, product)).toBe('rolled back');
    });

    test('accepts a cancel of an order without a request body', async () => {
      const { order } = await placeShippedOrder({ shop, api });

      expect((await api.request('POST', `/v1/orders/${order.orderId}/cancel`)).status).toBe(202);
      await api.waitForOrderStatus(order.orderId, 'cancelled');
    });

    test('two simultaneous cancels of an order both return 202, and the order is compensated once', async () => {
      const { order, product } = await placeShippedOrder({ shop, api });

      const responses = await Promise.all([1, 2].map(() => api.post(`/v1/orders/${order.orderId}/cancel`)));

      expect(responses.map(({ status }) => status)).toEqual([202, 202]);
      await api.waitForOrderStatus(order.orderId, 'cancelled');
      expect(await readVerdict(order, product)).toBe('rolled back');
    });

    test('rejects a cancel after pickup with 409, and the order completes', async () => {
      const { order, product } = await placeShippedOrder({ shop, api });
      await shop.fakes.carrier.reportNow(order.orderId, 'in_transit');

      const { status, headers, body } = await api.post(`/v1/orders/${order.orderId}/cancel`);

      expect(status).toBe(409);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(body).toMatchObject({ type: '/problems/already-picked-up', orderId: order.orderId });
      await shop.fakes.carrier.reportNow(order.orderId, 'delivered');
      await api.waitForOrderStatus(order.orderId, 'completed');
      expect(await readVerdict(order, product)).toBe('sold');
    });

    test('rejects a cancel of a rejected order with 409 and the order status', async () => {
      const { order } = await makeProductOrder(shop, { payment: { token: 'tok_declined' } });
      await api.post('/v1/orders', order);
      await api.waitForOrderStatus(order.orderId, 'rejected');

      const { status, body } = await api.post(`/v1/orders/${order.orderId}/cancel`);

      expect(status).toBe(409);
      expect(body).toMatchObject({ type: '/problems/order-closed', detail: expect.stringContaining('rejected') });
    });

    test('rejects a cancel of an unknown order with 404', async () => {
      expect((await api.post(`/v1/orders/${randomUUID()}/cancel`)).status).toBe(404);
    });
  });

  const retryRefund = (attempt: number) => ({ compensation: 'refundPayment', attempt, action: 'retry' }) as const;
  const skipRefund = (attempt: number) => ({ compensation: 'refundPayment', attempt, action: 'skip' }) as const;

  describe('POST /v1/orders/{id}/compensation', () => {
    /** Places and cancels an order whose refund the gateway rejects `countRejectedCalls` times. */
    async function placeStuckOrder(countRejectedCalls: number) {
      const made = await placeShippedOrder({ shop, api });
      const { orderId } = made.order;
      shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: countRejectedCalls });
      await api.post(`/v1/orders/${orderId}/cancel`);
      const isStuck = ({ status, compensations }: OrderResource) =>
        status === 'compensation_stuck' && compensations.at(-1)?.status === 'completed';
      return { ...made, stuck: await api.waitForOrder(orderId, isStuck, 'stuck') };
    }

    test('an order is cancelled when an operator retries a stuck refund and the retry succeeds', async () => {
      const { order, product, stuck } = await placeStuckOrder(1);
      expect(stuck).toMatchObject({ status: 'compensation_stuck', stage: 'compensating' });
      expect(stuck.compensations).toMatchObject([
        { name: 'cancelShipment', status: 'completed' },
        { name: 'refundPayment', status: 'stuck', attempt: 1, reason: { type: 'RejectedByExternalSystem' } },
        { name: 'releaseStock', status: 'completed' },
      ]);

      const { status, body } = await api.post<OrderResource>(
        `/v1/orders/${order.orderId}/compensation`,
        retryRefund(1),
      );

      expect(status).toBe(202);
      expect(body.compensations[1]).toMatchObject({ name: 'refundPayment', attempt: 2 });
      expect(body.compensations[1]!.status).not.toBe('stuck');
      const cancelled = await api.waitForOrderStatus(order.orderId, 'cancelled');
      expect(cancelled.compensations.map(({ name, status }) => [name, status])).toEqual([
        ['cancelShipment', 'completed'],
        ['refundPayment', 'completed'],
        ['releaseStock', 'completed'],
      ]);
      expect(await readVerdict(order, product)).toBe('rolled back');
    });

    test('a compensation gets stuck again when its retry fails, and a decision about the earlier attempt returns 409', async () => {
      const { order, product } = await placeStuckOrder(2);

      await api.post(`/v1/orders/${order.orderId}/compensation`, retryRefund(1));
      const countRejectedCalls = () =>
        shop.fakes.records(order.orderId).requests.filter(({ status }) => status === 400).length;
      await api.waitForOrder(
        order.orderId,
        ({ status }) => status === 'compensation_stuck' && countRejectedCalls() === 2,
        'stuck again',
      );

      const late = await api.post(`/v1/orders/${order.orderId}/compensation`, skipRefund(1));
      expect(late).toMatchObject({ status: 409, body: { type: '/problems/compensation-not-stuck' } });
      expect(late.body.detail).toContain('refundPayment (attempt 2)');
      expect((await api.post(`/v1/orders/${order.orderId}/compensation`, retryRefund(2))).status).toBe(202);
      await api.waitForOrderStatus(order.orderId, 'cancelled');
      expect(await readVerdict(order, product)).toBe('rolled back');
    });

    test('when an operator skips a stuck refund, the shop keeps the money and compensates the other steps', async () => {
      const { order, product } = await placeStuckOrder(1);

      const response = await api.post<OrderResource>(`/v1/orders/${order.orderId}/compensation`, skipRefund(1));

      expect(response.status).toBe(202);
      expect(response.body.compensations[1]).toMatchObject({ name: 'refundPayment', status: 'skipped' });

      const cancelled = await api.waitForOrderStatus(order.orderId, 'cancelled');
      expect(cancelled.compensations.map(({ name, status }) => [name, status])).toEqual([
        ['cancelShipment', 'completed'],
        ['refundPayment', 'skipped'],
        ['releaseStock', 'completed'],
      ]);
      const { charges, refunds } = shop.fakes.records(order.orderId);
      expect([charges.length, refunds.length]).toEqual([1, 0]);
      expect((await shop.store.findProducts([product.sku])).get(product.sku)?.available).toBe(product.available);
    });

    test('of two simultaneous decisions about a stuck compensation, one returns 202 and the other 409', async () => {
      const { order } = await placeStuckOrder(1);

      const responses = await Promise.all(
        [1, 2].map(() => api.post(`/v1/orders/${order.orderId}/compensation`, skipRefund(1))),
      );

      expect(responses.map(({ status }) => status).sort()).toEqual([202, 409]);
      await api.waitForOrderStatus(order.orderId, 'cancelled');
    });

    test('rejects a compensation decision with 409 when no compensation is stuck', async () => {
      const { order } = await placeShippedOrder({ shop, api });

      const { status, body } = await api.post(`/v1/orders/${order.orderId}/compensation`, retryRefund(1));

      expect(status).toBe(409);
      expect(body).toMatchObject({ type: '/problems/compensation-not-stuck', orderId: order.orderId });
    });

    test('rejects a compensation decision about a closed order with 409', async () => {
      const { order } = await makeProductOrder(shop, { payment: { token: 'tok_declined' } });
      await api.post('/v1/orders', order);
      await api.waitForOrderStatus(order.orderId, 'rejected');

      const { status, body } = await api.post(`/v1/orders/${order.orderId}/compensation`, skipRefund(1));

      expect(status).toBe(409);
      expect(body).toMatchObject({ type: '/problems/order-closed' });
    });

    test('rejects a compensation decision about an unknown order with 404', async () => {
      expect((await api.post(`/v1/orders/${randomUUID()}/compensation`, skipRefund(1))).status).toBe(404);
    });
  });

  test('the API is ready when Temporal, the workers and the database are available', async () => {
    const { status, body } = await api.get('/readyz');

    expect(status).toBe(200);
    expect(body).toEqual({ status: 'ready', checks: { temporal: 'ok', worker: 'ok', store: 'ok' } });
  });
});
