import { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, OrderView } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { cancelOrderUpdate, orderQuery, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { order as orderWorkflow } from '../../../src/workflows/order/workflow.js';
import { readReservation, type Balance, readBalance } from '../../support/shop/balance.js';
import { startApi, type Api } from '../../support/api/api.js';
import { startCommitProxy, type CommitProxy } from '../../support/database/commit-proxy.js';
import { lockProduct } from '../../support/database/database-lock.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorkerProcess, type WorkerProcess } from '../../support/workers/workers.js';
import { deliverParcel } from '../../support/fakes/running-fakes.js';

interface OrderedProduct {
  order: OrderInput;
  product: Product;
}

/** Starts an order and waits until it reaches a certain point. @returns a function that lets the order continue. */
type BringOrderTo = (sale: OrderedProduct) => Promise<() => Promise<void>>;

interface InterruptedOrder {
  bringOrder: BringOrderTo;
  /** The path of the partner call that the death of the worker interrupts. */
  interruptedCall?: string;
  status: OrderView['status'];
  verdict: Balance['verdict'];
  /** Set if the order must not call a partner. */
  noExternalCall?: true;
}

// Temporal takes seconds to detect a dead worker. Therefore the test kills only one worker, which runs all orders.
describeOnDevServer('orders after a worker is killed (SIGKILL) and replaced', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let gate: CommitProxy;
  let worker: WorkerProcess;
  const sales = new Map<string, OrderedProduct>();

  const handleOf = ({ orderId }: OrderInput) =>
    shop.client.workflow.getHandle<typeof orderWorkflow>(orderWorkflowId(orderId));

  async function start({ order }: OrderedProduct): Promise<void> {
    expect((await api.post('/v1/orders', order)).status).toBe(202);
  }

  /** Starts an order and holds a partner call back, either before its response or before its effect. */
  const during =
    (on: 'charge' | 'shipment', effect: 'response' | 'effect'): BringOrderTo =>
    async (sale) => {
      const hold = shop.fakes.hold(on, sale.order.orderId, { waitBefore: effect });
      await start(sale);
      await hold.arrived;
      return () => hold.release();
    };

  const awaitPickup = async ({ order }: OrderedProduct) => {
    await api.waitForOrderStage(order.orderId, 'awaiting_pickup');
  };

  const duringCompensation: BringOrderTo = async (sale) => {
    shop.fakes.carrier.configure({ autoDeliver: false }, sale.order.orderId);
    const hold = shop.fakes.hold('refund', sale.order.orderId);
    await start(sale);
    await awaitPickup(sale);
    await handleOf(sale.order).executeUpdate(cancelOrderUpdate, { args: [{}] });
    await hold.arrived;
    return () => hold.release();
  };

  const cases: Record<string, InterruptedOrder> = {
    'during a charge that has taken effect': {
      bringOrder: during('charge', 'response'),
      interruptedCall: '/payments/charges',
      status: 'completed',
      verdict: 'sold',
    },
    'during a charge that takes effect later': {
      bringOrder: during('charge', 'effect'),
      interruptedCall: '/payments/charges',
      status: 'completed',
      verdict: 'sold',
    },
    'during a shipment request that has taken effect': {
      bringOrder: during('shipment', 'response'),
      interruptedCall: '/carrier/shipments',
      status: 'completed',
      verdict: 'sold',
    },
    'during a shipment request that takes effect later': {
      bringOrder: during('shipment', 'effect'),
      interruptedCall: '/carrier/shipments',
      status: 'completed',
      verdict: 'sold',
    },
    'during the transaction that reserves stock': {
      async bringOrder(sale) {
        const lock = await lockProduct(shop.databaseUrl, sale.product.sku);
        await start(sale);
        await lock.waitForBlocked();
        return async () => {
          expect(await readReservation(shop.store, sale.order.orderId)).toBeUndefined();
          await lock.release();
        };
      },
      status: 'completed',
      verdict: 'sold',
    },
    'after the reservation commit and before the worker received the response': {
      async bringOrder(sale) {
        const committed = gate.withholdNextCommit(sale.order.orderId);
        await start(sale);
        await committed;
        return async () => expect(await readReservation(shop.store, sale.order.orderId)).toBe('reserved');
      },
      status: 'completed',
      verdict: 'sold',
    },
    'after the reservation commit and before the response, and the order is then cancelled': {
      async bringOrder(sale) {
        const committed = gate.withholdNextCommit(sale.order.orderId);
        await start(sale);
        await committed;
        return async () => {
          expect(await readReservation(shop.store, sale.order.orderId)).toBe('reserved');
          await handleOf(sale.order).cancel();
        };
      },
      status: 'cancelled',
      verdict: 'rolled back',
      noExternalCall: true,
    },
    'during the refund of a cancelled order': {
      bringOrder: duringCompensation,
      interruptedCall: '/payments/refunds',
      status: 'cancelled',
      verdict: 'rolled back',
    },
    'while the order awaits the pickup, and the carrier reports before the next worker starts': {
      async bringOrder(sale) {
        const { orderId } = sale.order;
        shop.fakes.carrier.configure({ autoDeliver: false }, orderId);
        await start(sale);
        await awaitPickup(sale);
        return async () => {
          expect(await deliverParcel(shop.fakes, orderId)).toMatchObject([{ status: 202 }, { status: 202 }]);
        };
      },
      status: 'completed',
      verdict: 'sold',
    },
  };

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    gate = await startCommitProxy(shop.databaseUrl);
    api = await startApi(shop);
    shop.fakes.carrier.configure({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0 });
    const throughGate = { databaseUrl: gate.url, fakes: shop.fakes };
    worker = await startWorkerProcess(server, throughGate, { WORKER_TASK_QUEUES: 'orders,payments' });

    const goOn = await Promise.all(
      Object.entries(cases).map(async ([where, { bringOrder }]) => {
        const product = await addProduct(shop.store);
        const sale = { product, order: makeOrder({ lines: [{ sku: product.sku, quantity: 2 }] }) };
        sales.set(where, sale);
        return await bringOrder(sale);
      }),
    );
    worker.kill('SIGKILL');
    expect(await worker.exited).toEqual({ code: null, signal: 'SIGKILL' });
    for (const go of goOn) await go();
    worker = await startWorkerProcess(server, throughGate, { WORKER_TASK_QUEUES: 'orders,payments' });
  });
  afterAll(async () => {
    await worker?.stop();
    await api?.close();
    await gate?.close();
    await shop?.close();
  });

  test.each(Object.entries(cases))(
    'each effect of an order happens exactly once when the worker dies %s',
    async (where, expected) => {
      const { order, product } = sales.get(where)!;

      const handle = handleOf(order);
      await handle.result().catch((error: unknown) => {
        if (!(error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure)) throw error;
      });

      expect((await handle.query(orderQuery)).status).toBe(expected.status);
      // `readBalance` throws if an effect happened twice.
      const { verdict } = await readBalance(shop, { ...order, products: [product], token: order.payment.token });
      expect(verdict).toBe(expected.verdict);
      const { charges, shipments } = shop.fakes.records(order.orderId);
      expect([charges.length, shipments.length]).toEqual(expected.noExternalCall ? [0, 0] : [1, 1]);
    },
  );
});
