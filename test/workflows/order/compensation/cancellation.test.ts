import { WithStartWorkflowOperation } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import {
  cancelOrderUpdate,
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  orderWorkflowId,
} from '../../../../src/workflows/order/contract.js';
import type { order } from '../../../../src/workflows/order/workflow.js';
import type { Balance } from '../../../support/shop/balance.js';
import { waitUntil } from '../../../support/processes.js';
import { lockProduct } from '../../../support/database/database-lock.js';
import {
  newOrderId,
  describeWithOrderShop,
  type OrderShop,
  type PlacedOrder,
} from '../../../support/shop/order-shop.js';
import { makeOrder, addProduct } from '../../../support/shop/shop.js';
import type { ActivityName } from '../../../support/shop/activity-spy.js';
import { rejectionTypeOf } from '../../../support/temporal/update-rejections.js';

/** A point in the lifetime of an order at which the test cancels the order. */
interface CancellationPoint {
  during: string;
  /** Places an order and holds it at this point. */
  placeAndHold: (shop: OrderShop) => Promise<HeldOrder>;
  balance: Balance;
  completedActivities: ActivityName[];
  partnerRequests: string[];
}

interface HeldOrder {
  order: PlacedOrder;
  /** Lets the current step continue after the cancel request. If undefined, the cancellation itself ends the step. */
  resume?: () => Promise<void>;
  /** Lets a partner call take effect after the order has closed. */
  applyLateEffect?: () => Promise<void>;
}

const UNDONE_BALANCE: Balance = { verdict: 'rolled back', charged: 0, refunded: 0, parcels: [] };

async function holdAtPartner(
  shop: OrderShop,
  on: 'charge' | 'shipment',
  effect: 'response' | 'effect',
): Promise<HeldOrder> {
  const orderId = newOrderId();
  const hold = shop.fakes.hold(on, orderId, { waitBefore: effect });
  const order = await shop.placeOrder({ orderId });
  await hold.arrived;
  return { order, applyLateEffect: () => hold.release() };
}

const cancellationPoints: CancellationPoint[] = [
  {
    during: 'the reservation',
    async placeAndHold(shop) {
      const products = [await addProduct(shop.store)];
      const lock = await lockProduct(shop.databaseUrl, products[0]!.sku);
      const order = await shop.placeOrder({ products });
      await lock.waitForBlocked();
      return { order, resume: lock.release };
    },
    balance: UNDONE_BALANCE,
    completedActivities: ['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder'],
    partnerRequests: ['/payments/refunds'],
  },
  {
    during: 'a charge that has taken effect',
    placeAndHold: (shop) => holdAtPartner(shop, 'charge', 'response'),
    balance: { ...UNDONE_BALANCE, charged: 2500, refunded: 2500 },
    completedActivities: ['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder'],
    partnerRequests: ['/payments/charges', '/payments/refunds'],
  },
  {
    during: 'a charge that takes effect late',
    placeAndHold: (shop) => holdAtPartner(shop, 'charge', 'effect'),
    balance: UNDONE_BALANCE,
    completedActivities: ['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder'],
    partnerRequests: ['/payments/charges', '/payments/refunds'],
  },
  {
    during: 'a shipment request that the carrier has accepted',
    placeAndHold: (shop) => holdAtPartner(shop, 'shipment', 'response'),
    balance: { ...UNDONE_BALANCE, charged: 2500, refunded: 2500, parcels: ['cancelled'] },
    completedActivities: [
      'reserveStock',
      'chargePayment',
      'cancelShipment',
      'refundPayment',
      'releaseStock',
      'closeOrder',
    ],
    partnerRequests: ['/payments/charges', '/carrier/shipments', '/carrier/cancellations', '/payments/refunds'],
  },
  {
    during: 'a shipment request that the carrier accepts late',
    placeAndHold: (shop) => holdAtPartner(shop, 'shipment', 'effect'),
    balance: { ...UNDONE_BALANCE, charged: 2500, refunded: 2500 },
    completedActivities: [
      'reserveStock',
      'chargePayment',
      'cancelShipment',
      'refundPayment',
      'releaseStock',
      'closeOrder',
    ],
    partnerRequests: ['/payments/charges', '/carrier/shipments', '/carrier/cancellations', '/payments/refunds'],
  },
  {
    during: 'the wait for the pickup',
    async placeAndHold(shop) {
      const order = await shop.placeOrder();
      await order.waitForStage('awaiting_pickup');
      return { order };
    },
    balance: { ...UNDONE_BALANCE, charged: 2500, refunded: 2500, parcels: ['cancelled'] },
    completedActivities: [
      ...(['reserveStock', 'chargePayment', 'requestShipment'] as const),
      ...(['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'] as const),
    ],
    partnerRequests: ['/payments/charges', '/carrier/shipments', '/carrier/cancellations', '/payments/refunds'],
  },
];

/** Waits until the server has requested the cancellation of the order's current activity. */
async function waitForCancelRequest(order: PlacedOrder): Promise<void> {
  const hasCancelRequest = async () => (await order.eventTypes()).includes('ActivityTaskCancelRequested') || undefined;
  await waitUntil(hasCancelRequest, { description: 'a cancellation request', timeoutMs: 20_000, intervalMs: 50 });
}

/** Returns the compensations among the completed activities, as they appear in the view. */
const compensationsIn = (done: ActivityName[]) =>
  done
    .filter((name) => ['cancelShipment', 'refundPayment', 'releaseStock'].includes(name))
    .map((name) => ({ name, status: 'completed' }));

describeWithOrderShop('cancelling an order', (shop) => {
  test('runs no step if an update-with-start cancels the order', async () => {
    const products = [await addProduct(shop().store)];
    const input = makeOrder({ lines: [{ sku: products[0]!.sku, quantity: 1 }] });
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
    expect(shop().activities.completedActivitiesOf(input.orderId)).not.toContain('reserveStock');
    expect(shop().fakes.records(input.orderId).requests).toEqual([]);
  });

  describe.each(cancellationPoints)(
    'during $during',
    ({ placeAndHold, balance, completedActivities, partnerRequests }) => {
      test('a cancel update ends the order as cancelled with all steps compensated', async () => {
        const { order, resume, applyLateEffect } = await placeAndHold(shop());
        const args = [{ reason: 'changed my mind' }] as const;
        const responding = order.handle.executeUpdate(cancelOrderUpdate, { args: [...args] });
        if (resume) await waitForCancelRequest(order).then(resume);
        const response = await responding;
        const view = await order.result();
        await applyLateEffect?.();

        expect(response).toMatchObject({ status: 'processing', cancellation: { reason: 'changed my mind' } });
        expect(view).toMatchObject({
          status: 'cancelled',
          stage: 'done',
          reason: { type: 'Cancelled', message: 'the order was cancelled on request: changed my mind' },
          cancellation: { reason: 'changed my mind' },
          compensations: compensationsIn(completedActivities),
        });
        expect(view.cancellation).not.toHaveProperty('rejected');
        expect(await order.balance()).toEqual(balance);
        expect(order.completedActivities()).toEqual(completedActivities);
        expect(order.partnerRequests()).toEqual(partnerRequests);
      });

      test('a workflow cancellation ends the workflow as Cancelled with all steps compensated', async () => {
        const { order, resume, applyLateEffect } = await placeAndHold(shop());
        await order.handle.cancel();
        if (resume) await waitForCancelRequest(order).then(resume);
        const failure = await order.waitForFailure();
        await applyLateEffect?.();
        const { status } = await order.handle.describe();

        expect(failure.name).toBe('CancelledFailure');
        expect(status.name).toBe('CANCELLED');
        expect(await order.view()).toMatchObject({
          status: 'cancelled',
          stage: 'done',
          compensations: compensationsIn(completedActivities),
        });
        expect(await order.balance()).toEqual(balance);
        expect(order.completedActivities()).toEqual(completedActivities);
        expect(order.partnerRequests()).toEqual(partnerRequests);
      });
    },
  );

  test('cancelling an order compensates a running charge only after the charge has ended', async () => {
    const { order } = await holdAtPartner(shop(), 'charge', 'response');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.result();
    const events = await order.eventTypes();

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
    expect(order.completedActivities().slice(-3)).toEqual(['refundPayment', 'releaseStock', 'closeOrder']);
  });

  test('refunds a charge whose response was lost when the order is cancelled before the next attempt', async () => {
    const orderId = newOrderId();
    shop().fakes.faults.add({ on: 'charge', orderId, fault: 'lose-response', times: -1 });
    const order = await shop().placeOrder({ orderId });
    await waitUntil(() => order.attemptOutcomes('chargePayment').includes('failed') || undefined, {
      description: 'the first attempt of the charge',
      timeoutMs: 20_000,
    });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    const { status } = await order.result();

    expect(status).toBe('cancelled');
    expect(await order.balance()).toEqual({ verdict: 'rolled back', charged: 2500, refunded: 2500, parcels: [] });
  });

  test('an order that is cancelled again during compensation compensates once and keeps the first reason', async () => {
    const orderId = newOrderId();
    const hold = shop().fakes.hold('refund', orderId);
    const order = await shop().placeOrder({ orderId });
    await order.waitForStage('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'first' }] });
    await hold.arrived;
    const rejection = await rejectionTypeOf(
      order.handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'second' }] }),
    );
    const again = await order.view();
    const accepted = (await order.eventTypes()).filter((event) => event === 'WorkflowExecutionUpdateAccepted');
    await order.handle.cancel();
    await hold.release();
    const view = await order.result();

    expect(rejection).toBe('AlreadyCancelling');
    expect(accepted, 'updates of this run').toHaveLength(1);
    expect(again).toMatchObject({ stage: 'compensating', cancellation: { reason: 'first' } });
    expect(view).toMatchObject({ status: 'cancelled', cancellation: { reason: 'first' } });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500, parcels: ['cancelled'] });
    expect(order.completedActivities().slice(-4)).toEqual([
      'cancelShipment',
      'refundPayment',
      'releaseStock',
      'closeOrder',
    ]);
  });

  test('rejects a cancel update while the order is compensated for another reason', async () => {
    const orderId = newOrderId();
    const hold = shop().fakes.hold('refund', orderId);
    const order = await shop().placeOrder({ orderId, token: 'tok_declined' });
    await hold.arrived;
    const rejection = await rejectionTypeOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
    await hold.release();
    const { status } = await order.result();

    expect(rejection).toBe('OrderClosed');
    expect(status).toBe('rejected');
    expect(await order.balance()).toEqual(UNDONE_BALANCE);
  });

  describe.each(['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'] as const)(
    '%s with a lost response',
    (name) => {
      test(`repeats ${name} after a lost response, and compensates every step once`, async () => {
        const order = await shop().placeOrder();
        await order.waitForStage('awaiting_pickup');
        shop().activities.failAfterEffect(name, order.orderId);
        await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
        const { status } = await order.result();

        expect(status).toBe('cancelled');
        expect(order.attemptOutcomes(name)).toEqual(['response lost', 'done']);
        expect(await order.balance()).toEqual({
          verdict: 'rolled back',
          charged: 2500,
          refunded: 2500,
          parcels: ['cancelled'],
        });
        expect(order.completedActivities().slice(-4)).toEqual([
          'cancelShipment',
          'refundPayment',
          'releaseStock',
          'closeOrder',
        ]);
      });
    },
  );

  test.each([
    // The second attempt finds the refund by the order id and does not call this path again.
    ['refund', 'refundPayment', '/payments/refunds', 1],
    ['cancellation', 'cancelShipment', '/carrier/cancellations', 2],
  ] as const)('compensates once when the response to a %s is lost', async (on, compensation, path, calls) => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');
    shop().fakes.faults.add({ on, orderId: order.orderId, fault: 'lose-response' });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    const { status } = await order.result();

    expect(status).toBe('cancelled');
    expect(order.attemptOutcomes(compensation)).toEqual(['failed', 'done']);
    expect(order.partnerRequests().filter((call) => call === path)).toHaveLength(calls);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500, parcels: ['cancelled'] });
  });

  describe('after the pickup', () => {
    const sold = { verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] };

    test('rejects a cancel update after a reported pickup and completes the order', async () => {
      const order = await shop().placeOrder();
      await order.waitForStage('awaiting_pickup');
      await order.sendCarrierReports('in_transit');
      const rejection = await rejectionTypeOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
      await order.sendCarrierReports('delivered');
      const view = await order.result();

      expect(rejection).toBe('AlreadyPickedUp');
      expect(view).toMatchObject({ status: 'completed', compensations: [] });
      expect(view).not.toHaveProperty('cancellation');
      expect(await order.balance()).toEqual(sold);
    });

    test('ignores a workflow cancellation after a reported pickup and completes the order', async () => {
      const order = await shop().placeOrder();
      await order.waitForStage('awaiting_pickup');
      await order.sendCarrierReports('in_transit');
      await order.waitForStage('in_transit');
      await order.handle.cancel();
      const afterwards = await order.view();
      await order.sendCarrierReports('delivered');

      expect(afterwards).toMatchObject({ status: 'processing', stage: 'in_transit' });
      expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
      expect(await order.balance()).toEqual(sold);
      expect(order.partnerRequests()).not.toContain('/carrier/cancellations');
    });

    test('marks an accepted cancel as rejected and completes the order if the pickup was not reported yet', async () => {
      const order = await placeOrderPickedUpUnreported(shop());
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'too late' }] });
      const forward = await order.waitForStage('in_transit');
      const rejection = await rejectionTypeOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
      shop().carrierWebhooks.acceptReports(order.orderId);
      await order.sendCarrierReports('delivered');
      const view = await order.result();

      expect(forward.cancellation).toMatchObject({ reason: 'too late', rejected: true });
      expect(rejection).toBe('AlreadyPickedUp');
      expect(view).toMatchObject({
        status: 'completed',
        cancellation: { reason: 'too late', rejected: true },
        compensations: [{ name: 'cancelShipment', status: 'rejected' }],
      });
      expect(await order.balance()).toEqual(sold);
      expect(order.completedActivities()).toEqual([
        'reserveStock',
        'chargePayment',
        'requestShipment',
        'cancelShipment',
        'closeOrder',
      ]);
    });

    test('completes the order despite a workflow cancellation if the pickup was not reported yet, and rejects a later cancel', async () => {
      const order = await placeOrderPickedUpUnreported(shop());
      await order.handle.cancel();
      await order.waitForStage('in_transit');
      const rejection = await rejectionTypeOf(order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] }));
      shop().carrierWebhooks.acceptReports(order.orderId);
      await order.sendCarrierReports('delivered');
      const view = await order.result();

      expect(rejection).toBe('AlreadyPickedUp');
      expect(view).toMatchObject({
        status: 'completed',
        compensations: [{ name: 'cancelShipment', status: 'rejected' }],
      });
      expect(await order.balance()).toEqual(sold);
    });

    test('refunds the order if the parcel is lost after a rejected cancellation', async () => {
      const order = await placeOrderPickedUpUnreported(shop());
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
      await order.waitForStage('in_transit');
      shop().carrierWebhooks.acceptReports(order.orderId);
      await order.sendCarrierReports('lost');

      expect(await order.waitForFailure()).toMatchObject({ type: 'ShipmentLost' });
      expect(await order.balance()).toEqual({
        verdict: 'written off',
        charged: 2500,
        refunded: 2500,
        parcels: ['lost'],
      });
    });

    test("marks a cancel as rejected if the pickup is reported before the carrier's response, and completes the order", async () => {
      const { order, applyLateEffect } = await holdAtPartner(shop(), 'shipment', 'response');
      await order.sendCarrierReports('in_transit');
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
      await applyLateEffect?.();
      await order.sendCarrierReports('delivered');

      expect(await order.result()).toMatchObject({
        status: 'completed',
        shipment: { status: 'delivered' },
        cancellation: { rejected: true },
      });
      expect(await order.balance()).toEqual(sold);
    });

    test('marks an accepted cancel as rejected if the pickup is reported before the shipment request ends', async () => {
      const orderId = newOrderId();
      const hold = shop().fakes.hold('shipment', orderId, { waitBefore: 'response' });
      const order = await shop().placeOrder({ orderId });
      await hold.arrived;
      await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
      await order.sendCarrierReports('in_transit');
      await hold.release();
      await order.sendCarrierReports('delivered');

      expect(await order.result()).toMatchObject({
        status: 'completed',
        shipment: { status: 'delivered' },
        cancellation: { rejected: true },
      });
      expect(await order.balance()).toEqual(sold);
    });

    test("completes the order despite a workflow cancellation if the pickup is reported before the carrier's response", async () => {
      const { order } = await holdAtPartner(shop(), 'shipment', 'response');
      await order.sendCarrierReports('in_transit');
      await order.handle.cancel();
      await order.waitForStage('in_transit');
      await order.sendCarrierReports('delivered');

      expect(await order.result()).toMatchObject({
        status: 'completed',
        shipment: { status: 'delivered' },
        compensations: [{ name: 'cancelShipment', status: 'rejected' }],
      });
      expect(await order.balance()).toEqual(sold);
    });
  });
});

/** Places an order whose parcel is picked up, although the order receives no report of the pickup. */
async function placeOrderPickedUpUnreported(shop: OrderShop): Promise<PlacedOrder> {
  const order = await shop.placeOrder();
  await order.waitForStage('awaiting_pickup');
  shop.carrierWebhooks.rejectReports(order.orderId);
  await order.sendCarrierReports('in_transit');
  return order;
}
