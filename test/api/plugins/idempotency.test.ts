import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ApprovalResource } from '../../../src/schemas/approval.js';
import type { BatchResource } from '../../../src/schemas/batch.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import { openStore } from '../../../src/store/index.js';
import { createClient } from '../../../src/temporal/connections.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import {
  ORDERS_VISIBILITY_QUERY,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
  orderWorkflowId,
} from '../../../src/workflows/order/contract.js';
import { freePort, waitUntil } from '../../support/processes.js';
import { startApi, type ApiResponse, type Api, type RequestOptions } from '../../support/api/api.js';
import type { RepeatedRequest, RequestBody as Body } from '../../support/api/repeated-request.js';
import { makeApproval, makeStage } from '../../support/shop/approvals.js';
import { makeItems, stageTestBatch, TestOperations } from '../../support/shop/batches.js';
import { authOf, createCaller, fetchApiOperations, type TestCaller } from '../../support/api/callers.js';
import { quantitiesOf, type CartBody } from '../../support/shop/carts.js';
import { lockCatalogue } from '../../support/database/database-lock.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { readStock, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

const NDJSON = 'application/x-ndjson';
const ndjson = (...items: unknown[]) => items.map((item) => `${JSON.stringify(item)}\n`).join('');
const KEY_RETENTION_HOURS = 24;
const CLAIM_TTL_SECONDS = 30;

describeOnDevServer('Idempotency-Key', () => {
  let shop: Shop;
  /** `api` and `second` are two API processes of one shop, like behind a load balancer. */
  let api: Api;
  let second: Api;
  const root = createCaller(['operator', 'approver', 'shopper']);
  const [ada, bob] = [createCaller(['shopper']), createCaller(['shopper'])] as const;
  const auth = authOf(root, ada, bob);
  const tests = new TestOperations();

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { operations: tests.operations });
    [api, second] = await Promise.all([startApi({ ...shop, auth }), startApi({ ...shop, auth })]);
  });
  afterEach(() => {
    tests.unblockCalls();
    tests.clearFailures();
  });
  afterAll(async () => {
    await Promise.all([api?.close(), second?.close()]);
    await shop?.close();
  });

  const newKey = () => `key-${randomUUID()}`;

  const withKey = (key: string, { headers, json, text }: RequestOptions = {}): RequestOptions => ({
    headers: { ...headers, 'idempotency-key': key },
    ...(json !== undefined && { json }),
    ...(text !== undefined && { text }),
  });

  /** Sends the request with an idempotency key. */
  const send = (
    to: Api,
    key: string,
    request: Pick<RepeatedRequest, 'method' | 'path'> & RequestOptions,
    by: TestCaller = root,
  ) => by.send<Body>(to, request.method, request.path, withKey(key, request));

  const post = (path: string, json?: unknown) => root.send<Body>(api, 'POST', path, { json });

  const placeOrderRequest = (json: unknown) => ({ method: 'POST', path: '/v1/orders', json });

  async function makeOrderBody(customerId = `customer-${randomUUID().slice(0, 8)}`) {
    const { sku } = await addProduct(shop.store);
    return { customerId, lines: [{ sku, quantity: 1 }], payment: { token: 'tok_ok' } };
  }

  const handle = (workflowId: string) => shop.client.workflow.getHandle(workflowId);

  async function countUpdates(workflowId: string, name: string): Promise<number> {
    const { events } = await handle(workflowId).fetchHistory();
    return (events ?? []).filter(
      ({ workflowExecutionUpdateAcceptedEventAttributes: accepted }) => accepted?.acceptedRequest?.input?.name === name,
    ).length;
  }

  const countEvents = async (workflow: WorkflowHandle, type: string, name?: string) =>
    (await fetchEventSummaries(workflow)).filter((event) => event.type === type && event.name === name).length;

  /**
   * Waits for the first event and counts the events. Temporal writes an event that arrives during a workflow task only
   * after the task.
   */
  const countArrivals = (workflow: WorkflowHandle, type: string, name?: string) =>
    waitUntil(async () => (await countEvents(workflow, type, name)) || undefined, {
      description: type,
      timeoutMs: 10_000,
    });

  const workflowExists = async (workflowId: string) =>
    handle(workflowId)
      .describe()
      .then(
        () => true,
        () => false,
      );

  /** Counts the executions that visibility finds. Waits for at least one, because visibility lags. */
  const countFound = (query: string) =>
    waitUntil(async () => (await shop.client.workflow.count(query)).count || undefined, {
      description: query,
      timeoutMs: 10_000,
      intervalMs: 50,
    });

  const waitForResource =
    <T>(path: string) =>
    (expected: (body: T) => boolean, what: string) =>
      waitUntil(
        async () => {
          const { status, body } = await root.send<T>(api, 'GET', path);
          return status === 200 && expected(body) ? body : undefined;
        },
        { description: `${path}: ${what}`, timeoutMs: 20_000, intervalMs: 50 },
      );
  const waitForOrder = (orderId: string, ...expected: Parameters<ReturnType<typeof waitForResource<OrderResource>>>) =>
    waitForResource<OrderResource>(`/v1/orders/${orderId}`)(...expected);
  const waitForBatch = (batchId: string, ...expected: Parameters<ReturnType<typeof waitForResource<BatchResource>>>) =>
    waitForResource<BatchResource>(`/v1/batches/${batchId}`)(...expected);

  /** Places an order and waits until the order awaits pickup. */
  async function placeShippedOrder(): Promise<string> {
    const orderId = randomUUID();
    await post('/v1/orders', { ...(await makeOrderBody()), orderId });
    await waitForOrder(orderId, (order) => order.stage === 'awaiting_pickup', 'awaits pickup');
    return orderId;
  }

  /** Places an order with a delivery timeout of one second, and waits until the delivery is overdue. */
  async function placeOverdueOrder(): Promise<string> {
    const orderId = randomUUID();
    const input = { ...(await makeOrderBody()), orderId, deliveryTimeoutSeconds: 1 };
    const options = { workflowId: orderWorkflowId(orderId), taskQueue: ORDER_TASK_QUEUE, args: [input] };
    await shop.client.workflow.start(ORDER_WORKFLOW_TYPE, options);
    await waitForOrder(orderId, ({ shipment }) => shipment !== undefined, 'shipped');
    await shop.fakes.carrier.reportNow(orderId, 'in_transit');
    await waitForOrder(orderId, ({ status }) => status === 'delivery_overdue', 'overdue');
    return orderId;
  }

  async function openFilledCart(quantity = 2) {
    const cartId = randomUUID();
    const { sku } = await addProduct(shop.store);
    expect((await post(`/v1/carts/${cartId}/items`, { sku, quantity })).status).toBe(200);
    return { path: `/v1/carts/${cartId}`, sku, cart: handle(cartWorkflowId(cartId)) };
  }

  async function startNotifiedApproval() {
    const input = makeApproval({ stages: [makeStage({ id: root.id }, { id: 'boss' })] });
    expect((await post('/v1/approvals', input)).status).toBe(202);
    const path = `/v1/approvals/${input.approvalId}`;
    const events = async (event: string) => {
      const { body } = await root.send<ApprovalResource>(api, 'GET', path);
      return body.trail.filter((entry) => entry.event === event).length;
    };
    return { path, events };
  }

  /** Starts a batch whose partner calls block until the test unblocks them. */
  async function startBlockedBatch() {
    tests.blockCalls();
    const items = makeItems(2, randomUUID());
    const batchId = await stageTestBatch(shop.store, { operation: 'call', items, itemsPerChunk: 1 });
    await post(`/v1/batches/${batchId}/retry`);
    await waitForBatch(batchId, ({ status, attempt }) => status === 'running' && attempt === 1, 'running');
    return { path: `/v1/batches/${batchId}`, batch: handle(batchWorkflowId(batchId)), batchId, items };
  }

  const uploadOf = (text: string, query: Record<string, string> = {}) => ({
    method: 'POST',
    path: `/v1/batches?${new URLSearchParams({ operation: 'restock', ...query }).toString()}`,
    text,
    headers: { 'content-type': NDJSON },
  });

  /** The requests by `operationId`. A feature can define its requests in test/support/shop. */
  const cases: Record<string, () => Promise<RepeatedRequest>> = {
    async placeOrder() {
      const json = await makeOrderBody();
      return {
        ...placeOrderRequest(json),
        changedContent: { json: { ...json, payment: { token: 'tok_declined' } } },
        readEffect: () => countFound(`${ORDERS_VISIBILITY_QUERY} and CustomerId = '${json.customerId}'`),
        expectedEffect: 1,
      };
    },
    async cancelOrder() {
      const orderId = await placeShippedOrder();
      return {
        method: 'POST',
        path: `/v1/orders/${orderId}/cancel`,
        json: { reason: 'too late' },
        changedContent: { json: { reason: 'too early' } },
        readEffect: () => countUpdates(orderWorkflowId(orderId), 'cancelOrder'),
        expectedEffect: 1,
      };
    },
    async changeManyOrders() {
      const orderId = await placeShippedOrder();
      const json = { action: 'cancel', orderIds: [orderId], reason: 'no need' };
      return {
        method: 'POST',
        path: '/v1/orders/bulk',
        json,
        changedContent: { json: { ...json, reason: 'too late' } },
        async readEffect() {
          const { status } = await waitForOrder(orderId, ({ stage }) => stage === 'done', 'done');
          return [status, await countUpdates(orderWorkflowId(orderId), 'cancelOrder')];
        },
        expectedEffect: ['cancelled', 1],
      };
    },
    async resolveCompensation() {
      const orderId = await placeShippedOrder();
      shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: 1 });
      await post(`/v1/orders/${orderId}/cancel`);
      await waitForOrder(orderId, ({ status }) => status === 'compensation_stuck', 'stuck');
      return {
        method: 'POST',
        path: `/v1/orders/${orderId}/compensation`,
        json: { compensation: 'refundPayment', attempt: 1, action: 'retry' },
        changedContent: { json: { compensation: 'refundPayment', attempt: 1, action: 'skip' } },
        async readEffect() {
          const { status } = await waitForOrder(orderId, ({ stage }) => stage === 'done', 'done');
          return [status, await countUpdates(orderWorkflowId(orderId), 'resolveCompensation')];
        },
        expectedEffect: ['cancelled', 1],
      };
    },
    async resolveDelivery() {
      const orderId = await placeOverdueOrder();
      return {
        method: 'POST',
        path: `/v1/orders/${orderId}/delivery`,
        json: { attempt: 1, action: 'delivered' },
        changedContent: { json: { attempt: 1, action: 'write_off' } },
        async readEffect() {
          const { status } = await waitForOrder(orderId, ({ stage }) => stage === 'done', 'done');
          return [status, await countUpdates(orderWorkflowId(orderId), 'resolveDelivery')];
        },
        expectedEffect: ['completed', 1],
      };
    },
    async addItem() {
      const { path, sku, cart } = await openFilledCart();
      return {
        method: 'POST',
        path: `${path}/items`,
        json: { sku, quantity: 3 },
        changedContent: { json: { sku, quantity: 4 } },
        readEffect: async () => [
          quantitiesOf((await root.send<CartBody>(api, 'GET', path)).body)[sku],
          await countUpdates(cart.workflowId, 'addItem'),
        ],
        expectedEffect: [5, 2],
      };
    },
    async setQuantity() {
      const { path, sku, cart } = await openFilledCart();
      return {
        method: 'PATCH',
        path: `${path}/items/${sku}`,
        json: { quantity: 3 },
        changedContent: { json: { quantity: 4 } },
        readEffect: () => countUpdates(cart.workflowId, 'setQuantity'),
        expectedEffect: 1,
      };
    },
    async removeItem() {
      const { path, sku, cart } = await openFilledCart();
      return {
        method: 'DELETE',
        path: `${path}/items/${sku}`,
        changedContent: { json: { sku } },
        readEffect: () => countUpdates(cart.workflowId, 'removeItem'),
        expectedEffect: 1,
      };
    },
    async checkOut() {
      const { path, cart } = await openFilledCart();
      return {
        method: 'POST',
        path: `${path}/checkout`,
        json: { payment: { token: 'tok_ok' } },
        changedContent: { json: { payment: { token: 'tok_declined' } } },
        readEffect: async () => [
          await countUpdates(cart.workflowId, 'checkout'),
          (await fetchEventSummaries(cart)).filter(({ type }) => type === 'StartChildWorkflowExecutionInitiated')
            .length,
        ],
        expectedEffect: [1, 1],
      };
    },
    async abandonCart() {
      const { path, cart } = await openFilledCart();
      return {
        method: 'DELETE',
        path,
        changedContent: { json: { why: 'not' } },
        readEffect: () => countUpdates(cart.workflowId, 'abandon'),
        expectedEffect: 1,
      };
    },
    async requestApproval() {
      const { approvalId: _none, ...json } = makeApproval({ stages: [makeStage({ id: `approver-${randomUUID()}` })] });
      const [approver] = json.stages[0]!.approvers;
      return {
        method: 'POST',
        path: '/v1/approvals',
        json,
        changedContent: { json: { ...json, title: 'Or may we not?' } },
        readEffect: () => countFound(`WorkflowType = 'approval' and Approvers = '${approver!.id}'`),
        expectedEffect: 1,
      };
    },
    async decideApproval() {
      const { path, events } = await startNotifiedApproval();
      const json = { approver: root.id, decision: 'approve', comment: 'fine' };
      return {
        method: 'POST',
        path: `${path}/decision`,
        json,
        changedContent: { json: { ...json, comment: 'really' } },
        readEffect: () => events('decided'),
        expectedEffect: 1,
      };
    },
    async withdrawApproval() {
      const { path, events } = await startNotifiedApproval();
      return {
        method: 'POST',
        path: `${path}/withdraw`,
        json: { reason: 'no need' },
        changedContent: { json: { reason: 'no time' } },
        readEffect: () => events('withdrawn'),
        expectedEffect: 1,
      };
    },
    async uploadBatch() {
      const { sku } = await addProduct(shop.store, { available: 0 });
      return {
        ...uploadOf(ndjson({ sku, quantity: 5 })),
        changedContent: { text: ndjson({ sku, quantity: 6 }) },
        async readEffect({ body }) {
          await waitForBatch(body.batchId!, ({ status }) => status === 'completed', 'completed');
          return await readStock(shop.store, sku);
        },
        expectedEffect: 5,
      };
    },
    async pauseBatch() {
      const { path, batch } = await startBlockedBatch();
      return {
        method: 'POST',
        path: `${path}/pause`,
        changedContent: { json: {} },
        readEffect: () => countArrivals(batch, 'WorkflowExecutionSignaled', 'pause'),
        expectedEffect: 1,
      };
    },
    async resumeBatch() {
      const { path, batch, batchId } = await startBlockedBatch();
      await post(`${path}/pause`);
      await waitForBatch(batchId, ({ status }) => status === 'paused', 'paused');
      return {
        method: 'POST',
        path: `${path}/resume`,
        changedContent: { json: {} },
        readEffect: () => countArrivals(batch, 'WorkflowExecutionSignaled', 'resume'),
        expectedEffect: 1,
      };
    },
    async cancelBatch() {
      const { path, batch } = await startBlockedBatch();
      return {
        method: 'POST',
        path: `${path}/cancel`,
        changedContent: { json: {} },
        readEffect: () => countArrivals(batch, 'WorkflowExecutionCancelRequested'),
        expectedEffect: 1,
      };
    },
    async changeManyBatches() {
      const { batchId, items } = await startBlockedBatch();
      tests.failItem(items[0]!.key, 'permanent');
      tests.unblockCalls();
      const isEnded = ({ status }: { status: string }) => status === 'completed_with_failures';
      await waitForBatch(batchId, isEnded, 'ended');
      const json = { action: 'retry', batchIds: [batchId] };
      return {
        method: 'POST',
        path: '/v1/batches/bulk',
        json,
        changedContent: { json: { ...json, batchIds: [batchId, 'other'] } },
        readEffect: async () => (await waitForBatch(batchId, isEnded, 'ended')).attempt,
        expectedEffect: 2,
      };
    },
    async retryBatch() {
      const { batchId, path, items } = await startBlockedBatch();
      tests.failItem(items[0]!.key, 'permanent');
      tests.unblockCalls();
      await waitForBatch(batchId, ({ status }) => status === 'completed_with_failures', 'ended');
      return {
        method: 'POST',
        path: `${path}/retry`,
        changedContent: { json: {} },
        async readEffect() {
          const { attempt } = await waitForBatch(
            batchId,
            ({ status }) => status === 'completed_with_failures',
            'ended',
          );
          return attempt;
        },
        expectedEffect: 2,
      };
    },
  };

  /** Simulates a process that died before it responded. */
  async function loseResponse(secondsAgo: number): Promise<void> {
    const { rows } = await sql`
      update idempotency_keys
      set status = null, headers = null, body = null, claimed_at = now() - make_interval(secs => ${secondsAgo})
      where claimed_at = (select max(claimed_at) from idempotency_keys) returning 1`.execute(shop.store.db);
    expect(rows).toHaveLength(1);
  }

  test('the idempotency tests cover every operation that takes an Idempotency-Key', async () => {
    const taking = (await fetchApiOperations(api)).filter(({ parameters = [] }) =>
      parameters.some(({ name }) => name.toLowerCase() === 'idempotency-key'),
    );
    expectSameOperations(taking, cases);
  });

  test('every operation that requires a role and changes data takes an Idempotency-Key', async () => {
    const changing = (await fetchApiOperations(api)).filter(
      // The codec operations change no data: they only encode or decode their input.
      ({ method, path, 'x-roles': roles }) => method !== 'GET' && roles && !path.startsWith('/codec/'),
    );
    expectSameOperations(changing, cases);
  });

  describe.each(Object.keys(cases))('%s', (operationId) => {
    test('a repeated request takes effect once, and every API process replays the first response', async () => {
      const { readEffect, expectedEffect, changedContent, ...request } = await cases[operationId]!();
      const key = newKey();

      const first = await send(api, key, request);
      expect(first.status, JSON.stringify(first.body)).toBeLessThan(300);
      expect(first.headers.get('idempotent-replayed')).toBeNull();
      expect(await readEffect(first)).toEqual(expectedEffect);

      for (const to of [second, api]) expectReplayed(await send(to, key, request), first);
      expectProblem(await send(second, key, { ...request, ...changedContent }), 422, 'idempotency-key-reused');
      expect(await readEffect(first)).toEqual(expectedEffect);

      await loseResponse(0);
      const running = await send(second, key, request);
      expectProblem(running, 409, 'request-in-progress');
      expect(running.headers.get('retry-after')).toBe('1');
    });

    test('a repeated request takes effect once when the first API process dies before it responds', async () => {
      const { readEffect, expectedEffect, changedContent, ...request } = await cases[operationId]!();
      const key = newKey();
      const first = await send(api, key, request);
      expect(await readEffect(first)).toEqual(expectedEffect);

      await loseResponse(CLAIM_TTL_SECONDS + 1);
      const reused = await send(second, key, { ...request, ...changedContent });
      const taken = await send(second, key, request);

      expectProblem(reused, 422, 'idempotency-key-reused');
      expect([taken.status, taken.headers.get('location')]).toEqual([first.status, first.headers.get('location')]);
      expect(taken.headers.get('idempotent-replayed')).toBeNull();
      expect(await readEffect(first)).toEqual(expectedEffect);
      expectReplayed(await send(api, key, request), taken);
    });
  });

  describe('repeated requests while the first request runs', () => {
    test('a repeated request returns 409 until the first request completes, and then replays its response', async () => {
      const { path, sku } = await openFilledCart();
      const [key, request] = [newKey(), { method: 'POST', path: `${path}/items`, json: { sku, quantity: 1 } }];
      const lock = await lockCatalogue(shop.ownerDatabaseUrl);
      const pending = send(api, key, request);
      await lock.waitForBlocked();

      const early = await Promise.all([send(second, key, request), send(api, key, request)]);
      await lock.release();
      const first = await pending;

      for (const response of early) expectProblem(response, 409, 'request-in-progress');
      expect(first.status, JSON.stringify(first.body)).toBe(200);
      expectReplayed(await send(second, key, request), first);
      expect(quantitiesOf((await root.send<CartBody>(api, 'GET', path)).body)).toEqual({ [sku]: 3 });
    });

    test('of many simultaneous requests with the same key to two processes, one request runs and the others return 409 or its response', async () => {
      const json = await makeOrderBody();
      const key = newKey();
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, n) => send(n % 2 ? api : second, key, placeOrderRequest(json))),
      );

      const done = responses.filter(({ status }) => status === 202);
      for (const response of responses)
        if (!done.includes(response)) expectProblem(response, 409, 'request-in-progress');
      expect(new Set(done.map(({ body }) => body.orderId)).size).toBe(1);
      expect(done.filter(({ headers }) => !headers.has('idempotent-replayed'))).toHaveLength(1);
      expect(await countFound(`${ORDERS_VISIBILITY_QUERY} and CustomerId = '${json.customerId}'`)).toBe(1);
    });
  });

  describe('scope of an idempotency key', () => {
    test('a request with the idempotency key of another caller is a new request', async () => {
      const key = newKey();
      const [adasOrder, bobsOrder] = [
        placeOrderRequest(await makeOrderBody(ada.id)),
        placeOrderRequest(await makeOrderBody(bob.id)),
      ];

      const first = await send(api, key, adasOrder, ada);
      const other = await send(api, key, bobsOrder, bob);

      expect([first.status, other.status]).toEqual([202, 202]);
      expect(other.body.orderId).not.toBe(first.body.orderId);
      expect(other.headers.get('idempotent-replayed')).toBeNull();
      expectReplayed(await send(second, key, adasOrder, ada), first);
      expectReplayed(await send(second, key, bobsOrder, bob), other);
    });

    test('a request with a used idempotency key on another path is a new request', async () => {
      const key = newKey();
      const [one, other] = [await placeShippedOrder(), await placeShippedOrder()];
      for (const orderId of [one, other]) {
        const response = await send(api, key, { method: 'POST', path: `/v1/orders/${orderId}/cancel` });
        expect([response.status, response.headers.get('idempotent-replayed')]).toEqual([202, null]);
        expect(response.body.orderId).toBe(orderId);
      }
    });

    test('a repeated request may send its JSON fields in another sequence', async () => {
      const json = await makeOrderBody();
      const key = newKey();
      const first = await send(api, key, placeOrderRequest(json));
      expectReplayed(
        await send(api, key, placeOrderRequest(Object.fromEntries(Object.entries(json).reverse()))),
        first,
      );
    });

    test.each([
      ['is empty', ''],
      ['has 256 characters', 'k'.repeat(256)],
    ])('rejects an idempotency key that %s with 400 and starts no order', async (_description, key) => {
      const json = { ...(await makeOrderBody()), orderId: randomUUID() };
      expectProblem(await send(api, key, placeOrderRequest(json)), 400, 'invalid-request');
      expect(await workflowExists(orderWorkflowId(json.orderId))).toBe(false);
    });

    test('returns 403 instead of a replay when the caller does not have the required role', async () => {
      const key = newKey();
      const { path } = await startBlockedBatch();
      expect((await send(api, key, { method: 'POST', path: `${path}/pause` })).status).toBe(202);
      expectProblem(await send(api, key, { method: 'POST', path: `${path}/pause` }, ada), 403, 'forbidden');
    });
  });

  describe('stored responses', () => {
    test('replays a stored response after a restart of the API', async () => {
      const before = await startApi({ ...shop, auth });
      const [key, request] = [newKey(), placeOrderRequest(await makeOrderBody())];
      const first = await send(before, key, request);
      await before.close();

      const after = await startApi({ ...shop, auth });
      try {
        expectReplayed(await send(after, key, request), first);
      } finally {
        await after.close();
      }
    });

    test('replays the response of a cart change after the cart is closed', async () => {
      const { path, sku } = await openFilledCart();
      const [key, request] = [newKey(), { method: 'POST', path: `${path}/items`, json: { sku, quantity: 1 } }];
      const first = await send(api, key, request);
      expect((await root.send(api, 'DELETE', path)).status).toBe(200);

      expectReplayed(await send(second, key, request), first);
      expectProblem(await root.send<Body>(api, 'GET', path), 410, 'cart-closed');
    });

    test.each<[string, () => Promise<{ wrong: RequestOptions; status: number }>]>([
      ['400', async () => ({ wrong: { json: {} }, status: 400 })],
      ['413', async () => ({ wrong: { json: { text: 'x'.repeat(300_000) } }, status: 413 })],
      ['415', async () => ({ wrong: { text: 'order', headers: { 'content-type': 'text/plain' } }, status: 415 })],
    ])('runs a corrected request with the same key when the first request returned %s', async (_description, make) => {
      const { wrong, status } = await make();
      const [key, good] = [newKey(), placeOrderRequest(await makeOrderBody())];

      expect((await send(api, key, { ...good, json: undefined, ...wrong })).status).toBe(status);
      const repeated = await send(second, key, good);

      expect([repeated.status, repeated.headers.get('idempotent-replayed')]).toEqual([202, null]);
    });

    test('runs a corrected request with the same key when the first request returned 403', async () => {
      const key = newKey();
      expectProblem(
        await send(api, key, placeOrderRequest(await makeOrderBody('somebody-else')), ada),
        403,
        'forbidden',
      );
      expect((await send(second, key, placeOrderRequest(await makeOrderBody(ada.id)), ada)).status).toBe(202);
    });

    test('runs a repeated request when the first request returned 404 and the resource exists now', async () => {
      const orderId = randomUUID();
      const [key, cancel] = [newKey(), { method: 'POST', path: `/v1/orders/${orderId}/cancel` }];
      expectProblem(await send(api, key, cancel), 404, 'not-found');
      await post('/v1/orders', { ...(await makeOrderBody()), orderId });

      const { status, headers } = await send(second, key, cancel);

      expect([status, headers.get('idempotent-replayed')]).toEqual([202, null]);
    });

    test('replays a rejection by a business rule, even when the rule would now accept the request', async () => {
      const { path } = await openFilledCart();
      const { sku } = await addProduct(shop.store, { available: 0 });
      const [key, request] = [newKey(), { method: 'POST', path: `${path}/items`, json: { sku, quantity: 1 } }];
      const first = await send(api, key, request);
      expectProblem(first, 422, 'out-of-stock');
      await shop.store.db.updateTable('products').set({ stock: 5 }).where('sku', '=', sku).execute();

      expectReplayed(await send(second, key, request), first);
      expect((await send(second, newKey(), request)).status).toBe(200);
    });

    test('runs a repeated request when the first request failed because Temporal was unreachable', async () => {
      const client = createClient({ TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`, TEMPORAL_NAMESPACE: 'default' });
      const apiWithoutBackends = await startApi({ ...shop, client, auth });
      try {
        const [key, request] = [newKey(), placeOrderRequest(await makeOrderBody())];
        expectProblem(await send(apiWithoutBackends, key, request), 503, 'temporal-unavailable');
        const { status, headers } = await send(api, key, request);
        expect([status, headers.get('idempotent-replayed')]).toEqual([202, null]);
      } finally {
        await apiWithoutBackends.close();
        await client.connection.close();
      }
    });

    test('without the database, a repeated request creates one order because both requests have the same workflow id', async () => {
      const databaseUrl = `postgres://u:p@127.0.0.1:${await freePort()}/shop`;
      const store = openStore({ databaseUrl, maxConnections: 1, onIdleError: () => undefined });
      const apiWithoutBackends = await startApi({ ...shop, store, auth });
      try {
        const [key, json] = [newKey(), await makeOrderBody()];
        const first = await send(apiWithoutBackends, key, placeOrderRequest(json));
        expect(first.status).toBe(202);
        expect((await send(apiWithoutBackends, key, placeOrderRequest(json))).body.orderId).toBe(first.body.orderId);
        const other = placeOrderRequest({ ...json, payment: { token: 'tok_other' } });
        expectProblem(await send(apiWithoutBackends, key, other), 422, 'idempotency-key-reused');
        const items = { method: 'POST', path: `/v1/carts/${randomUUID()}/items`, json: json.lines[0] };
        expectProblem(await send(apiWithoutBackends, newKey(), items), 503, 'store-unavailable');
      } finally {
        await apiWithoutBackends.close();
        await store.close();
      }
    });

    test('when the response cannot be stored, returns the response, and a repeated request returns the same order', async () => {
      const store = { ...shop.store, keepAnswer: () => Promise.reject(new Error('no room')) };
      const forgetful = await startApi({ ...shop, store, auth });
      try {
        const [key, request] = [newKey(), placeOrderRequest(await makeOrderBody())];
        const first = await send(forgetful, key, request);
        expect(first.status).toBe(202);

        await loseResponse(CLAIM_TTL_SECONDS + 1);
        const next = await send(api, key, request);

        expect([next.status, next.body.orderId]).toEqual([202, first.body.orderId]);
      } finally {
        await forgetful.close();
      }
    });

    test('an idempotency key expires after 24 hours', async () => {
      const key = newKey();
      const [one, other] = [await makeOrderBody(), await makeOrderBody()].map((body) =>
        placeOrderRequest({ ...body, orderId: randomUUID() }),
      );
      const first = await send(api, key, one!);
      await backdateKey(KEY_RETENTION_HOURS * 3600 - 60);
      expectReplayed(await send(api, key, one!), first);
      expectProblem(await send(api, key, other!), 422, 'idempotency-key-reused');

      await backdateKey(120);
      const later = await send(api, key, other!);

      expect([later.status, later.body.orderId]).toEqual([202, (other!.json as Body).orderId]);
      expectReplayed(await send(second, key, other!), later);
    });

    test('deleteExpiredIdempotencyKeys deletes only keys older than 24 hours', async () => {
      const [old, young] = [newKey(), newKey()];
      const request = placeOrderRequest({ ...(await makeOrderBody()), orderId: randomUUID() });
      await send(api, old, request);
      await backdateKey(KEY_RETENTION_HOURS * 3600 + 60);
      const kept = await send(api, young, request);

      await shop.store.deleteExpiredIdempotencyKeys();

      expectReplayed(await send(api, young, request), kept);
      const again = await send(api, old, request);
      expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([202, null]);
    });
  });

  describe('uploads with an idempotency key', () => {
    const makeUnavailableItem = async () => ({
      sku: (await addProduct(shop.store, { available: 0 })).sku,
      quantity: 5,
    });

    test.each([
      ['without a batch id', () => ({})],
      ['with a batch id', () => ({ batchId: randomUUID() })],
    ])(
      'returns 422 for a used idempotency key with other upload content (%s), and keeps the first batch',
      async (_description, query) => {
        const [key, item, given] = [newKey(), await makeUnavailableItem(), query()];
        const first = await send(api, key, uploadOf(ndjson(item), given));
        expect(first.status).toBe(202);

        const other = await send(second, key, uploadOf(ndjson({ ...item, quantity: 7 }), given));
        const again = await send(second, key, uploadOf(ndjson(item), given));

        expectProblem(other, 422, 'idempotency-key-reused');
        expectReplayed(again, first);
        await waitForBatch(first.body.batchId!, ({ status }) => status === 'completed', 'completed');
        expect(await readStock(shop.store, item.sku)).toBe(5);
      },
    );

    test('returns 422 for a used idempotency key with another upload query', async () => {
      const [key, item] = [newKey(), await makeUnavailableItem()];
      await send(api, key, uploadOf(ndjson(item)));
      expectProblem(
        await send(api, key, uploadOf(ndjson(item), { itemsPerChunk: '7' })),
        422,
        'idempotency-key-reused',
      );
    });

    test('rejects an upload with 409 when another request uses its batch id', async () => {
      const [item, batchId] = [await makeUnavailableItem(), randomUUID()];
      expect((await send(api, newKey(), uploadOf(ndjson(item), { batchId }))).status).toBe(202);
      const other = ndjson({ ...item, quantity: 7 });
      expectProblem(await send(api, newKey(), uploadOf(other, { batchId })), 409, 'batch-id-taken');
    });

    test('runs a corrected upload with the same key after an upload with invalid items', async () => {
      const [key, item] = [newKey(), await makeUnavailableItem()];
      expectProblem(await send(api, key, uploadOf(ndjson({ ...item, quantity: -1 }))), 422, 'invalid-items');

      const repeated = await send(second, key, uploadOf(ndjson(item)));

      expect([repeated.status, repeated.body.batchId]).toEqual([202, expect.any(String)]);
      await waitForBatch(repeated.body.batchId!, ({ status }) => status === 'completed', 'completed');
      expect(await readStock(shop.store, item.sku)).toBe(5);
      expectReplayed(await send(api, key, uploadOf(ndjson(item))), repeated);
    });

    test('reports invalid items of a repeated upload instead of a replay', async () => {
      const [key, item] = [newKey(), await makeUnavailableItem()];
      expect((await send(api, key, uploadOf(ndjson(item)))).status).toBe(202);
      const wrong = await send(api, key, uploadOf(ndjson({ ...item, quantity: -1 })));
      expectProblem(wrong, 422, 'invalid-items');
      expect((await send(api, key, uploadOf(ndjson(item)))).headers.get('idempotent-replayed')).toBe('true');
    });
  });

  /** Makes all idempotency keys older. */
  async function backdateKey(seconds: number): Promise<void> {
    await sql`update idempotency_keys set claimed_at = claimed_at - make_interval(secs => ${seconds})`.execute(
      shop.store.db,
    );
  }
});

function expectSameOperations(operations: { operationId: string }[], cases: object): void {
  const ids = operations.map(({ operationId }) => operationId);
  const missing = ids.filter((id) => !(id in cases));
  expect(missing, 'without a request in `cases` of test/api/plugins/idempotency.test.ts').toEqual([]);
  const unknown = Object.keys(cases).filter((id) => !ids.includes(id));
  expect(unknown, 'operations in `cases` that are not in the API, or whose route has no `idempotency: true`').toEqual(
    [],
  );
}

function expectReplayed(again: ApiResponse<Body>, first: ApiResponse<Body>): void {
  // A replayed problem contains the request id of the repeated request.
  const withKey = again.status < 400 ? {} : { requestId: again.headers.get('x-request-id') };
  expect([again.status, again.body]).toEqual([first.status, { ...first.body, ...withKey }]);
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  for (const name of ['location', 'content-type']) expect(again.headers.get(name)).toBe(first.headers.get(name));
  expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
}

function expectProblem({ status, headers, body }: ApiResponse<Body>, expected: number, kind: string): void {
  expect([status, body.type]).toEqual([expected, `/problems/${kind}`]);
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(headers.get('idempotent-replayed')).toBeNull();
}
