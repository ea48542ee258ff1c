import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cartQuery, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import type { cart as cartWorkflow } from '../../../src/workflows/cart/workflow.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { newCartId, CartClient, quantitiesOf, startCart } from '../../support/shop/carts.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { waitForClose, resetRun, resetPoints } from '../../support/temporal/resets.js';
import { readStock, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

/**
 * The index, from the end, of the last reset point before the checkout. A checkout takes three workflow tasks: to
 * accept the update, to start the order, and to complete the update.
 */
const BEFORE_CHECKOUT = -3;

describeOnDevServer('a cart after a reset', () => {
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

  const handleOf = ({ cartId }: CartClient) =>
    shop.client.workflow.getHandle<typeof cartWorkflow>(cartWorkflowId(cartId));

  /** Changes a cart several times, checks it out, and waits until the order awaits the pickup. */
  async function checkOutCart() {
    const cart = new CartClient(api, newCartId());
    const [kept, removed] = [(await addProduct(shop.store)).sku, (await addProduct(shop.store)).sku];
    const responses = [
      await cart.addItem(kept, 2, 'add'),
      await cart.addItem(removed, 1),
      await cart.setQuantity(kept, 3, 'set'),
      await cart.removeItem(removed),
    ];
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const { runId } = await handleOf(cart).describe();
    const { status, body } = await cart.checkout('checkout');
    expect([status, body.orderId]).toEqual([202, runId]);
    await isShipped(runId);
    return { cart, kept, removed, orderId: runId, run: { workflowId: cartWorkflowId(cart.cartId), runId } };
  }

  const isShipped = (orderId: string) => api.waitForOrderStage(orderId, 'awaiting_pickup');

  type CheckedOut = Awaited<ReturnType<typeof checkOutCart>>;

  /** Expects that the cart has exactly one order, with three pieces. */
  async function expectOneOrder({ cart, kept, removed, orderId }: CheckedOut): Promise<void> {
    const orders = new Set<string>();
    for await (const { workflowId } of shop.client.workflow.list({
      query: `WorkflowType = 'order' and CustomerId = '${cart.cartId}'`,
    })) {
      orders.add(workflowId);
    }
    expect([...orders]).toEqual([`order:${orderId}`]);
    const { charges, refunds, shipments } = shop.fakes.records(orderId);
    expect([charges.length, refunds.length, shipments.length]).toEqual([1, 0, 1]);
    expect([await readStock(shop.store, kept), await readStock(shop.store, removed)]).toEqual([7, 10]);
  }

  /** Waits until the workflow has no pending activity or workflow task. @returns the view of the cart. */
  const waitForSettledView = (handle: Pick<WorkflowHandle, 'describe' | 'query'>) =>
    waitUntil(
      async () => {
        const { pendingActivities, pendingWorkflowTask } = (await handle.describe()).raw;
        return pendingActivities?.length || pendingWorkflowTask ? undefined : await handle.query(cartQuery);
      },
      { description: 'a settled cart', timeoutMs: 20_000 },
    );

  test('a cart that is reset to any workflow task returns its existing order again', async () => {
    const story = await checkOutCart();
    const points = await resetPoints(shop.client.workflow.getHandle(story.run.workflowId, story.run.runId));
    expect(points.length).toBeGreaterThan(8);

    for (const point of points) {
      const again = await resetRun(shop.client, story.run, point);

      expect([point, await waitForClose(again)]).toEqual([point, 'COMPLETED']);
      const { status, orderId, lines } = await handleOf(story.cart).result();
      expect([point, status, orderId, quantitiesOf({ lines })]).toEqual([
        point,
        'checked_out',
        story.orderId,
        { [story.kept]: 3 },
      ]);
      await expectOneOrder(story);
    }
  });

  test('after a reset that drops the checkout, a cart can be checked out again only with the same lines', async () => {
    const story = await checkOutCart();
    const { cart, kept, orderId, run } = story;
    const points = await resetPoints(shop.client.workflow.getHandle(run.workflowId, run.runId));
    const seen = { open: 0, joined: 0 };

    for (const point of points) {
      const again = await resetRun(shop.client, run, point, { without: true });
      const view = await waitForSettledView(again);
      if (view.status !== 'open') continue;
      seen.open += 1;
      const isSame = JSON.stringify(view.lines) === JSON.stringify([{ sku: kept, quantity: 3 }]);
      const { status, body } = await cart.checkout();
      if (view.lines.length === 0) expect([point, status, body.type]).toEqual([point, 422, '/problems/empty-cart']);
      else if (isSame) {
        seen.joined += 1;
        expect([point, status, body.orderId]).toEqual([point, 202, orderId]);
      } else {
        expect([point, status, body.type]).toEqual([point, 409, '/problems/already-ordered']);
        expect(body).toMatchObject({ orderId });
        expect((await cart.get()).body).toMatchObject({ status: 'open', lines: view.lines });
      }
      await expectOneOrder(story);
    }

    expect(seen.joined).toBeGreaterThan(0);
    expect(seen.open).toBeGreaterThan(seen.joined + 3);
  });

  test('a reset cart whose checkout was rejected can be abandoned, and a new cart with this id can be ordered', async () => {
    const story = await checkOutCart();
    const { cart, kept, orderId, run } = story;
    const points = await resetPoints(shop.client.workflow.getHandle(run.workflowId, run.runId));
    await resetRun(shop.client, run, points.at(BEFORE_CHECKOUT)!, { without: true });
    const added = await cart.addItem(kept, 1);
    expect(added).toMatchObject({ status: 200, body: { lines: [{ sku: kept, quantity: 4 }] } });

    expect(await cart.checkout()).toMatchObject({
      status: 409,
      body: { type: '/problems/already-ordered', orderId },
    });
    await expectOneOrder(story);
    expect((await cart.abandon()).body.status).toBe('abandoned');
    expect((await cart.addItem(kept, 1)).status).toBe(200);
    const second = (await cart.checkout()).body.orderId!;

    expect(second).not.toBe(orderId);
    expect((await isShipped(second)).lines).toMatchObject([{ sku: kept, quantity: 1 }]);
    expect(shop.fakes.records(orderId).charges).toHaveLength(1);
    expect(await readStock(shop.store, kept)).toBe(6);
  });

  test('an expired cart that is reset to any workflow task sends no notification a second time', async () => {
    const cart = new CartClient(api, newCartId());
    const { sku } = await addProduct(shop.store);
    const short = { sku, quantity: 1, remindAfterSeconds: 1, expireAfterSeconds: 2 };
    expect((await cart.send('POST', '/items', undefined, short)).status).toBe(200);
    const { workflowId, runId } = await handleOf(cart).describe();
    await handleOf(cart).result();
    const told = ['cart_reminder', 'cart_expired'];
    expect(await shop.store.listCartNotifications(cart.cartId)).toEqual(told);

    for (const point of await resetPoints(shop.client.workflow.getHandle(workflowId, runId))) {
      const again = await resetRun(shop.client, { workflowId, runId }, point);

      expect([point, await waitForClose(again)]).toEqual([point, 'COMPLETED']);
      expect([point, (await handleOf(cart).result()).status]).toEqual([point, 'expired']);
      expect([point, ...(await shop.store.listCartNotifications(cart.cartId))]).toEqual([point, ...told]);
    }
  });

  test('a cart whose first run is reset keeps the changes of later runs and can be checked out', async () => {
    const cart = new CartClient(api, newCartId());
    const { sku } = await addProduct(shop.store, { available: 100 });
    const { firstExecutionRunId, workflowId } = await startCart(shop.client, {
      cartId: cart.cartId,
      continueAsNewAfterEvents: 20,
    });
    for (let number = 0; number < 5; number++) expect((await cart.addItem(sku, 1, `${number}`)).status).toBe(200);
    expect((await handleOf(cart).describe()).runId).not.toBe(firstExecutionRunId);
    const [point] = await resetPoints(shop.client.workflow.getHandle(workflowId, firstExecutionRunId));

    await resetRun(shop.client, { workflowId, runId: firstExecutionRunId }, point!);

    const isComplete = async () => {
      const { body } = await cart.get();
      return body.lines?.[0]?.quantity === 5 || undefined;
    };
    await waitUntil(isComplete, { description: 'all five pieces in the cart', timeoutMs: 30_000 });
    expect((await cart.checkout()).body.orderId).toBe(firstExecutionRunId);
    expect((await isShipped(firstExecutionRunId)).lines).toMatchObject([{ sku, quantity: 5 }]);
  });
});
