import { afterAll, beforeAll, expect, test } from 'vitest';
import { runReconcile } from '../../../tools/reconcile/run-reconcile.js';
import { placeOrder, untilListedAsClosed } from '../../support/shop/placed-orders.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('npm run reconcile', () => {
  let server: Awaited<ReturnType<typeof startDevServer>>;
  let shop: Shop;
  beforeAll(async () => {
    server = await startDevServer();
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

  test.each([
    ['an option that does not exist', ['--dryrun'], 'Usage: npm run reconcile'],
    ['a namespace that does not exist', ['--namespace', 'does-not-exist'], 'does-not-exist'],
  ])('exits with 2 and says why for %s', async (_what, args, reason) => {
    expect(await run(...args)).toEqual({ code: 2, output: containing(reason) });
  });
});
