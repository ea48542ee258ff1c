import { randomUUID } from 'node:crypto';
import { Client, type Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureNamespace, ensureSearchAttributes } from '../../../src/temporal/provisioning.js';
import { MAX_CART_LINES } from '../../../src/schemas/cart.js';
import { MAX_LINE_QUANTITY } from '../../../src/schemas/order.js';
import { SEARCH_ATTRIBUTES } from '../../../src/temporal/search-attributes.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import type { cart as cartWorkflow } from '../../../src/workflows/cart/workflow.js';
import {
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  ORDERS_VISIBILITY_QUERY,
  orderWorkflowId,
} from '../../../src/workflows/order/contract.js';
import type { order as orderWorkflow } from '../../../src/workflows/order/workflow.js';
import { readBalance } from '../../support/shop/balance.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type ApiResponse, type Api } from '../../support/api/api.js';
import {
  newCartId,
  CartClient,
  readExecutionChain,
  quantitiesOf,
  startCart,
  type CartBody,
} from '../../support/shop/carts.js';
import { lockCatalogue } from '../../support/database/database-lock.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorkerProcess } from '../../support/workers/workers.js';
import { deliverParcel } from '../../support/fakes/running-fakes.js';

describeOnDevServer('closing a cart', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: ['carts', 'orders', 'payments'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const createCartClient = () => new CartClient(api, newCartId());

  /** Creates a cart with two pieces of one product. */
  async function createFilledCart(product: Parameters<typeof addProduct>[1] = {}) {
    const cart = createCartClient();
    const { sku } = await addProduct(shop.store, product);
    expect((await cart.addItem(sku, 2)).status).toBe(200);
    return { cart, sku };
  }

  const handleOf = ({ cartId }: CartClient) =>
    shop.client.workflow.getHandle<typeof cartWorkflow>(cartWorkflowId(cartId));

  /** Returns the order id of a cart. @throws when the cart does not have exactly one order. */
  async function findOrderOf({ cartId }: CartClient): Promise<string> {
    const orderIds = await waitForOrdersOf(shop.client, cartId);
    expect(orderIds).toHaveLength(1);
    return orderIds[0]!;
  }

  const waitUntilSettled = (orderId: string) =>
    api.waitForOrder(orderId, ({ status, stage }) => status !== 'processing' || stage === 'awaiting_pickup', 'settled');

  const setPrice = (sku: string, value: number) =>
    shop.store.db.updateTable('products').set({ price_value: value }).where('sku', '=', sku).execute();

  function expectClosed(response: ApiResponse<CartBody>, what: Record<string, unknown>): void {
    expect(response.status).toBe(410);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(response.body).toMatchObject({ type: '/problems/cart-closed', status: 410, ...what });
  }

  /** Sends one request of each kind, except a request that adds an item. */
  const everyRequest = (cart: CartClient, sku: string) => [
    cart.get(),
    cart.setQuantity(sku, 1),
    cart.removeItem(sku),
    cart.checkout(),
    cart.abandon(),
  ];

  describe('a checked-out cart', () => {
    test('a checkout returns the id of an order with the lines of the cart and the cart id as customer id', async () => {
      const { cart, sku } = await createFilledCart();

      const { status, headers, body } = await cart.checkout();

      expect(status).toBe(202);
      expect(body).toMatchObject({ cartId: cart.cartId, status: 'checked_out', orderId: await findOrderOf(cart) });
      expect(body).not.toHaveProperty('expiresAt');
      expect(headers.get('location')).toBe(`/v1/orders/${body.orderId}`);
      const order = await waitUntilSettled(body.orderId!);
      expect(order).toMatchObject({ customerId: cart.cartId, stage: 'awaiting_pickup' });
      expect(order.lines).toMatchObject([{ sku, quantity: 2 }]);
      expect((await handleOf(cart).describe()).status.name).toBe('COMPLETED');
      expect(await handleOf(cart).result()).toMatchObject({ status: 'checked_out', orderId: body.orderId });
    });

    test('stock and payment balance after the order of a cart completes', async () => {
      const cart = createCartClient();
      const product = await addProduct(shop.store);
      await cart.addItem(product.sku, 2);

      const { body } = await cart.checkout();
      const orderId = body.orderId!;
      await waitUntilSettled(orderId);
      await deliverParcel(shop.fakes, orderId);
      await api.waitForOrderStatus(orderId, 'completed');

      const order = { orderId, products: [product], token: 'tok_ok', lines: [{ sku: product.sku, quantity: 2 }] };
      expect((await readBalance(shop, order)).verdict).toBe('sold');
    });

    const atOnce: [string, (number: number) => string | undefined][] = [
      ['with the same key', () => 'checkout'],
      ['with different keys', (number) => `checkout ${number}`],
      ['without keys', () => undefined],
    ];
    test.each(atOnce)('five simultaneous checkouts %s create one order', async (how, key) => {
      const { cart, sku } = await createFilledCart();

      const responses = await Promise.all(Array.from({ length: 5 }, (_, number) => cart.checkout(key(number))));

      const orderId = await findOrderOf(cart);
      const taken = responses.filter(({ status }) => status === 202);
      expect(taken).toHaveLength(how === 'with the same key' ? 5 : 1);
      for (const { body } of taken) expect(body.orderId).toBe(orderId);
      for (const response of responses) {
        if (response.status !== 202)
          expectClosed(response, { cartId: cart.cartId, cartStatus: 'checked_out', orderId });
      }
      await waitUntilSettled(orderId);
      expect(shop.fakes.records(orderId).charges).toHaveLength(1);
      expect((await shop.store.findProducts([sku])).get(sku)!.available).toBe(8);
    });

    test('a later checkout with the same key returns the response of the first checkout', async () => {
      const { cart } = await createFilledCart();
      const first = await cart.checkout('name');
      await waitUntilSettled(first.body.orderId!);

      const again = await cart.checkout('name');

      expect([again.status, again.body]).toEqual([202, first.body]);
      expect(await findOrderOf(cart)).toBe(first.body.orderId);
    });

    test('a checked-out cart rejects every request except adding an item with 410 and the order id', async () => {
      const { cart, sku } = await createFilledCart();
      const { orderId } = (await cart.checkout()).body;

      const responses = await Promise.all(everyRequest(cart, sku));

      for (const response of responses) {
        expectClosed(response, { cartId: cart.cartId, cartStatus: 'checked_out', orderId });
        expect(response.body.detail).toContain(orderId);
      }
    });

    test('adding an item to a checked-out cart opens a new cart with the same id, which can be ordered too', async () => {
      const { cart, sku } = await createFilledCart();
      const first = (await cart.checkout()).body.orderId;

      const added = await cart.addItem(sku, 1);

      expect(added.status).toBe(200);
      expect(added.body).toMatchObject({ cartId: cart.cartId, status: 'open', lines: [{ sku, quantity: 1 }] });
      expect(added.body).not.toHaveProperty('orderId');
      const second = (await cart.checkout()).body.orderId!;
      expect(second).not.toBe(first);
      expect((await waitForOrdersOf(shop.client, cart.cartId, 2)).toSorted()).toEqual([first, second].toSorted());
    });

    test('when additions and checkouts run concurrently, each piece ends up in one order or in the open cart', async () => {
      const cart = createCartClient();
      const { sku } = await addProduct(shop.store, { available: 1_000 });
      await cart.addItem(sku, 1);

      const [added, checkedOut] = await Promise.all([
        Promise.all(Array.from({ length: 12 }, () => cart.addItem(sku, 1))),
        Promise.all(Array.from({ length: 3 }, () => cart.checkout())),
      ]);

      expect(added.map(({ status }) => status)).toEqual(Array(12).fill(200));
      const accepted = checkedOut.filter(({ status }) => status === 202);
      expect(accepted.length).toBeGreaterThan(0);
      for (const { status } of checkedOut) expect([202, 410, 422]).toContain(status);
      const ordered = await Promise.all(accepted.map(({ body }) => waitUntilSettled(body.orderId!)));
      const last = await cart.get();
      const countPieces = (lines: readonly { quantity: number }[]) =>
        lines.reduce((sum, { quantity }) => sum + quantity, 0);
      const inOrders = ordered.reduce((sum, { lines }) => sum + countPieces(lines ?? []), 0);
      expect(inOrders + (last.status === 200 ? countPieces(last.body.lines) : 0)).toBe(13);
    });

    const rejections: [string, string, (sku: string) => Promise<unknown>, string][] = [
      ['the card is declined', 'tok_declined', async () => undefined, 'CardDeclined'],
      [
        'the product sells out before the checkout',
        'tok_ok',
        (sku) => shop.store.db.updateTable('products').set({ stock: 1 }).where('sku', '=', sku).execute(),
        'OutOfStock',
      ],
    ];
    test.each(rejections)(
      'if %s, the order of the cart is rejected and the cart stays closed',
      async (_description, token, happens, type) => {
        const { cart, sku } = await createFilledCart();
        await happens(sku);

        const { status, body } = await cart.checkout('name', token);

        expect(status).toBe(202);
        const { orderId } = body;
        expect(await waitUntilSettled(orderId!)).toMatchObject({ status: 'rejected', reason: { type } });
        expectClosed(await cart.get(), { cartStatus: 'checked_out', orderId });
        expect((await cart.checkout('name', token)).body).toMatchObject({ orderId });
        expect(await findOrderOf(cart)).toBe(orderId);
      },
    );

    test('a checkout returns the existing order of the same cart and starts no second order', async () => {
      const { cart, sku } = await createFilledCart();
      const { runId } = await handleOf(cart).describe();
      // Starts the order directly. A reset of a cart to a point before its checkout causes the same situation.
      const order = makeOrder({ orderId: runId, customerId: cart.cartId, lines: [{ sku, quantity: 2 }] });
      await shop.client.workflow.start<typeof orderWorkflow>(ORDER_WORKFLOW_TYPE, {
        workflowId: orderWorkflowId(runId),
        taskQueue: ORDER_TASK_QUEUE,
        args: [order],
      });

      const { status, body } = await cart.checkout();

      expect([status, body.orderId]).toEqual([202, runId]);
      expect((await readExecutionChain(shop.client, cartWorkflowId(cart.cartId), runId)).taskFailures).toEqual([]);
      expectClosed(await cart.get(), { cartStatus: 'checked_out', orderId: runId });
      await waitUntilSettled(runId);
      expect(shop.fakes.records(runId).charges).toHaveLength(1);
    });

    test('the order id is the id of the first run of the cart, also if a later run creates the order', async () => {
      const cart = createCartClient();
      const { sku } = await addProduct(shop.store);
      const { firstExecutionRunId } = await startCart(shop.client, {
        cartId: cart.cartId,
        continueAsNewAfterEvents: 1,
      });
      for (let number = 0; number < 3; number++) expect((await cart.addItem(sku, 1)).status).toBe(200);

      const responses = await Promise.all([cart.checkout('a'), cart.checkout('a'), cart.checkout('b')]);

      // The checkouts with one of the two keys succeed, and the checkouts with the other key return 410.
      expect([
        [202, 202, 410],
        [410, 410, 202],
      ]).toContainEqual(responses.map(({ status }) => status));
      expect(responses.map(({ body }) => body.orderId)).toEqual(Array(3).fill(firstExecutionRunId));
      expect((await waitUntilSettled(firstExecutionRunId)).lines).toMatchObject([{ sku, quantity: 3 }]);
      expect((await handleOf(cart).describe()).runId).not.toBe(firstExecutionRunId);
    });
  });

  describe('a cart that closed without a checkout', () => {
    test('an expired cart returns 410, and adding an item opens a new cart', async () => {
      const cart = createCartClient();
      const { sku } = await addProduct(shop.store);
      const short = { sku, quantity: 1, remindAfterSeconds: 1, expireAfterSeconds: 2 };
      expect((await cart.send('POST', '/items', undefined, short)).status).toBe(200);
      await handleOf(cart).result();

      for (const response of await Promise.all(everyRequest(cart, sku))) {
        expectClosed(response, { cartId: cart.cartId, cartStatus: 'expired' });
        expect(response.body).not.toHaveProperty('orderId');
      }
      expect(await shop.store.listCartNotifications(cart.cartId)).toEqual(['cart_reminder', 'cart_expired']);
      expect((await cart.addItem(sku, 3)).body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 3 }] });
    });

    test('an abandoned cart returns 410, and adding an item opens a new cart', async () => {
      const { cart, sku } = await createFilledCart();
      const abandoned = await cart.abandon('bye');
      expect([abandoned.status, abandoned.body.status]).toEqual([200, 'abandoned']);
      expect((await cart.abandon('bye')).body).toEqual(abandoned.body);

      for (const response of await Promise.all(everyRequest(cart, sku))) {
        expectClosed(response, { cartId: cart.cartId, cartStatus: 'abandoned' });
      }
      expect((await cart.addItem(sku, 3)).body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 3 }] });
    });

    test('a cart that an operator cancelled returns 410, and adding an item opens a new cart', async () => {
      const { cart, sku } = await createFilledCart();
      await handleOf(cart).cancel();
      await handleOf(cart)
        .result()
        .catch(() => undefined);

      for (const response of await Promise.all(everyRequest(cart, sku))) {
        expectClosed(response, { detail: expect.stringContaining('cancelled') });
      }
      expect((await cart.addItem(sku, 3)).body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 3 }] });
    });
  });

  describe('a rejected cart request', () => {
    const rejections: [
      string,
      (sku: string) => (cart: CartClient) => Promise<ApiResponse<CartBody>>,
      number,
      string,
    ][] = [
      ['an unknown product is added', () => (cart) => cart.addItem('NO-SUCH-SKU', 1), 422, 'unknown-sku'],
      ['an addition exceeds the stock', (sku) => (cart) => cart.addItem(sku, 9), 422, 'out-of-stock'],
      ['a new quantity exceeds the stock', (sku) => (cart) => cart.setQuantity(sku, 11), 422, 'out-of-stock'],
      [
        'a line exceeds its maximum',
        (sku) => (cart) => cart.addItem(sku, MAX_LINE_QUANTITY),
        422,
        'quantity-too-large',
      ],
      ['the quantity of a missing line is set', () => (cart) => cart.setQuantity('NOT-IN-IT', 1), 404, 'not-found'],
      ['a missing line is removed', () => (cart) => cart.removeItem('NOT-IN-IT'), 404, 'not-found'],
      [
        'a quantity exceeds the maximum of a line',
        (sku) => (cart) => cart.setQuantity(sku, 1_001),
        400,
        'invalid-request',
      ],
      ['a quantity is 0', (sku) => (cart) => cart.addItem(sku, 0), 400, 'invalid-request'],
    ];
    test.each(rejections)(
      'the API returns the reason and does not change the cart when %s',
      async (_description, requestOf, status, kind) => {
        const { cart, sku } = await createFilledCart();
        const before = (await cart.get()).body;

        const response = await requestOf(sku)(cart);

        expect(response.status).toBe(status);
        expect(response.body).toMatchObject({ type: `/problems/${kind}`, status });
        expect(response.body.detail).toMatch(/\w/);
        expect((await cart.get()).body).toEqual(before);
      },
    );

    test('a full cart returns 422 for another product but accepts more pieces of its products', async () => {
      const cart = createCartClient();
      const skus = Array.from({ length: MAX_CART_LINES + 1 }, () => `SKU-${randomUUID().slice(0, 12).toUpperCase()}`);
      const price = { value: 1, currency: 'EUR' };
      await shop.store.addProducts(skus.map((sku) => ({ sku, name: 'One of many', price, available: 5 })));
      const lines = skus.slice(0, MAX_CART_LINES).map((sku) => ({ sku, quantity: 1 }));
      const lastChangeAt = new Date().toISOString();
      await startCart(shop.client, {
        cartId: cart.cartId,
        state: { lines, ledger: [], lastChangeAt, reminderPassed: false },
      });

      const { status, body } = await cart.addItem(skus[MAX_CART_LINES]!, 1);

      expect([status, body.type]).toEqual([422, '/problems/too-many-lines']);
      expect((await cart.addItem(skus[0]!, 1)).status).toBe(200);
      const { body: after } = await cart.get();
      expect(after.lines).toHaveLength(MAX_CART_LINES);
      expect(after.total).toEqual({ value: MAX_CART_LINES + 1, currency: 'EUR' });
    });

    test('the checkout of an empty cart returns 422 and starts no order, and the cart stays open', async () => {
      const { cart, sku } = await createFilledCart();
      await cart.removeItem(sku);

      const { status, body } = await cart.checkout();

      expect([status, body.type]).toEqual([422, '/problems/empty-cart']);
      expect((await cart.get()).body).toMatchObject({ status: 'open', lines: [] });
      await cart.addItem(sku, 1);
      const { orderId } = (await cart.checkout()).body;
      expect(await findOrderOf(cart)).toBe(orderId);
    });

    test('requests to an unknown cart return 404 and do not open a cart', async () => {
      const cart = createCartClient();

      for (const { status, body } of await Promise.all(everyRequest(cart, 'ANY'))) {
        expect(status).toBe(404);
        expect(body).toMatchObject({ type: '/problems/not-found', detail: expect.stringContaining(cart.cartId) });
      }
      await expect(handleOf(cart).describe()).rejects.toThrow(/not found/i);
    });

    test('a cart whose first item is rejected with 422 does not stay open', async () => {
      const cart = createCartClient();
      const { sku } = await addProduct(shop.store);

      expect((await cart.addItem('NO-SUCH-SKU', 1)).status).toBe(422);

      expectClosed(await cart.get(), { cartStatus: 'abandoned' });
      expect((await cart.addItem(sku, 1)).body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 1 }] });
    });
  });

  describe('cart prices', () => {
    test('an open cart shows the current price, and an order keeps the price of its checkout', async () => {
      const { cart, sku } = await createFilledCart({ name: 'A pan', price: { value: 1_000, currency: 'EUR' } });
      const readShownPrice = async () => {
        const { lines, total } = (await cart.get()).body;
        return { lines, total };
      };
      const priceOf = (value: number) => ({
        lines: [{ sku, quantity: 2, name: 'A pan', unitPrice: { value, currency: 'EUR' } }],
        total: { value: 2 * value, currency: 'EUR' },
      });
      expect(await readShownPrice()).toEqual(priceOf(1_000));

      await setPrice(sku, 1_700);
      expect(await readShownPrice()).toEqual(priceOf(1_700));
      const { orderId } = (await cart.checkout()).body;
      await waitUntilSettled(orderId!);
      await setPrice(sku, 9_900);

      expect((await waitUntilSettled(orderId!)).total).toEqual({ value: 3_400, currency: 'EUR' });
      expect(shop.fakes.records(orderId).charges).toMatchObject([{ amount: { value: 3_400, currency: 'EUR' } }]);
    });

    test('a cart with a product that is no longer sold shows no price, and its order is rejected', async () => {
      const { cart, sku } = await createFilledCart();
      await shop.ownerStore.db.deleteFrom('products').where('sku', '=', sku).execute();

      expect((await cart.get()).body.lines).toEqual([{ sku, quantity: 2 }]);
      const { orderId } = (await cart.checkout()).body;
      expect(await waitUntilSettled(orderId!)).toMatchObject({ status: 'rejected', reason: { type: 'UnknownSku' } });
    });
  });

  test('a read of a cart writes no history event, and a change writes at most 11.5 events on average', async () => {
    const { cart, sku } = await createFilledCart();
    const before = (await fetchEventSummaries(handleOf(cart))).length;
    for (let number = 0; number < 3; number++) await cart.get();
    expect(await fetchEventSummaries(handleOf(cart))).toHaveLength(before);

    for (let number = 1; number <= 5; number++) await cart.setQuantity(sku, number);

    const each = ((await fetchEventSummaries(handleOf(cart))).length - before) / 5;
    console.log(`a change of a cart: ${each} events`);
    // A change writes eleven events. The patch marker adds two events once per run.
    expect(each).toBeLessThanOrEqual(11.5);
  });
});

describeOnDevServer('a cart checkout during an outage', () => {
  let server: DevServer;
  beforeAll(async () => {
    server = await startDevServer();
  });
  afterAll(async () => {
    await server?.close();
  });

  /** Repeats a request with the same key until the response status is below 500. */
  const repeatUntilAvailable = (send: () => Promise<ApiResponse<CartBody>>): Promise<ApiResponse<CartBody>> =>
    waitUntil(
      async () => {
        const response = await send();
        return response.status < 500 ? response : undefined;
      },
      { description: 'a response of the cart', timeoutMs: 90_000, intervalMs: 200 },
    );

  test('a checkout starts one order even if the first attempts to start the order fail', async () => {
    const namespace = 'orders-cannot-be-started';
    const connection = server.client.connection as Connection;
    // The start of an order fails at first, because the search attributes are not registered yet.
    await ensureNamespace(connection, namespace);
    const client = new Client({ connection, namespace });
    const { nativeConnection } = server;
    const shop = await startShop({ client, nativeConnection, namespace, close: async () => undefined });
    const api = await startApi(shop);
    try {
      const cart = new CartClient(api, newCartId());
      const { sku } = await addProduct(shop.store);
      expect((await cart.addItem(sku, 2)).status).toBe(200);

      const first = repeatUntilAvailable(() => cart.checkout('name'));
      const other = repeatUntilAvailable(() => cart.checkout('another name'));
      const handle = client.workflow.getHandle(cartWorkflowId(cart.cartId));
      const isFailing = async () =>
        (await fetchEventSummaries(handle)).some(({ type }) => type === 'WorkflowTaskFailed') || undefined;
      await waitUntil(isFailing, { description: 'a failed start of the order', timeoutMs: 20_000 });
      await ensureSearchAttributes(connection, namespace, SEARCH_ATTRIBUTES);

      const responses = [await first, await other];
      const orderIds = await waitForOrdersOf(client, cart.cartId);
      expect(orderIds).toHaveLength(1);
      expect(responses.map(({ status }) => status).toSorted()).toEqual([202, 410]);
      for (const { body } of responses) expect(body.orderId).toBe(orderIds[0]);
    } finally {
      await api.close();
      await shop.close();
    }
  });

  test('no checkout and no cart change is lost or duplicated when a worker is killed (SIGKILL)', async () => {
    const other = await server.openNamespace('with-a-worker-that-dies');
    const shop = await startShop(other, { withWorker: false });
    const api = await startApi(shop);
    const place = { ...server, namespace: other.namespace };
    let worker = await startWorkerProcess(place, shop, { WORKER_TASK_QUEUES: 'carts,orders,payments' });
    try {
      const product = await addProduct(shop.store, { available: 1_000 });
      const { sku } = product;
      const carts = Array.from({ length: 8 }, () => new CartClient(api, newCartId()));
      const [busy, ...leaving] = carts as [CartClient, ...CartClient[]];
      const runIds = await Promise.all(
        carts.map(async (cart) => {
          expect((await cart.addItem(sku, 1, 'first')).status).toBe(200);
          return (await other.client.workflow.getHandle(cartWorkflowId(cart.cartId)).describe()).runId;
        }),
      );

      // One cart processes a change and has more changes in its queue. The other carts check out.
      const lock = await lockCatalogue(shop.ownerDatabaseUrl);
      const names = Array.from({ length: 4 }, (_, number) => `add ${number}`);
      const changes = names.map((name) => repeatUntilAvailable(() => busy.addItem(sku, 2, name)));
      await lock.waitForBlocked();
      const left = leaving.map((cart) => {
        const twice = ['leave', 'leave'].map((name) => repeatUntilAvailable(() => cart.checkout(name)));
        return Promise.all(twice);
      });
      const someOrder = async () => (await waitForOrdersOf(other.client, undefined, 0)).length > 0 || undefined;
      await waitUntil(someOrder, { description: 'an order of one of the carts', timeoutMs: 20_000, intervalMs: 1 });
      worker.kill('SIGKILL');
      expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' });
      await lock.release();
      worker = await startWorkerProcess(place, shop, { WORKER_TASK_QUEUES: 'carts,orders,payments' });

      for (const [index, responses] of (await Promise.all(left)).entries()) {
        const orderId = runIds[index + 1];
        expect(responses.map(({ status, body }) => [status, body.orderId])).toEqual([
          [202, orderId],
          [202, orderId],
        ]);
        expect(await waitForOrdersOf(other.client, leaving[index]!.cartId)).toEqual([orderId]);
      }
      expect((await Promise.all(changes)).map(({ status }) => status)).toEqual(Array(names.length).fill(200));
      expect(quantitiesOf((await busy.get()).body)).toEqual({ [sku]: 1 + 2 * names.length });
      expect((await busy.checkout('leave')).body.orderId).toBe(runIds[0]);

      for (const orderId of runIds) {
        await api.waitForOrderStage(orderId, 'awaiting_pickup');
        const { charges, shipments } = shop.fakes.records(orderId);
        expect([charges.length, shipments.length]).toEqual([1, 1]);
      }
    } finally {
      await worker.stop();
      await api.close();
      await shop.close();
    }
  }, 150_000);
});

/** Waits until visibility lists `atLeast` orders of the customer, or of all customers. @returns the order ids. */
async function waitForOrdersOf(client: Client, customerId: string | undefined, atLeast = 1): Promise<string[]> {
  const query = `${ORDERS_VISIBILITY_QUERY}${customerId ? ` AND CustomerId = '${customerId}'` : ''}`;
  const poll = async () => {
    const found: string[] = [];
    for await (const { workflowId } of client.workflow.list({ query })) found.push(workflowId.replace('order:', ''));
    return found.length >= atLeast ? found : undefined;
  };
  return await waitUntil(poll, { description: `${atLeast} order(s) of ${customerId}`, timeoutMs: 10_000 });
}
