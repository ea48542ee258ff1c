import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeCart } from '../../../src/api/carts/commands.js';
import type { CartSummary } from '../../../src/schemas/cart.js';
import { CART_TASK_QUEUE, cartWorkflowId, checkoutUpdate } from '../../../src/workflows/cart/contract.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { newCartId, CartClient, startCart } from '../../support/shop/carts.js';
import { lockCarts, lockCatalogue } from '../../support/database/database-lock.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';

describeOnDevServer('checkout terms of a cart', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['carts', 'orders', 'payments'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const checkout = (cart: CartClient, value: number) =>
    cart.send('POST', '/checkout', undefined, {
      payment: { token: 'tok_ok' },
      expectedTotal: { value, currency: 'EUR' },
    });

  test('if the expected total is wrong, a checkout returns 409 with both totals and the cart stays open', async () => {
    const cart = new CartClient(api, newCartId());
    const { sku } = await addProduct(shop.store);
    await cart.addItem(sku, 2);

    expect(await checkout(cart, 2_400)).toMatchObject({
      status: 409,
      body: {
        type: '/problems/price-changed',
        total: { value: 2_500, currency: 'EUR' },
        expectedTotal: { value: 2_400, currency: 'EUR' },
      },
    });
    expect((await cart.get()).body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 2 }] });
    expect((await shop.store.findProducts([sku])).get(sku)!.available).toBe(10);

    const { status, body } = await checkout(cart, 2_500);
    expect(status).toBe(202);
    const order = await api.waitForOrderStage(body.orderId!, 'awaiting_pickup');
    expect(order.total).toEqual({ value: 2_500, currency: 'EUR' });
  });

  test('a cart with a total of 0 is checked out without a charge', async () => {
    const cart = new CartClient(api, newCartId());
    const { sku } = await addProduct(shop.store, { price: { value: 0, currency: 'EUR' } });
    await cart.addItem(sku, 1);

    const orderId = (await checkout(cart, 0)).body.orderId!;

    await api.waitForOrderStage(orderId, 'awaiting_pickup');
    expect(shop.fakes.records(orderId).charges).toEqual([]);
  });

  test('cart changes return 503 store-unavailable within ten seconds while the catalogue is locked', async () => {
    const cart = new CartClient(api, newCartId());
    const { sku } = await addProduct(shop.store);
    await cart.addItem(sku, 1);
    const lock = await lockCatalogue(shop.ownerDatabaseUrl);
    try {
      const startedAt = Date.now();
      const [first, queued] = await Promise.all([cart.addItem(sku, 1), cart.setQuantity(sku, 2)]);

      expect([first.status, first.body.type]).toEqual([503, '/problems/store-unavailable']);
      expect([queued.status, queued.body.type]).toEqual([503, '/problems/store-unavailable']);
      expect(Date.now() - startedAt).toBeLessThan(10_000);
    } finally {
      await lock.release();
    }
    expect((await cart.addItem(sku, 1)).status).toBe(200);
  });

  test('a cart whose checkout failed with 503 can be changed and checked out again', async () => {
    const cart = new CartClient(api, newCartId());
    const { sku } = await addProduct(shop.store);
    await cart.addItem(sku, 1);
    const { runId } = await shop.client.workflow.getHandle(cartWorkflowId(cart.cartId)).describe();
    const lock = await lockCarts(shop.ownerDatabaseUrl);
    try {
      expect((await cart.checkout()).status).toBe(503);
    } finally {
      await lock.release();
    }
    await waitUntil(() => shop.store.findCartOrder(runId), {
      description: 'the claim of the order',
      timeoutMs: 10_000,
    });
    expect(await api.get(`/v1/orders/${runId}`)).toMatchObject({ status: 404 });

    expect((await cart.addItem(sku, 1)).body).toMatchObject({ status: 'open', lines: [{ sku, quantity: 2 }] });
    const { items } = (await api.get<{ items: CartSummary[] }>('/v1/carts?limit=200')).body;
    const listed = items.find(({ cartId }) => cartId === cart.cartId);
    expect([listed?.status, listed?.orderId]).toEqual(['open', undefined]);

    expect(await cart.checkout()).toMatchObject({ status: 202, body: { status: 'checked_out', orderId: runId } });
    const order = await api.waitForOrderStage(runId, 'awaiting_pickup');
    expect(order.lines).toMatchObject([{ sku, quantity: 2 }]);
  });

  test('a repeated checkout returns the order even if it failed with 503 before and its response was lost', async () => {
    const cart = new CartClient(api, newCartId());
    const { sku } = await addProduct(shop.store);
    await cart.addItem(sku, 1);
    // Calls the service directly, because the API would return the stored response of the successful request.
    const request = { payment: { token: 'tok_ok' }, idempotencyKey: randomUUID() };
    const checkOutOnce = () => changeCart(shop, cart.cartId, checkoutUpdate, request);
    const lock = await lockCarts(shop.ownerDatabaseUrl);
    try {
      await expect(checkOutOnce()).rejects.toMatchObject({ kind: 'store-unavailable' });
    } finally {
      await lock.release();
    }

    const lost = await checkOutOnce();
    expect(lost).toMatchObject({ status: 'checked_out', orderId: expect.any(String) });
    expect(await checkOutOnce()).toMatchObject({ status: 'checked_out', orderId: lost.orderId });
    await expect(
      changeCart(shop, cart.cartId, checkoutUpdate, { ...request, idempotencyKey: randomUUID() }),
    ).rejects.toMatchObject({ kind: 'cart-closed' });
  });

  test('lists each cart of a customer once, filters by status, and lists no workflow that is not a cart', async () => {
    const customerId = `customer-${randomUUID()}`;
    const { sku } = await addProduct(shop.store, { available: 100 });
    const carts = [];
    for (let count = 0; count < 3; count += 1) {
      const cart = new CartClient(api, newCartId());
      await startCart(shop.client, { cartId: cart.cartId, customerId });
      expect((await cart.addItem(sku, 1)).status).toBe(200);
      carts.push(cart);
    }
    await shop.client.workflow.start('cart', {
      workflowId: `plain-${randomUUID()}`,
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId: 'x', customerId }],
    });
    const list = async (query: Record<string, string>) => {
      const search = new URLSearchParams({ customerId, ...query }).toString();
      return (await api.get<{ items: CartSummary[]; nextCursor?: string }>(`/v1/carts?${search}`)).body;
    };
    const ids = carts.map(({ cartId }) => cartId).toReversed();
    const first = await list({ limit: '1' });
    expect(first.items.map(({ cartId }) => cartId)).toEqual([ids[0]]);
    // Two carts close between the first page and the second page.
    const { orderId } = (await carts[2]!.checkout()).body;
    await carts[1]!.abandon();

    const rest = await list({ cursor: first.nextCursor! });
    expect(rest.items.map(({ cartId }) => cartId)).toEqual(ids.slice(1));
    expect((await list({})).items).toMatchObject([
      { cartId: ids[0], status: 'checked_out', orderId, customerId },
      { cartId: ids[1], status: 'abandoned' },
      { cartId: ids[2], status: 'open' },
    ]);
    await shop.client.workflow.getHandle(cartWorkflowId(ids[2]!)).terminate();
    await expect
      .poll(async () => (await list({ status: 'abandoned' })).items.map(({ cartId }) => cartId), { timeout: 15_000 })
      .toEqual([ids[1], ids[2]]);
  });
});
