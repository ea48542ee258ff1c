import { afterAll, beforeAll, expect, test } from 'vitest';
import { WorkflowNotFoundError } from '@temporalio/client';
import { addItemUpdate, cartQuery, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { lockCarts } from '../../support/database/database-lock.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { newCartId, CartClient, startCart } from '../../support/shop/carts.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { fetchEventSummaries, waitForHandledCancellation } from '../../support/temporal/event-summaries.js';
import { startWorker } from '../../support/workers/workers.js';

describeOnDevServer('cart robustness', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let worker: { stop: () => Promise<void> };
  let sku: string;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    api = await startApi(shop);
    sku = (await addProduct(shop.store, { available: 100 })).sku;
    worker = await startWorker(server, shop, { taskQueues: ['carts'] });
  });
  afterAll(async () => {
    await worker?.stop();
    await api?.close();
    await shop?.close();
  });

  test('a cart applies queued requests in the order of their arrival', async () => {
    await worker.stop();
    const handle = await startCart(shop.client, { cartId: newCartId() });
    await handle.signal('addItem', { sku, quantity: 2 });
    await handle.signal('removeItem', { sku });
    await handle.signal('addItem', { sku, quantity: 1 });
    worker = await startWorker(server, shop, { taskQueues: ['carts'] });

    const lines = await waitUntil(
      async () => {
        const view = await handle.query(cartQuery);
        return view.lines.length ? view.lines : undefined;
      },
      { description: 'the cart with its line', timeoutMs: 20_000 },
    );

    expect(lines).toEqual([{ sku, quantity: 1 }]);
  });

  test('a cart with invalid input rejects an update that arrives before its first workflow task', async () => {
    await worker.stop();
    const handle = await startCart(shop.client, undefined as never, newCartId());
    const abandoned = handle.executeUpdate('abandon', { args: [{}] }).then(
      () => 'abandoned',
      () => 'refused',
    );
    worker = await startWorker(server, shop, { taskQueues: ['carts'] });

    expect(await abandoned).toBe('refused');
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
    expect(await handle.query(cartQuery)).toMatchObject({ lines: [] });
  });

  test('a cart continues as new even if all its requests are rejected', async () => {
    const handle = await startCart(shop.client, { cartId: newCartId(), continueAsNewAfterEvents: 40 });

    const next = await waitUntil(
      async () => {
        await handle
          .executeUpdate(addItemUpdate, { args: [{ sku: 'NO-SUCH-SKU', quantity: 1 }] })
          .catch(() => undefined);
        const { runId } = await handle.describe();
        return runId === handle.firstExecutionRunId ? undefined : runId;
      },
      { description: 'the next run', timeoutMs: 30_000, intervalMs: 0 },
    );

    expect(next).not.toBe(handle.firstExecutionRunId);
  });

  test('a new cart does not stay open if its first item is rejected', async () => {
    const cart = new CartClient(api, newCartId());

    expect(await cart.addItem('NO-SUCH-SKU', 1)).toMatchObject({ status: 422 });

    expect(await cart.get()).toMatchObject({ status: 410 });
  });

  test('repeated requests to a closed cart return their first responses, and the cart stays closed', async () => {
    const cart = new CartClient(api, newCartId());
    const requests = [() => cart.addItem(sku, 1, 'first'), () => cart.setQuantity(sku, 2, 'second')];
    const responses = [];
    for (const request of requests) responses.push(await request());
    expect(responses).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect(await cart.abandon()).toMatchObject({ status: 200 });
    await waitUntil(async () => (await cart.get()).status === 410 || undefined, {
      description: 'the end of the cart',
      timeoutMs: 10_000,
    });

    for (const [index, request] of requests.entries()) {
      const { status, headers, body } = await request();
      expect([status, body]).toEqual([200, responses[index]!.body]);
      expect(headers.get('idempotent-replayed')).toBe('true');
    }
    expect(await cart.get()).toMatchObject({ status: 410, body: { cartStatus: 'abandoned' } });
    expect(await cart.setQuantity(sku, 3, 'new')).toMatchObject({ status: 410, body: { cartStatus: 'abandoned' } });
    expect(await cart.addItem(sku, 1, 'third')).toMatchObject({ status: 200, body: { lines: [{ sku, quantity: 1 }] } });
  });

  test('a cart that receives a change and a workflow cancellation together completes the change and closes', async () => {
    const cart = new CartClient(api, newCartId());
    await cart.addItem(sku, 1);
    const handle = shop.client.workflow.getHandle(cartWorkflowId(cart.cartId));
    // Without a worker, the cancellation and the update wait. The next worker receives both in one workflow task.
    await worker.stop();
    await handle.cancel();
    const added = handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 2 }] });
    worker = await startWorker(server, shop, { taskQueues: ['carts'] });

    expect((await added).lines).toEqual([{ sku, quantity: 3 }]);
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect(await cart.get()).toMatchObject({ status: 410 });
  });

  test('if a checkout is accepted during a cancellation of the cart, the closed cart shows the order id', async () => {
    const carts = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const cart = new CartClient(api, newCartId());
        await cart.addItem(sku, 1);
        return cart;
      }),
    );
    const responses = await Promise.all(
      carts.map(async (cart) => {
        const checkout = cart.checkout('the one');
        await shop.client.workflow.getHandle(cartWorkflowId(cart.cartId)).cancel().catch(ignoreClosed);
        return await checkout;
      }),
    );

    for (const [index, cart] of carts.entries()) {
      const { status, body } = responses[index]!;
      expect([202, 410]).toContain(status);
      const isClosed = () => cart.get().then((response) => (response.status === 410 ? response.body : undefined));
      const { orderId } = await waitUntil(isClosed, { description: 'the end of the cart', timeoutMs: 10_000 });
      expect(orderId).toBe(status === 202 ? body.orderId : undefined);
    }
  });

  test('a cart whose workflow is cancelled during the expiry closes once, as expired', async () => {
    const cartId = newCartId();
    const handle = await startCart(shop.client, { cartId, remindAfterSeconds: 3, expireAfterSeconds: 2 });
    await handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1 }] });
    const lock = await lockCarts(shop.ownerDatabaseUrl);
    await lock.waitForBlocked();
    await handle.cancel();
    await waitForHandledCancellation(handle);
    await lock.release();

    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect(await handle.query(cartQuery)).toMatchObject({ status: 'expired' });
    const record = await shop.store.db
      .selectFrom('carts')
      .select('status')
      .where('cart_id', '=', cartId)
      .executeTakeFirst();
    expect(record).toEqual({ status: 'expired' });
    expect(await shop.store.listCartNotifications(cartId)).toEqual(['cart_expired']);
    const closings = (await fetchEventSummaries(handle)).filter(
      ({ type, name }) => type === 'ActivityTaskScheduled' && name === 'closeCart',
    );
    expect(closings).toHaveLength(1);
  });

  test('a cart whose last change is in the year 9999 can be read', async () => {
    const handle = await startCart(shop.client, {
      cartId: newCartId(),
      state: { lines: [], ledger: [], lastChangeAt: '9999-12-31T23:59:59.999Z', reminderPassed: false },
    });
    const cart = new CartClient(api, handle.workflowId.replace('cart:', ''));
    const expiresAt = await waitUntil(
      async () => {
        const { body } = await cart.get();
        return body.expiresAt?.startsWith('9') ? body.expiresAt : undefined;
      },
      { description: 'a cart that expires late', timeoutMs: 10_000 },
    );
    expect(expiresAt).toBe('9999-12-31T23:59:59.999Z');
  });

  test('every added item is accepted while another caller repeatedly abandons the cart', async () => {
    const cart = new CartClient(api, newCartId());
    const rich = (await addProduct(shop.store, { available: 1_000_000 })).sku;
    const adding = Array.from({ length: 4 }, async () => {
      const statuses: number[] = [];
      for (let count = 0; count < 15; count += 1) statuses.push((await cart.addItem(rich, 1)).status);
      return statuses;
    });
    let isOver = false;
    const closing = (async () => {
      while (!isOver) {
        const { status } = await cart.get();
        if (status === 200) await cart.abandon();
      }
    })();
    const statuses = (await Promise.all(adding)).flat();
    isOver = true;
    await closing;
    expect(statuses).toEqual(Array(60).fill(200));
  });

  test('a repeated addition with the same key and another cart lifetime is rejected with 422', async () => {
    const path = `/v1/carts/${newCartId()}/items`;
    const add = (expireAfterSeconds: number) =>
      fetch(`${api.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
        body: JSON.stringify({ sku, quantity: 1, expireAfterSeconds }),
      });

    expect((await add(100)).status).toBe(200);
    expect((await add(999)).status).toBe(422);
  });

  test('returns 503 without internal details while the catalogue is unavailable, and accepts the same key later', async () => {
    const cart = new CartClient(api, newCartId());
    await cart.addItem(sku, 1);
    await rename('products', 'products_away');
    const away = await cart.addItem(sku, 1, 'again');
    await rename('products_away', 'products');

    expect(away.status).toBe(503);
    expect(JSON.stringify(away.body)).not.toMatch(/relation|products/);
    const back = await cart.addItem(sku, 1, 'again');
    expect(back).toMatchObject({ status: 200, body: { lines: [{ sku, quantity: 2 }] } });
  });

  test('a cart stays open if its reminder cannot be stored', async () => {
    await rename('notifications', 'notifications_away');
    const handle = await startCart(shop.client, {
      cartId: newCartId(),
      remindAfterSeconds: 1,
      expireAfterSeconds: 100,
    });
    await handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1 }] });
    const tried = await waitUntil(
      async () => {
        const { events } = await handle.fetchHistory();
        const failed = events?.filter((event) => event.activityTaskFailedEventAttributes);
        return failed?.length ? failed : undefined;
      },
      { description: 'a failed attempt to store the reminder', timeoutMs: 30_000 },
    );
    await rename('notifications_away', 'notifications');

    expect(tried).toHaveLength(1);
    expect(await handle.query(cartQuery)).toMatchObject({ status: 'open', lines: [{ sku, quantity: 1 }] });
  });

  /** Renames a table, so that the application does not find the table. */
  async function rename(from: string, to: string): Promise<void> {
    await shop.ownerStore.db.schema.alterTable(from).renameTo(to).execute();
  }
});

function ignoreClosed(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}
