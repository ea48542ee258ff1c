import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApi, type Api } from '../../support/api/api.js';
import { ndjson, upload } from '../../support/api/batch-api.js';
import { makeApproval, makeStage } from '../../support/shop/approvals.js';
import { waitUntil } from '../../support/processes.js';
import { makeProductOrder } from '../../support/api/orders.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('live pages of the console', () => {
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

  async function openOrder(): Promise<Resource> {
    const { order } = await makeProductOrder(shop);
    await api.post('/v1/orders', order);
    await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
    return {
      path: `orders/${order.orderId}`,
      close: () => api.post(`/v1/orders/${order.orderId}/cancel`),
    };
  }

  async function openApproval(): Promise<Resource> {
    const { approvalId, ...request } = makeApproval({ stages: [makeStage({ id: 'lead' })] });
    await api.post('/v1/approvals', { approvalId, ...request });
    const close = () => api.post(`/v1/approvals/${approvalId}/withdraw`);
    return { path: `approvals/${approvalId}`, close };
  }

  async function openCart(): Promise<Resource> {
    const { sku } = await addProduct(shop.store);
    const cartId = randomUUID();
    await api.post(`/v1/carts/${cartId}/items`, { sku, quantity: 1 });
    return { path: `carts/${cartId}`, close: () => api.request('DELETE', `/v1/carts/${cartId}`) };
  }

  async function openBatch(): Promise<Resource> {
    const { sku } = await addProduct(shop.store);
    const { body } = await upload(api, { text: ndjson([{ sku, quantity: 1 }]) });
    return { path: `batches/${body.batchId}`, close: async () => undefined };
  }

  test.each([
    '/live',
    '/orders/live',
    '/approvals/_live',
    '/batches/_live',
    '/carts/_live',
    '/products/live',
    '/shipment-reports/live',
  ])('the stream %s of a list stays open, because the time limit of responses does not apply', async (path) => {
    const stream = await fetch(`${api.url}/console${path}`, { signal: AbortSignal.timeout(20_000) });

    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    await stream.body!.cancel();
  });

  test('only the first page of a list is live', async () => {
    await openCart();
    await openCart();
    const first = await (await fetch(`${api.url}/console/carts?limit=1`)).text();
    const cursor = await waitUntil(
      async () => (await api.get<{ nextCursor?: string }>('/v1/carts?limit=1')).body.nextCursor,
      { description: 'a second page of carts', timeoutMs: 20_000 },
    );
    const later = await (await fetch(`${api.url}/console/carts?limit=1&cursor=${cursor}`)).text();

    expect(first).toContain('data-live');
    expect(later).toContain('Carts, newest first');
    expect(later).not.toContain('data-live');
  });

  test.each([
    ['an order', openOrder],
    ['an approval', openApproval],
    ['a cart', openCart],
    ['a batch', openBatch],
  ])('the stream of %s ends when it is closed, and its page then has no stream', async (_what, open) => {
    const { path, close } = await open();
    const url = `${api.url}/console/${path}`;
    const stream = await fetch(`${url}/live`, { signal: AbortSignal.timeout(20_000) });
    expect(stream.status).toBe(200);
    await close();

    expect(await stream.text()).toContain('event: end');
    const page = await (await fetch(url)).text();
    expect(page).toContain('id="content"');
    expect(page).not.toContain('data-live');
  });
});

interface Resource {
  /** The path in the console. */
  path: string;
  close: () => Promise<unknown>;
}
