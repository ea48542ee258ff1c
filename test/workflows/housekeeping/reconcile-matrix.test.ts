import { WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, OrderStage } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import type { ReconcileInput } from '../../../src/schemas/reconciliation.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../../src/workflows/housekeeping/contract.js';
import type { reconcile as reconcileWorkflow } from '../../../src/workflows/housekeeping/reconcile.js';
import {
  ORDER_TASK_QUEUE,
  orderQuery,
  orderWorkflowId,
  shipmentReportedSignal,
} from '../../../src/workflows/order/contract.js';
import { lockProduct, type DatabaseLock } from '../../support/database/database-lock.js';
import { waitUntil } from '../../support/processes.js';
import { readBalance } from '../../support/shop/balance.js';
import { untilListedAsClosed } from '../../support/shop/placed-orders.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { deleteWorkflow, PROMPT_DELETION } from '../../support/temporal/deleted-workflows.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { resetPoints, resetRun, waitForClose } from '../../support/temporal/resets.js';

const STAGES = [
  'reserving_stock',
  'awaiting_approval',
  'charging_payment',
  'requesting_shipment',
  'awaiting_pickup',
  'in_transit',
  'compensating',
] as const satisfies OrderStage[];
const ENDINGS = ['timed out', 'terminated', 'deleted', 'reset'] as const;

/** The calls to partners that keep an order at a stage. */
const CALLS: Partial<Record<OrderStage, 'charge' | 'shipment'>> = {
  charging_payment: 'charge',
  requesting_shipment: 'shipment',
};

/** Long enough for an order to reach its stage. */
const EXECUTION_TIMEOUT = '20 seconds';
const WAIT_OPTIONS = { timeoutMs: 60_000, intervalMs: 50 };

interface Order {
  name: string;
  stage: (typeof STAGES)[number];
  ending: (typeof ENDINGS)[number];
  input: OrderInput;
  product: Product;
  handle: WorkflowHandle;
}

describeOnDevServer('the reconciliation of an order that ended at any stage', () => {
  let shop: Shop;
  let locks: DatabaseLock[] = [];
  beforeAll(async () => {
    shop = await startShop(await startDevServer({ dynamicConfig: PROMPT_DELETION }), {
      queues: ['orders', 'payments', 'approvals', 'housekeeping'],
    });
  });
  afterAll(async () => {
    await releaseLocks();
    await shop?.close();
  });

  async function releaseLocks(): Promise<void> {
    for (const lock of locks) await lock.release();
    locks = [];
  }

  const untilStage = (handle: WorkflowHandle, stage: OrderStage) =>
    waitUntil(async () => (await handle.query(orderQuery)).stage === stage || undefined, {
      description: `${handle.workflowId} ${stage}`,
      ...WAIT_OPTIONS,
    });

  const report = async ({ input: { orderId }, handle }: Order, status: 'in_transit' | 'delivered') => {
    await shop.fakes.carrier.reportNow(orderId, status);
    const { shipmentId } = shop.fakes.records(orderId).shipments[0]!;
    await handle.signal(shipmentReportedSignal, { orderId, shipmentId, status });
  };

  /** Places an order that stays at the stage. */
  async function placeOrderAt(stage: Order['stage'], ending: Order['ending']): Promise<Order> {
    const value = stage === 'awaiting_approval' ? ORDER_APPROVAL_THRESHOLD : 1250;
    const product = await addProduct(shop.store, { price: { value, currency: 'EUR' } });
    const input = makeOrder({ lines: [{ sku: product.sku, quantity: 2 }] });
    const { orderId } = input;
    const { faults } = shop.fakes;
    if (stage === 'reserving_stock') locks.push(await lockProduct(shop.ownerDatabaseUrl, product.sku));
    // The call takes effect, and all its retries hang.
    const on = CALLS[stage];
    if (on) {
      faults.add({ on, orderId, fault: 'lose-response' });
      faults.add({ on, orderId, fault: 'slow', delayMs: 120_000, times: -1 });
    }
    if (stage === 'compensating') faults.add({ on: 'refund', orderId, fault: 'error', times: -1 });
    const handle = await shop.client.workflow.start('order', {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
      ...(ending === 'timed out' && { workflowExecutionTimeout: EXECUTION_TIMEOUT }),
    });
    const order: Order = { name: `${ending} at ${stage}`, stage, ending, input, product, handle };
    if (stage === 'in_transit' || stage === 'compensating') {
      await untilStage(handle, 'awaiting_pickup');
      if (stage === 'in_transit') await report(order, 'in_transit');
      else await handle.cancel();
    }
    await untilStage(handle, stage);
    return order;
  }

  async function end({ ending, handle }: Order): Promise<void> {
    if (ending === 'timed out') await waitForClose(handle);
    if (ending === 'terminated' || ending === 'deleted') await handle.terminate('test');
    if (ending !== 'reset') return;
    const { workflowId } = handle;
    const { runId } = await handle.describe();
    const [firstTask] = await resetPoints(shop.client.workflow.getHandle(workflowId, runId));
    await resetRun(shop.client, { workflowId, runId }, firstTask!);
  }

  /** Completes an order whose parcel has left, and cancels the other orders. */
  async function finish(order: Order): Promise<void> {
    if (order.stage === 'in_transit') await report(order, 'delivered');
    else {
      await order.handle.cancel().catch((error: unknown) => {
        // The reset run has already rolled the order back.
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      });
    }
    await waitForClose(order.handle);
  }

  let runs = 0;
  const reconcile = async () =>
    await shop.client.workflow.execute<typeof reconcileWorkflow>('reconcile', {
      workflowId: `reconcile-${(runs += 1)}`,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      args: [{ includeMissing: true }] as [ReconcileInput],
    });

  const balanceOf = async ({ input, product }: Order) => {
    const { orderId, lines, payment } = input;
    return await readBalance(shop, { orderId, products: [product], lines, token: payment.token });
  };
  const readAll = async (orders: Order[]) => ({
    rows: await shop.store.db.selectFrom('orders').selectAll().orderBy('order_id').execute(),
    products: await shop.store.db.selectFrom('products').selectAll().orderBy('sku').execute(),
    // The requests are not compared: the cancellation of a parcel that has left is tried again.
    partners: orders.map(({ input }) => {
      const { charges, refunds, shipments, cancellations } = shop.fakes.records(input.orderId);
      return structuredClone({ charges, refunds, shipments, cancellations });
    }),
  });

  test('balances stock, money and parcels with one run, and a second run changes nothing', async () => {
    const orders: Order[] = [];
    // The orders that time out come first, because the others are placed while they wait for their timeout.
    for (const ending of ENDINGS)
      orders.push(...(await Promise.all(STAGES.map((stage) => placeOrderAt(stage, ending)))));
    const [reset, ended] = [
      orders.filter(({ ending }) => ending === 'reset'),
      orders.filter(({ ending }) => ending !== 'reset'),
    ];
    await Promise.all(orders.map(end));
    // One after the other, because the replay check reads the histories before each deletion.
    for (const { ending, handle } of orders)
      if (ending === 'deleted') await deleteWorkflow(shop.client, handle.workflowId);
    // From here on, a reservation of an ended order can still commit.
    await releaseLocks();
    shop.fakes.faults.clear();
    for (const order of ended) await untilListedAsClosed(shop, order);

    const { orders: reconciled, hasMore } = await reconcile();

    expect(hasMore).toBe(false);
    const resultOf = ({ input }: Order) => reconciled.find(({ orderId }) => orderId === input.orderId)?.result;
    const hasLeft = ({ stage }: Order) => stage === 'in_transit';
    for (const order of ended) {
      const { verdict } = await balanceOf(order).catch((error: unknown) => {
        throw new Error(`an order ${order.name} does not balance`, { cause: error });
      });
      expect({ order: order.name, verdict }).toEqual({
        order: order.name,
        verdict: hasLeft(order) ? 'sold' : 'rolled back',
      });
      // An order that ended before its reservation has no row.
      if (order.stage !== 'reserving_stock') {
        // The server fails an activity whose next retry comes after the timeout, so the order can roll itself back.
        const { outcome } = (await shop.store.findOrder(order.input.orderId))!;
        const result = outcome ? undefined : hasLeft(order) ? 'needs_person' : 'rolled_back';
        expect({ order: order.name, result: resultOf(order) }).toEqual({ order: order.name, result });
      }
    }
    for (const order of reset) expect({ order: order.name, result: resultOf(order) }).toEqual({ order: order.name });
    await Promise.all(reset.map(finish));
    for (const order of reset) {
      const { verdict } = await balanceOf(order);
      expect({ order: order.name, verdict }).toEqual({
        order: order.name,
        verdict: hasLeft(order) ? 'sold' : 'rolled back',
      });
    }

    const before = await readAll(orders);
    const again = await reconcile();
    expect(again.orders.map(({ orderId, result }) => [orderId, result]).sort()).toEqual(
      ended
        .filter(hasLeft)
        .map(({ input }) => [input.orderId, 'needs_person'])
        .sort(),
    );
    expect(await readAll(orders)).toEqual(before);
  });
});
