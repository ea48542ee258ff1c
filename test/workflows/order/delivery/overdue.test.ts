import { describe, expect, test } from 'vitest';
import type { DeliveryDecision, OrderView } from '../../../../src/schemas/order.js';
import {
  cancelOrderUpdate,
  orderStatusAttribute,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
  shipmentReportedSignal,
} from '../../../../src/workflows/order/contract.js';
import { latestPollTime } from '../../../../src/workflows/order/delivery-monitor.js';
import {
  newOrderId,
  describeWithOrderShop,
  type TimeSkippingOrderShop,
  type PlacedOrder,
} from '../../../support/shop/order-shop.js';
import { addProduct } from '../../../support/shop/shop.js';

const HOUR_SECONDS = 3_600;
const SOLD_BALANCE = { verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] };

const isOverdue = ({ status }: OrderView) => status === 'delivery_overdue';

const resolveDelivery = (
  order: PlacedOrder,
  decision: Omit<DeliveryDecision, 'attempt'>,
  attempt = 1,
): Promise<OrderView> => order.handle.executeUpdate(resolveDeliveryUpdate, { args: [{ ...decision, attempt }] });

/** Places an order whose parcel is in transit. The delivery timeout is an hour. */
async function placeOrderInTransit(shop: TimeSkippingOrderShop, { isReported = true } = {}): Promise<PlacedOrder> {
  const order = await shop.placeOrder({ deliveryTimeoutSeconds: HOUR_SECONDS });
  await order.waitForStage('awaiting_pickup');
  if (!isReported) shop.carrierWebhooks.rejectReports(order.orderId);
  await order.sendCarrierReports('in_transit');
  if (isReported) await order.waitForStage('in_transit');
  return order;
}

/** Places an order whose parcel is in transit, and waits until its delivery is overdue. */
async function placeOverdueOrder(shop: TimeSkippingOrderShop): Promise<PlacedOrder> {
  const order = await placeOrderInTransit(shop);
  await shop.skipTime('61 minutes');
  await order.waitForView(isOverdue, 'overdue');
  return order;
}

describeWithOrderShop('a parcel that is in transit at the delivery timeout', (shop) => {
  test('an order with an overdue delivery is not refunded and completes when the parcel is delivered', async () => {
    const order = await placeOverdueOrder(shop());
    const view = await order.view();
    const { typedSearchAttributes } = await order.handle.describe();
    const calls = order.partnerRequests();
    await order.sendCarrierReports('delivered');
    const done = await order.result();

    expect(view).toMatchObject({
      status: 'delivery_overdue',
      stage: 'in_transit',
      compensations: [],
      delivery: { attempt: 1, overdueSince: expect.any(String) },
    });
    expect(typedSearchAttributes.get(orderStatusAttribute)).toBe('delivery_overdue');
    expect(calls).not.toContain('/payments/refunds');
    expect(done).toMatchObject({ status: 'completed' });
    expect(done.delivery).not.toHaveProperty('overdueSince');
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });

  test('an order with an overdue delivery is recorded as delivery_overdue, and as completed after the delivery', async () => {
    const order = await placeOverdueOrder(shop());
    await order.waitForView(() => order.completedActivities().includes('recordOrderStatus'), 'recorded');
    const open = await shop().store.findOrder(order.orderId);
    await order.sendCarrierReports('delivered');
    await order.result();
    const closed = await shop().store.findOrder(order.orderId);

    expect(open).toMatchObject({ status: 'delivery_overdue', stage: 'in_transit' });
    expect(closed).toMatchObject({ status: 'completed', stage: 'done' });
  });

  test('a parcel that leaves just before the delivery timeout has the full timeout again from its departure', async () => {
    const order = await shop().placeOrder({ deliveryTimeoutSeconds: HOUR_SECONDS });
    await order.waitForStage('awaiting_pickup');
    await shop().skipTime('59 minutes');
    await order.sendCarrierReports('in_transit');
    await order.waitForStage('in_transit');
    await shop().skipTime('30 minutes');
    const view = await order.view();
    await order.sendCarrierReports('delivered');

    expect(view).toMatchObject({ status: 'processing', stage: 'in_transit' });
    expect(await order.result()).toMatchObject({ status: 'completed' });
  });

  test('completes the order if the carrier rejects the cancellation of the parcel at the delivery timeout', async () => {
    const order = await shop().placeOrder({ deliveryTimeoutSeconds: HOUR_SECONDS });
    await order.waitForStage('awaiting_pickup');
    shop().carrierWebhooks.rejectReports(order.orderId);
    // The parcel leaves after the last tracking call and before the cancellation.
    const hold = shop().fakes.hold('cancellation', order.orderId, { waitBefore: 'effect' });
    // The server does not skip time while the call waits. So the call ends before the test waits for the skipped time.
    const skipped = shop().skipTime('61 minutes');
    await hold.arrived;
    await order.sendCarrierReports('in_transit');
    await hold.release();
    await skipped;
    const view = await order.waitForStage('in_transit');
    shop().carrierWebhooks.acceptReports(order.orderId);
    await order.sendCarrierReports('delivered');
    const done = await order.result();

    expect(view).toMatchObject({ compensations: [{ name: 'cancelShipment', status: 'rejected' }] });
    expect(done).toMatchObject({ status: 'completed' });
    expect(order.partnerRequests()).not.toContain('/payments/refunds');
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });

  test('does not refund the order while tracking fails, and polls the carrier until tracking works again', async () => {
    const order = await placeOrderInTransit(shop(), { isReported: false });
    shop().activities.failBeforeEffect('trackShipment', order.orderId, { times: 3 });
    await order.sendCarrierReports('delivered');

    expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['failed', 'failed', 'failed', 'done']);
    expect(order.partnerRequests()).not.toContain('/payments/refunds');
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });

  test('the delivery is overdue if tracking fails for a day, and an operator can mark the parcel as delivered', async () => {
    const order = await placeOrderInTransit(shop(), { isReported: false });
    shop().activities.failBeforeEffect('trackShipment', order.orderId, { times: 25 });
    await shop().skipTime('26 hours');
    const view = await order.waitForView(isOverdue, 'overdue');
    await resolveDelivery(order, { action: 'delivered' });

    expect(view).toMatchObject({ stage: 'awaiting_pickup', compensations: [] });
    expect(order.attemptOutcomes('trackShipment').filter((end) => end === 'failed')).toHaveLength(25);
    expect(await order.result()).toMatchObject({ status: 'completed', shipment: { status: 'delivered' } });
    expect(order.partnerRequests()).not.toContain('/payments/refunds');
  });

  test('a late departure report ends the overdue status, and the order rejects later decisions', async () => {
    const order = await placeOrderInTransit(shop(), { isReported: false });
    shop().activities.failBeforeEffect('trackShipment', order.orderId, { times: 25 });
    await shop().skipTime('26 hours');
    await order.waitForView(isOverdue, 'overdue');
    shop().carrierWebhooks.acceptReports(order.orderId);
    await order.sendCarrierReports('in_transit');
    const view = await order.waitForView(({ status }) => status === 'processing', 'processing again');

    await expect(resolveDelivery(order, { action: 'write_off' })).rejects.toThrow();
    await order.sendCarrierReports('delivered');

    expect(view.stage).toBe('in_transit');
    expect(view.delivery).not.toHaveProperty('overdueSince');
    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });

  describe('an operator of an overdue delivery', () => {
    test('refunds the customer and does not release the stock when an operator writes an overdue parcel off', async () => {
      const order = await placeOverdueOrder(shop());
      const response = await resolveDelivery(order, { action: 'write_off' });
      const failure = await order.waitForFailure();
      const { rows } = await reservationOf(shop(), order);

      expect(response.delivery).not.toHaveProperty('overdueSince');
      expect(failure).toMatchObject({ type: 'WrittenOff' });
      expect(await order.view()).toMatchObject({
        status: 'failed',
        reason: { type: 'WrittenOff' },
        compensations: [{ name: 'refundPayment', status: 'completed' }],
      });
      expect(rows).toEqual([{ reservation: 'written_off', status: 'failed' }]);
      expect(await order.balance()).toEqual({
        verdict: 'written off',
        charged: 2500,
        refunded: 2500,
        parcels: ['in_transit'],
      });
    });

    test('completes the order when an operator marks an overdue parcel as delivered', async () => {
      const order = await placeOverdueOrder(shop());
      await resolveDelivery(order, { action: 'delivered' });

      expect(await order.result()).toMatchObject({ status: 'completed', shipment: { status: 'delivered' } });
      expect(order.partnerRequests()).not.toContain('/payments/refunds');
    });

    test('an extended delivery becomes overdue again as attempt 2, and the order rejects a decision about attempt 1', async () => {
      const order = await placeOverdueOrder(shop());
      const response = await resolveDelivery(order, { action: 'wait', extendBySeconds: 2 * HOUR_SECONDS });
      await shop().skipTime('3 hours');
      const again = await order.waitForView(isOverdue, 'overdue again');
      const late = await resolveDelivery(order, { action: 'write_off' }).catch((error: unknown) => error);
      await order.handle.signal(resolveDeliverySignal, { action: 'delivered', attempt: 2 });

      expect(response).toMatchObject({ status: 'processing', stage: 'in_transit' });
      expect(again).toMatchObject({ delivery: { attempt: 2 } });
      expect(late).toMatchObject({ cause: { type: 'DeliveryNotOverdue' } });
      expect(await order.result()).toMatchObject({ status: 'completed' });
    });

    test('rejects a decision about a delivery that is not overdue', async () => {
      const order = await placeOrderInTransit(shop());
      const rejected = await resolveDelivery(order, { action: 'write_off' }).catch((error: unknown) => error);
      await order.sendCarrierReports('delivered');

      expect(rejected).toMatchObject({ cause: { type: 'DeliveryNotOverdue' } });
      expect(await order.result()).toMatchObject({ status: 'completed' });
    });
  });

  test('the customer can cancel an order with an overdue delivery if the parcel never left', async () => {
    const order = await shop().placeOrder({ deliveryTimeoutSeconds: HOUR_SECONDS });
    await order.waitForStage('awaiting_pickup');
    shop().activities.failBeforeEffect('trackShipment', order.orderId, { times: 25 });
    await shop().skipTime('26 hours');
    await order.waitForView(isOverdue, 'overdue');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled', shipment: { status: 'cancelled' } });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500, parcels: ['cancelled'] });
  });
});

describe('the daily tracking calls to the carrier', () => {
  const day = 24 * HOUR_SECONDS * 1000;

  test.each([
    ['in time', 0, 0],
    ['a millisecond early', -1, 0],
    ['hours late', 20 * HOUR_SECONDS * 1000, 0],
    ['five days late', 5 * day + 1, 5],
  ])('latestPollTime returns the newest daily poll time if the workers are %s', (_when, late, days) => {
    expect(latestPollTime(1_000, 1_000 + late)).toBe(1_000 + days * day);
  });
});

describeWithOrderShop('a carrier that accepts a shipment late', (shop) => {
  test('the delivery timeout starts when the carrier accepts the shipment', async () => {
    const orderId = newOrderId();
    shop().fakes.faults.add({ on: 'shipment', orderId, fault: 'error', times: 10 });
    const order = await shop().placeOrder({ orderId, deliveryTimeoutSeconds: 600 });
    await shop().skipTime('18 minutes');
    await order.waitForStage('awaiting_pickup');
    const { delivery, steps } = await order.view();

    const acceptedAt = Date.parse(steps.find(({ name }) => name === 'requestShipment')!.endedAt!);
    expect(Date.parse(delivery!.dueAt) - acceptedAt).toBeGreaterThan(595_000);
    await order.sendCarrierReports('delivered');
    expect(await order.result()).toMatchObject({ status: 'completed' });
  });
});

describeWithOrderShop('a report about another parcel', (shop) => {
  const sendForgedReport = (order: PlacedOrder) =>
    order.handle.signal(shipmentReportedSignal, {
      orderId: order.orderId,
      shipmentId: 'sh_of_another',
      status: 'delivered',
    });

  test('a report about another parcel is counted and does not block a cancellation before the shipment', async () => {
    const orderId = newOrderId();
    const hold = shop().fakes.hold('charge', orderId);
    const order = await shop().placeOrder({ orderId });
    await hold.arrived;
    await sendForgedReport(order);
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await hold.release();

    expect(await order.result()).toMatchObject({ status: 'cancelled', ignoredReportCount: 1 });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back' });
  });

  test('an early report about another parcel does not complete the order', async () => {
    const orderId = newOrderId();
    const hold = shop().fakes.hold('charge', orderId);
    const order = await shop().placeOrder({ orderId });
    await hold.arrived;
    await sendForgedReport(order);
    await hold.release();
    const view = await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('delivered');

    expect(view).toMatchObject({ ignoredReportCount: 1, shipment: { status: 'requested' } });
    expect(await order.result()).toMatchObject({ status: 'completed' });
  });
});

describeWithOrderShop('a shipment that the carrier cancels itself', (shop) => {
  test('compensates the order without a cancellation call when the carrier itself cancels the shipment', async () => {
    const order = await shop().placeOrder();
    const { shipment } = await order.waitForStage('awaiting_pickup');
    await order.handle.signal(shipmentReportedSignal, {
      orderId: order.orderId,
      shipmentId: shipment!.shipmentId,
      status: 'cancelled',
    });
    const failure = await order.waitForFailure();

    expect(failure).toMatchObject({ type: 'CancelledByCarrier' });
    expect(await order.view()).toMatchObject({
      status: 'failed',
      shipment: { status: 'cancelled' },
      compensations: [
        { name: 'refundPayment', status: 'completed' },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(order.partnerRequests()).not.toContain('/carrier/cancellations');
    const { rows } = await reservationOf(shop(), order);
    expect(rows).toEqual([{ reservation: 'released', status: 'failed' }]);
  });
});

describeWithOrderShop('an order with a total of 0', (shop) => {
  test('an order with a total of 0 completes without a charge', async () => {
    const products = [await addProduct(shop().store, { price: { value: 0, currency: 'EUR' } })];
    const order = await shop().placeOrder({ products });
    await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('delivered');
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', total: { value: 0, currency: 'EUR' } });
    expect(view.steps.map(({ name }) => name)).toEqual(['reserveStock', 'requestShipment']);
    expect(order.partnerRequests()).toEqual(['/carrier/shipments']);
  });

  test('an order with a total of 0 is cancelled without a refund', async () => {
    const products = [await addProduct(shop().store, { price: { value: 0, currency: 'EUR' } })];
    const order = await shop().placeOrder({ products });
    await order.waitForStage('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(order.partnerRequests()).toEqual(['/carrier/shipments', '/carrier/cancellations']);
  });
});

async function reservationOf(shop: TimeSkippingOrderShop, { orderId }: PlacedOrder) {
  const query = shop.store.db.selectFrom('orders').select(['reservation', 'status']).where('order_id', '=', orderId);
  return { rows: await query.execute() };
}
