import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, OrderSummary } from '../../../src/schemas/order.js';
import { customerIdAttribute, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

interface Page {
  items: OrderSummary[];
  nextCursor?: string;
}

describeOnDevServer('GET /v1/orders', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['orders', 'payments'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const newCustomerId = () => `customer-${randomUUID()}`;

  async function placeCompletedOrder(customerId: string, token = 'tok_ok'): Promise<OrderInput> {
    const { sku } = await addProduct(shop.store);
    const order = makeOrder({ customerId, lines: [{ sku, quantity: 1 }], payment: { token } });
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    return order;
  }

  async function list(query: Record<string, string>): Promise<Page> {
    const { status, body } = await api.get<Page>(`/v1/orders?${new URLSearchParams(query).toString()}`);
    expect(status).toBe(200);
    return body;
  }

  /** Retries the list, because visibility lags by up to about a second. */
  async function listOrders(query: Record<string, string>, orders: OrderInput[]): Promise<OrderSummary[]> {
    const expected = orders.map(({ orderId }) => orderId).sort();
    return await waitUntil(
      async () => {
        const { items } = await list(query);
        const seen = items.map(({ orderId }) => orderId).sort();
        return seen.join() === expected.join() ? items : undefined;
      },
      { description: `the list by ${JSON.stringify(query)} having ${expected.length} orders`, timeoutMs: 15_000 },
    );
  }

  test('lists exactly the orders of the requested customer', async () => {
    const [customerId, somebodyElse] = [newCustomerId(), newCustomerId()];
    const open = await placeCompletedOrder(customerId);
    const closed = await placeCompletedOrder(customerId, 'tok_declined');
    await placeCompletedOrder(somebodyElse);
    await api.waitForOrderStatus(closed.orderId, 'rejected');

    const items = await waitUntil(
      async () => {
        const found = await listOrders({ customerId }, [open, closed]);
        return found.some(({ closedAt }) => closedAt) ? found : undefined;
      },
      { description: 'the end of an order showing in the list', timeoutMs: 15_000 },
    );

    const placedAt = expect.stringMatching(/^\d{4}-.*Z$/);
    const total = { value: expect.any(Number), currency: 'EUR' };
    const known = { customerId, total, lineCount: 1, placedAt };
    expect(items).toContainEqual({ ...known, orderId: open.orderId, status: 'processing' });
    expect(items).toContainEqual({ ...known, orderId: closed.orderId, status: 'rejected', closedAt: placedAt });
  });

  test('lists an order under its current status as the status changes', async () => {
    const customerId = newCustomerId();
    const order = await placeCompletedOrder(customerId);
    await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
    await listOrders({ customerId, status: 'processing' }, [order]);
    shop.fakes.faults.add({ on: 'refund', orderId: order.orderId, fault: 'error', status: 400 });

    await api.post(`/v1/orders/${order.orderId}/cancel`);
    await listOrders({ customerId, status: 'compensation_stuck' }, [order]);
    await listOrders({ customerId, status: 'processing' }, []);

    await api.post(`/v1/orders/${order.orderId}/compensation`, {
      compensation: 'refundPayment',
      attempt: 1,
      action: 'retry',
    });
    await listOrders({ customerId, status: 'cancelled' }, [order]);
    await listOrders({ customerId, status: 'compensation_stuck' }, []);
  });

  test('lists an order as failed, and not as processing, after its workflow is terminated', async () => {
    const customerId = newCustomerId();
    const order = await placeCompletedOrder(customerId);
    await listOrders({ customerId, status: 'processing' }, [order]);
    await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).terminate();

    const [item] = await listOrders({ customerId, status: 'failed' }, [order]);

    expect(item).toMatchObject({ orderId: order.orderId, status: 'failed' });
    await listOrders({ customerId, status: 'processing' }, []);
  });

  test('lists an order under its customer when the workflow was started without the API', async () => {
    const customerId = newCustomerId();
    const { sku } = await addProduct(shop.store);
    const order = makeOrder({ customerId, lines: [{ sku, quantity: 1 }] });
    await shop.client.workflow.start('order', {
      workflowId: orderWorkflowId(order.orderId),
      taskQueue: 'orders',
      args: [order],
    });

    await listOrders({ customerId, status: 'processing' }, [order]);
  });

  test('pages through all orders, newest first', async () => {
    const customerId = newCustomerId();
    const orders: OrderInput[] = [];
    for (let count = 0; count < 5; count++) orders.push(await placeCompletedOrder(customerId));
    await listOrders({ customerId }, orders);

    const pages: OrderSummary[][] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const page: Page = await list({ customerId, limit: '2', ...(cursor && { cursor }) });
      pages.push(page.items);
      cursor = page.nextCursor;
      expect(pages.length).toBeLessThan(10);
    }

    const { items } = await list({ customerId, limit: '200' });
    expect(items.map(({ placedAt }) => placedAt)).toEqual(
      items
        .map(({ placedAt }) => placedAt)
        .toSorted()
        .reverse(),
    );
    expect(pages.flat().map(({ orderId }) => orderId)).toEqual(items.map(({ orderId }) => orderId));
    expect(pages.slice(0, 2).map((items) => items.length)).toEqual([2, 2]);
  });

  test('the order list neither repeats nor skips an order that closes between two pages', async () => {
    const customerId = newCustomerId();
    const orders = [
      await placeCompletedOrder(customerId),
      await placeCompletedOrder(customerId),
      await placeCompletedOrder(customerId),
    ];
    const before = await listOrders({ customerId }, orders);
    const seen: string[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const page: Page = await list({ customerId, limit: '1', ...(cursor && { cursor }) });
      for (const { orderId } of page.items) {
        seen.push(orderId);
        await api.waitForOrderStage(orderId, 'awaiting_pickup');
        await api.post(`/v1/orders/${orderId}/cancel`);
        await api.waitForOrderStatus(orderId, 'cancelled');
      }
      cursor = page.nextCursor;
    }

    expect(seen).toEqual(before.map(({ orderId }) => orderId));
  });

  test('filters orders by placement time: placedFrom is inclusive and placedBefore is exclusive', async () => {
    const customerId = newCustomerId();
    const orders = [
      await placeCompletedOrder(customerId),
      await placeCompletedOrder(customerId),
      await placeCompletedOrder(customerId),
    ];
    const [newest, middle, oldest] = await listOrders({ customerId }, orders);
    const ids = async (query: Record<string, string>) =>
      (await list({ customerId, ...query })).items.map(({ orderId }) => orderId);

    expect(await ids({ placedFrom: middle!.placedAt })).toEqual([newest!.orderId, middle!.orderId]);
    expect(await ids({ placedBefore: middle!.placedAt })).toEqual([oldest!.orderId]);
    expect(await ids({ placedFrom: middle!.placedAt, placedBefore: newest!.placedAt })).toEqual([middle!.orderId]);
  });

  test('filters orders by the start of their id', async () => {
    const customerId = newCustomerId();
    const orders = [await placeCompletedOrder(customerId), await placeCompletedOrder(customerId)];
    await listOrders({ customerId }, orders);
    const { orderId } = orders[0]!;

    const found = await list({ orderIdPrefix: orderId.slice(0, 20) });
    expect(found.items.map((order) => order.orderId)).toEqual([orderId]);
    expect(await list({ orderIdPrefix: orderId.slice(1, 21) })).toEqual({ items: [] });
    expect((await api.get('/v1/orders?orderIdPrefix=%25')).status).toBe(400);
  });

  test('does not list a workflow whose id is not a valid order workflow id', async () => {
    const customerId = newCustomerId();
    const { sku } = await addProduct(shop.store);
    const order = makeOrder({ customerId, lines: [{ sku, quantity: 1 }] });
    const unlistedWorkflow = await shop.client.workflow.start('order', {
      workflowId: `plain-${randomUUID()}`,
      taskQueue: 'orders',
      args: [order],
      typedSearchAttributes: [{ key: customerIdAttribute, value: customerId }],
    });
    const own = await placeCompletedOrder(customerId);
    await listOrders({ customerId, status: 'processing' }, [own]);

    expect((await list({ customerId })).items.map(({ orderId }) => orderId)).toEqual([own.orderId]);
    await expect(unlistedWorkflow.result()).rejects.toThrow();
    expect((await list({ customerId })).items.map(({ orderId }) => orderId)).toEqual([own.orderId]);
  });

  test('returns an empty order list when no order matches', async () => {
    expect(await list({ customerId: newCustomerId() })).toEqual({ items: [] });
  });

  test('the order list returns 400 for an invalid cursor and for the cursor of another list', async () => {
    await addProduct(shop.store);
    await addProduct(shop.store);
    const { body: products } = await api.get<{ nextCursor: string }>('/v1/products?limit=1');

    for (const cursor of ['AAAA', products.nextCursor]) {
      const { status, body } = await api.get(`/v1/orders?cursor=${cursor}`);

      expect(status).toBe(400);
      expect(body).toMatchObject({ type: '/problems/invalid-request', errors: [{ pointer: '/cursor' }] });
    }
  });
});
