import { WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { waitUntil } from '../../../tools/processes/wait.js';
import {
  cancelOrderUpdate,
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  orderWorkflowId,
} from '../../../src/workflows/order/contract.js';
import type { order } from '../../../src/workflows/order/workflow.js';
import type { Balance } from '../../../tools/chaos/audit/balance.js';
import { lockProduct } from '../../support/database-lock.js';
import { anOrderId, describeOrders, type OrderShop, type PlacedOrder } from '../../support/order-shop.js';
import { anOrder, aProduct } from '../../support/shop.js';
import type { ActivityName } from '../../support/watched-activities.js';

/** A point in the lifetime of an order at which it is cancelled. */
interface Moment {
  during: string;
  /** Places an order and holds it at this point. */
  stop: (shop: OrderShop) => Promise<Stopped>;
  balance: Balance;
  done: ActivityName[];
  calls: string[];
}

interface Stopped {
  order: PlacedOrder;
  /** Lets the step continue once the order knows about the cancellation. Without it, the cancellation ends the step. */
  goOn?: () => Promise<void>;
  /** The late effect of a partner call, applied after the order has closed. */
  late?: () => Promise<void>;
}

const undone: Balance = { verdict: 'undone', charged: 0, refunded: 0, parcels: [] };

async function stopAtOutside(shop: OrderShop, on: 'charge' | 'shipment', effect: 'before' | 'after'): Promise<Stopped> {
  const orderId = anOrderId();
  const hold = shop.outside.hold(on, orderId, { effect });
  const order = await shop.place({ orderId });
  await hold.arrived;
  return { order, late: () => hold.release() };
}

const moments: Moment[] = [
  {
    during: 'the reservation',
    async stop(shop) {
      const products = [await aProduct(shop.store)];
      const lock = await lockProduct(shop.databaseUrl, products[0]!.sku);
      const order = await shop.place({ products });
      await lock.waitedFor();
      return { order, goOn: lock.release };
    },
    balance: undone,
    done: ['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder'],
    calls: ['/payments/refunds'],
  },
  {
    during: 'a charge that has taken effect',
    stop: (shop) => stopAtOutside(shop, 'charge', 'before'),
    balance: { ...undone, charged: 2500, refunded: 2500 },
    done: ['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder'],
    calls: ['/payments/charges', '/payments/refunds'],
  },
  {
    during: 'a charge that takes effect late',
    stop: (shop) => stopAtOutside(shop, 'charge', 'after'),
    balance: undone,
    done: ['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder'],
    calls: ['/payments/charges', '/payments/refunds'],
  },
  {
    during: 'a shipment request that the carrier has accepted',
    stop: (shop) => stopAtOutside(shop, 'shipment', 'before'),
    balance: { ...undone, charged: 2500, refunded: 2500, parcels: ['cancelled'] },
    done: ['reserveStock', 'chargePayment', 'cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'],
    calls: ['/payments/charges', '/carrier/shipments', '/carrier/cancellations', '/payments/refunds'],
  },
  {
    during: 'a shipment request that the carrier accepts late',
    stop: (shop) => stopAtOutside(shop, 'shipment', 'after'),
    balance: { ...undone, charged: 2500, refunded: 2500 },
    done: ['reserveStock', 'chargePayment', 'cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'],
    calls: ['/payments/charges', '/carrier/shipments', '/carrier/cancellations', '/payments/refunds'],
  },
  {
    during: 'the wait for the pickup',
    async stop(shop) {
      const order = await shop.place();
      await order.reached('awaiting_pickup');
      return { order };
    },
    balance: { ...undone, charged: 2500, refunded: 2500, parcels: ['cancelled'] },
    done: [
      ...(['reserveStock', 'chargePayment', 'requestShipment'] as const),
      ...(['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'] as const),
    ],
    calls: ['/payments/charges', '/carrier/shipments', '/carrier/cancellations', '/payments/refunds'],
  },
];

/** Waits until the server has requested the cancellation of the order's current activity. */
async function untilTold(order: PlacedOrder): Promise<void> {
  const isTold = async () => (await order.events()).includes('ActivityTaskCancelRequested') || undefined;
  await waitUntil(isTold, { what: 'a cancellation request', deadlineMs: 20_000, everyMs: 50 });
}

/** The error type of a rejected update. */
async function refusalOf(update: Promise<unknown>): Promise<string> {
  const error = await update.then(
    () => new Error('the update was accepted'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowUpdateFailedError)) throw error;
  return (error.cause as { type?: string }).type ?? 'no type';
}

/** The completed compensations among the activities that were done. */
const compensationsIn = (done: ActivityName[]) =>
  done
    .filter((name) => ['cancelShipment', 'refundPayment', 'releaseStock'].includes(name))
    .map((name) => ({ name, status: 'completed' }));

describeOrders('cancelling an order', (shop) => {
  test('runs no step if the cancellation comes with the start', async () => {
    const products = [await aProduct(shop().store)];
    const input = anOrder({ lines: [{ sku: products[0]!.sku, quantity: 1 }] });
    const startWorkflowOperation = new WithStartWorkflowOperation<typeof order>(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(input.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
      workflowIdConflictPolicy: 'FAIL',
    });
    await shop().client.workflow.executeUpdateWithStart(cancelOrderUpdate, { args: [{}], startWorkflowOperation });
    const handle = await startWorkflowOperation.workflowHandle();
    const view = await handle.result();

    expect(view).toMatchObject({ status: 'cancelled', stage: 'done' });
    expect(shop().activities.doneOf(input.orderId)).not.toContain('reserveStock');
    expect(shop().outside.statement(input.orderId).requests).toEqual([]);
  });

  describe.each(moments)('during $during', ({ stop, balance, done, calls }) => {
    test('ends as cancelled with everything compensated after a cancel update', async () => {
      const { order, goOn, late } = await stop(shop());
      const args = [{ reason: 'changed my mind' }] as const;
      const answering = order.handle.executeUpdate(cancelOrderUpdate, { args: [...args] });
      if (goOn) await untilTold(order).then(goOn);
      const answer = await answering;
      const view = await order.result();
      await late?.();

      expect(answer).toMatchObject({ status: 'processing', cancellation: { reason: 'changed my mind' } });
      expect(view).toMatchObject({
        status: 'cancelled',
        stage: 'done',
        reason: { type: 'Cancelled', message: 'the order was cancelled on request: changed my mind' },
        cancellation: { reason: 'changed my mind' },
        compensations: compensationsIn(done),
      });
      expect(view.cancellation).not.toHaveProperty('refused');
      expect(await order.balance()).toEqual(balance);
      expect(order.done()).toEqual(done);
      expect(order.calls()).toEqual(calls);
    });

    test('ends as Cancelled with everything compensated after a workflow cancellation', async () => {
      const { order, goOn, late } = await stop(shop());
      await order.handle.cancel();
      if (goOn) await untilTold(order).then(goOn);
      const failure = await order.failure();
      await late?.();
      const { status } = await order.handle.describe();

      expect(failure.name).toBe('CancelledFailure');
      expect(status.name).toBe('CANCELLED');
      expect(await order.view()).toMatchObject({
        status: 'cancelled',
        stage: 'done',
        compensations: compensationsIn(done),
      });
      expect(await order.balance()).toEqual(balance);
      expect(order.done()).toEqual(done);
      expect(order.calls()).toEqual(calls);
    });
  });

  test('compensates a charge in progress only after the charge has ended', async () => {
    const { order } = await stopAtOutside(shop(), 'charge', 'before');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.result();
    const events = await order.events();

    const once = ['ActivityTaskScheduled', 'ActivityTaskStarted', 'ActivityTaskCompleted'];
    expect(events.filter((event) => event.startsWith('ActivityTask'))).toEqual([
      ...once,
      'ActivityTaskScheduled',
      'ActivityTaskCancelRequested',
      'ActivityTaskCanceled',
      ...once,
      ...once,
      ...once,
    ]);
    expect(order.done().slice(-3)).toEqual(['refundPayment', 'releaseStock', 'closeOrder']);
  });

  test('refunds the first attempt of a charge when cancelled between two attempts', async () => {
    const orderId = anOrderId();
    shop().outside.faults.add({ on: 'charge', orderId, fault: 'lose-answer', times: -1 });
    const order = await shop().place({ orderId });
    await waitUntil(() => order.attempts('chargePayment').includes('failed') || undefined, {
      what: 'the first try',
      deadlineMs: 20_000,
    });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    const { status } = await order.result();

    expect(status).toBe('cancelled');
    expect(await order.balance()).toEqual({ verdict: 'undone', charged: 2500, refunded: 2500, parcels: [] });
  });

  test('compensates once, for the first reason, when cancelled again during compensation', async () => {
    const orderId = anOrderId();
    const hold = shop().outside.hold('refund', orderId);
    const order = await shop().place({ orderId });
    await order.reached('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'first' }] });
    await hold.arrived;
    const refusal = await refusalOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'second' }] }));
    const again = await order.view();
    const accepted = (await order.events()).filter((event) => event === 'WorkflowExecutionUpdateAccepted');
    await order.handle.cancel();
    await hold.release();
    const view = await order.result();

    expect(refusal).toBe('AlreadyCancelling');
    expect(accepted, 'updates of this run').toHaveLength(1);
    expect(again).toMatchObject({ stage: 'compensating', cancellation: { reason: 'first' } });
    expect(view).toMatchObject({ status: 'cancelled', cancellation: { reason: 'first' } });
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500, parcels: ['cancelled'] });
    expect(order.done().slice(-4)).toEqual(['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder']);
  });

  test('rejects a cancel while the order is compensated for another reason', async () => {
    const orderId = anOrderId();
    const hold = shop().outside.hold('refund', orderId);
    const order = await shop().place({ orderId, token: 'tok_declined' });
    await hold.arrived;
    const refusal = await refusalOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
    await hold.release();
    const { status } = await order.result();

    expect(refusal).toBe('OrderClosed');
    expect(status).toBe('rejected');
    expect(await order.balance()).toEqual(undone);
  });

  describe.each(['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'] as const)(
    '%s with a lost response',
    (name) => {
      test('is repeated, and everything is compensated once', async () => {
        const order = await shop().place();
        await order.reached('awaiting_pickup');
        shop().activities.loseAnswer(name, order.orderId);
        await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
        const { status } = await order.result();

        expect(status).toBe('cancelled');
        expect(order.attempts(name)).toEqual(['answer lost', 'done']);
        expect(await order.balance()).toEqual({
          verdict: 'undone',
          charged: 2500,
          refunded: 2500,
          parcels: ['cancelled'],
        });
        expect(order.done().slice(-4)).toEqual(['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder']);
      });
    },
  );

  test.each([
    // The next attempt finds the refund by the order id.
    ['refund', 'refundPayment', '/payments/refunds', 1],
    ['cancellation', 'cancelShipment', '/carrier/cancellations', 2],
  ] as const)('compensates once when the response to a %s is cut off', async (on, compensation, path, calls) => {
    const order = await shop().place();
    await order.reached('awaiting_pickup');
    shop().outside.faults.add({ on, orderId: order.orderId, fault: 'lose-answer' });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    const { status } = await order.result();

    expect(status).toBe('cancelled');
    expect(order.attempts(compensation)).toEqual(['failed', 'done']);
    expect(order.calls().filter((call) => call === path)).toHaveLength(calls);
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500, parcels: ['cancelled'] });
  });

  describe('after the pickup', () => {
    const sold = { verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] };

    test('rejects a cancel and completes the order once the pickup is reported', async () => {
      const order = await shop().place();
      await order.reached('awaiting_pickup');
      await order.carrierReports('in_transit');
      const refusal = await refusalOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
      await order.carrierReports('delivered');
      const view = await order.result();

      expect(refusal).toBe('ParcelLeft');
      expect(view).toMatchObject({ status: 'completed', compensations: [] });
      expect(view).not.toHaveProperty('cancellation');
      expect(await order.balance()).toEqual(sold);
    });

    test('ignores a workflow cancellation and completes the order once the pickup is reported', async () => {
      const order = await shop().place();
      await order.reached('awaiting_pickup');
      await order.carrierReports('in_transit');
      await order.reached('in_transit');
      await order.handle.cancel();
      const afterwards = await order.view();
      await order.carrierReports('delivered');

      expect(afterwards).toMatchObject({ status: 'processing', stage: 'in_transit' });
      expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
      expect(await order.balance()).toEqual(sold);
      expect(order.calls()).not.toContain('/carrier/cancellations');
    });

    test('rejects an accepted cancel and completes the order if the pickup report comes late', async () => {
      const order = await pickedUpUnseen(shop());
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'too late' }] });
      const forward = await order.reached('in_transit');
      const refusal = await refusalOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
      shop().letterbox.open(order.orderId);
      await order.carrierReports('delivered');
      const view = await order.result();

      expect(forward.cancellation).toMatchObject({ reason: 'too late', refused: true });
      expect(refusal).toBe('ParcelLeft');
      expect(view).toMatchObject({
        status: 'completed',
        cancellation: { reason: 'too late', refused: true },
        compensations: [{ name: 'cancelShipment', status: 'refused' }],
      });
      expect(await order.balance()).toEqual(sold);
      expect(order.done()).toEqual([
        'reserveStock',
        'chargePayment',
        'requestShipment',
        'cancelShipment',
        'closeOrder',
      ]);
    });

    test('overrules a workflow cancellation if the pickup report comes late, and rejects a later cancel', async () => {
      const order = await pickedUpUnseen(shop());
      await order.handle.cancel();
      await order.reached('in_transit');
      const refusal = await refusalOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
      shop().letterbox.open(order.orderId);
      await order.carrierReports('delivered');
      const view = await order.result();

      expect(refusal).toBe('ParcelLeft');
      expect(view).toMatchObject({
        status: 'completed',
        compensations: [{ name: 'cancelShipment', status: 'refused' }],
      });
      expect(await order.balance()).toEqual(sold);
    });

    test('refunds the order if the parcel is lost after a rejected cancellation', async () => {
      const order = await pickedUpUnseen(shop());
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
      await order.reached('in_transit');
      shop().letterbox.open(order.orderId);
      await order.carrierReports('lost');

      expect(await order.failure()).toMatchObject({ type: 'ShipmentLost' });
      expect(await order.balance()).toEqual({
        verdict: 'written off',
        charged: 2500,
        refunded: 2500,
        parcels: ['lost'],
      });
    });

    test("rejects a cancel before the carrier's response and completes the order", async () => {
      const { order, late } = await stopAtOutside(shop(), 'shipment', 'before');
      await order.carrierReports('in_transit');
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
      await late?.();
      await order.carrierReports('delivered');

      expect(await order.result()).toMatchObject({
        status: 'completed',
        shipment: { status: 'delivered' },
        cancellation: { refused: true },
      });
      expect(await order.balance()).toEqual(sold);
    });

    test('rejects an accepted cancel when the shipment request ends after the pickup', async () => {
      const orderId = anOrderId();
      const hold = shop().outside.hold('shipment', orderId, { effect: 'before' });
      const order = await shop().place({ orderId });
      await hold.arrived;
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
      await order.carrierReports('in_transit');
      await hold.release();
      await order.carrierReports('delivered');

      expect(await order.result()).toMatchObject({
        status: 'completed',
        shipment: { status: 'delivered' },
        cancellation: { refused: true },
      });
      expect(await order.balance()).toEqual(sold);
    });

    test("overrules a workflow cancellation before the carrier's response", async () => {
      const { order } = await stopAtOutside(shop(), 'shipment', 'before');
      await order.carrierReports('in_transit');
      await order.handle.cancel();
      await order.reached('in_transit');
      await order.carrierReports('delivered');

      expect(await order.result()).toMatchObject({
        status: 'completed',
        shipment: { status: 'delivered' },
        compensations: [{ name: 'cancelShipment', status: 'refused' }],
      });
      expect(await order.balance()).toEqual(sold);
    });
  });
});

/** Places an order whose parcel is picked up while the carrier's reports are rejected. */
async function pickedUpUnseen(shop: OrderShop): Promise<PlacedOrder> {
  const order = await shop.place();
  await order.reached('awaiting_pickup');
  shop.letterbox.shut(order.orderId);
  await order.carrierReports('in_transit');
  return order;
}
