import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runReconcile } from '../../../tools/reconcile/run-reconcile.js';
import { placeOrder, untilListedAsClosed, type PlacedOrder } from '../../support/shop/placed-orders.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { readBalance } from '../../support/shop/balance.js';
import { deleteWorkflow, PROMPT_DELETION } from '../../support/temporal/deleted-workflows.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('npm run reconcile', () => {
  let server: Awaited<ReturnType<typeof startDevServer>>;
  let shop: Shop;
  beforeAll(async () => {
    server = await startDevServer({ dynamicConfig: PROMPT_DELETION });
    shop = await startShop(server, { queues: ['orders', 'payments', 'housekeeping'] });
  });
  afterAll(async () => {
    await shop?.close();
  });

  async function run(...args: string[]): Promise<{ code: number; output: string }> {
    const lines: string[] = [];
    const print = (text: string) => lines.push(text);
    const env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
    return { code: await runReconcile(args, { env, print, printError: print }), output: lines.join('\n') };
  }
  const containing = (text: string) => expect.stringContaining(text) as string;

  test('lists the ended orders, rolls them back, and exits with 1 if an order needs a person', async () => {
    const [order, pickedUp] = [await placeOrder(shop, 'awaiting_pickup'), await placeOrder(shop, 'awaiting_pickup')];
    await shop.fakes.carrier.reportNow(pickedUp.input.orderId, 'in_transit');
    for (const ended of [order, pickedUp]) {
      await ended.handle.terminate('test');
      await untilListedAsClosed(shop, ended);
    }
    const { orderId } = order.input;
    const reservationOf = async () => {
      const query = shop.store.db.selectFrom('orders').select('reservation').where('order_id', '=', orderId);
      return (await query.executeTakeFirstOrThrow()).reservation;
    };

    expect(await run('--dry-run')).toEqual({
      code: 0,
      output: containing(`${orderId} (workflow terminated): has ended`),
    });
    expect(await reservationOf()).toBe('reserved');

    const { code, output } = await run();
    expect({ code, output }).toEqual({
      code: 1,
      output: containing(`${orderId} (workflow terminated): rolled back`),
    });
    expect(output).toContain(
      `${pickedUp.input.orderId} (workflow terminated): needs a person: the carrier has picked up the parcel`,
    );
    expect(await reservationOf()).toBe('released');
  });

  describe('--close', () => {
    /** Places an order, lets the carrier report, and ends the workflow. */
    async function endOrder(statuses: ('in_transit' | 'delivered' | 'lost')[], { isDeleted = false } = {}) {
      const order = await placeOrder(shop, 'awaiting_pickup');
      for (const status of statuses) await shop.fakes.carrier.reportNow(order.input.orderId, status);
      await order.handle.terminate('test');
      if (isDeleted) await deleteWorkflow(shop.client, order.handle.workflowId);
      return order;
    }
    const balanceOf = async ({ input, product }: PlacedOrder) => {
      const { orderId, lines, payment } = input;
      return await readBalance(shop, { orderId, products: [product], lines, token: payment.token });
    };
    const close = ({ input }: PlacedOrder, ...args: string[]) => run('--close', input.orderId, ...args);

    test('closes an order as completed when the carrier has delivered the parcel, even without a workflow', async () => {
      const order = await endOrder(['in_transit', 'delivered'], { isDeleted: true });
      const { orderId } = order.input;
      await shop.store.recordUnreconciledOrders([{ orderId, problem: 'the carrier has picked up the parcel' }]);

      expect(await close(order, '--dry-run')).toEqual({ code: 0, output: containing(`${orderId} (workflow missing)`) });
      expect(await shop.store.findOrder(orderId)).not.toHaveProperty('outcome');
      expect(await close(order)).toEqual({ code: 0, output: containing('closed as completed') });

      expect(await balanceOf(order)).toMatchObject({ verdict: 'sold', charged: 2500, refunded: 0 });
      expect(await shop.store.findOrder(orderId)).toMatchObject({
        status: 'completed',
        outcome: { view: { orderId, status: 'completed', shipment: { status: 'delivered' } } },
      });
      const listed = await shop.store.listUnreconciledOrders(100);
      expect(listed.map((entry) => entry.orderId)).not.toContain(orderId);
      expect(await close(order)).toEqual({ code: 2, output: containing('already closed as completed') });
    });

    test('refunds an order whose parcel the carrier has lost', async () => {
      const order = await endOrder(['in_transit', 'lost']);
      expect(await close(order, '--as', 'delivered')).toEqual({
        code: 1,
        output: containing('the carrier reports lost'),
      });
      expect(await close(order)).toEqual({ code: 0, output: containing('written off and refunded') });
      expect(await balanceOf(order)).toMatchObject({ verdict: 'written off', charged: 2500, refunded: 2500 });
    });

    test('asks the operator when the carrier has no final report', async () => {
      const [kept, writtenOff] = [await endOrder(['in_transit']), await endOrder(['in_transit'])];
      expect(await close(kept)).toEqual({ code: 1, output: containing('the carrier reports in_transit') });
      expect(await close(kept, '--as', 'delivered')).toEqual({ code: 0, output: containing('closed as completed') });
      expect(await close(writtenOff, '--as', 'write_off')).toEqual({ code: 0, output: containing('written off') });
      expect(await balanceOf(kept)).toMatchObject({ verdict: 'sold', refunded: 0 });
      expect(await balanceOf(writtenOff)).toMatchObject({ verdict: 'written off', refunded: 2500 });
    });

    test('changes nothing while the parcel has not left, or the workflow is open', async () => {
      const ended = await endOrder([]);
      const open = await placeOrder(shop, 'awaiting_pickup');
      const before = await shop.store.db.selectFrom('orders').selectAll().orderBy('order_id').execute();
      expect(await close(ended, '--as', 'delivered')).toEqual({ code: 1, output: containing('has not left') });
      expect(await close(open, '--as', 'delivered')).toEqual({ code: 2, output: containing('is open') });
      expect(await run('--close', 'order-none')).toEqual({ code: 2, output: containing('/close/orderId') });
      expect(await shop.store.db.selectFrom('orders').selectAll().orderBy('order_id').execute()).toEqual(before);
    });

    test.each([
      [['--close', 'order-1', '--as', 'lost'], '--as must be delivered or write_off'],
      [['--as', 'delivered'], '--as needs --close'],
      [['--close', 'order-1', '--include-missing'], 'exclude each other'],
    ])('rejects %j', async (args, problem) => {
      expect(await run(...args)).toEqual({ code: 2, output: containing(problem) });
    });
  });

  test.each([
    ['an option that does not exist', ['--dryrun'], 'Usage: npm run reconcile'],
    ['a namespace that does not exist', ['--namespace', 'does-not-exist'], 'does-not-exist'],
  ])('exits with 2 and says why for %s', async (_what, args, reason) => {
    expect(await run(...args)).toEqual({ code: 2, output: containing(reason) });
  });
});
