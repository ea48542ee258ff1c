import { describe, expect, test } from 'vitest';
import type { DeliveryDecision, OrderView } from '../../../src/schemas/order.js';
import {
  cancelOrderUpdate,
  orderStatusAttribute,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
  shipmentReportedSignal,
} from '../../../src/workflows/order/contract.js';
import { latestPlanned } from '../../../src/workflows/order/delivery.js';
import { anOrderId, describeOrders, type OrderShop, type PlacedOrder } from '../../support/order-shop.js';
import { aProduct } from '../../support/shop.js';

const HOUR_SECONDS = 3_600;
const sold = { verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] };

const isOverdue = ({ status }: OrderView) => status === 'delivery_overdue';

const decide = (order: PlacedOrder, decision: Omit<DeliveryDecision, 'attempt'>, attempt = 1): Promise<OrderView> =>
  order.handle.executeUpdate(resolveDeliveryUpdate, { args: [{ ...decision, attempt }] });

/** Places an order whose parcel is in transit and must arrive within an hour. */
async function inTransit(shop: OrderShop, { isReported = true } = {}): Promise<PlacedOrder> {
  const order = await shop.place({ deliveryTimeoutSeconds: HOUR_SECONDS });
  await order.reached('awaiting_pickup');
  if (!isReported) shop.letterbox.shut(order.orderId);
  await order.carrierReports('in_transit');
  if (isReported) await order.reached('in_transit');
  return order;
}

/** The same order after its delivery time-out. */
async function overdue(shop: OrderShop): Promise<PlacedOrder> {
  const order = await inTransit(shop);
  await shop.skip('61 minutes');
  await order.seen(isOverdue, 'overdue');
  return order;
}

describeOrders('a parcel that is in transit at the delivery time-out', (shop) => {
  test('is not refunded: the order waits for an operator and completes on delivery', async () => {
    const order = await overdue(shop());
    const view = await order.view();
    const { typedSearchAttributes } = await order.handle.describe();
    const calls = order.calls();
    await order.carrierReports('delivered');
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
    expect(await order.balance()).toEqual(sold);
  });

  test('is recorded as overdue, and as completed after its delivery', async () => {
    const order = await overdue(shop());
    await order.seen(() => order.done().includes('recordOrderStatus'), 'recorded');
    const open = await shop().store.findOrder(order.orderId);
    await order.carrierReports('delivered');
    await order.result();
    const closed = await shop().store.findOrder(order.orderId);

    expect(open).toMatchObject({ status: 'delivery_overdue', stage: 'in_transit' });
    expect(closed).toMatchObject({ status: 'completed', stage: 'done' });
  });

  test('has the full time from its departure, even if it leaves just before the time-out', async () => {
    const order = await shop().place({ deliveryTimeoutSeconds: HOUR_SECONDS });
    await order.reached('awaiting_pickup');
    await shop().skip('59 minutes');
    await order.carrierReports('in_transit');
    await order.reached('in_transit');
    await shop().skip('30 minutes');
    const view = await order.view();
    await order.carrierReports('delivered');

    expect(view).toMatchObject({ status: 'processing', stage: 'in_transit' });
    expect(await order.result()).toMatchObject({ status: 'completed' });
  });

  test('stays in transit if the carrier rejects the cancellation at the time-out', async () => {
    const order = await shop().place({ deliveryTimeoutSeconds: HOUR_SECONDS });
    await order.reached('awaiting_pickup');
    shop().letterbox.shut(order.orderId);
    // The last tracking call returns the old status. The parcel leaves right after it.
    const hold = shop().outside.hold('cancellation', order.orderId, { effect: 'after' });
    await shop().skip('61 minutes');
    await hold.arrived;
    await order.carrierReports('in_transit');
    await hold.release();
    const view = await order.reached('in_transit');
    shop().letterbox.open(order.orderId);
    await order.carrierReports('delivered');
    const done = await order.result();

    expect(view).toMatchObject({ compensations: [{ name: 'cancelShipment', status: 'refused' }] });
    expect(done).toMatchObject({ status: 'completed' });
    expect(order.calls()).not.toContain('/payments/refunds');
    expect(await order.balance()).toEqual(sold);
  });

  test('is not refunded while tracking is down: the order asks the carrier every hour', async () => {
    const order = await inTransit(shop(), { isReported: false });
    shop().activities.fail('trackShipment', order.orderId, { times: 3 });
    await order.carrierReports('delivered');

    expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attempts('trackShipment')).toEqual(['failed', 'failed', 'failed', 'done']);
    expect(order.calls()).not.toContain('/payments/refunds');
    expect(await order.balance()).toEqual(sold);
  });

  test('waits for an operator if tracking stays down for a day', async () => {
    const order = await inTransit(shop(), { isReported: false });
    shop().activities.fail('trackShipment', order.orderId, { times: 25 });
    await shop().skip('26 hours');
    const view = await order.seen(isOverdue, 'overdue');
    await decide(order, { action: 'delivered' });

    expect(view).toMatchObject({ stage: 'awaiting_pickup', compensations: [] });
    expect(order.attempts('trackShipment').filter((end) => end === 'failed')).toHaveLength(25);
    expect(await order.result()).toMatchObject({ status: 'completed', shipment: { status: 'delivered' } });
    expect(order.calls()).not.toContain('/payments/refunds');
  });

  test('is no longer overdue after a late departure, and rejects later decisions', async () => {
    const order = await inTransit(shop(), { isReported: false });
    shop().activities.fail('trackShipment', order.orderId, { times: 25 });
    await shop().skip('26 hours');
    await order.seen(isOverdue, 'overdue');
    shop().letterbox.open(order.orderId);
    await order.carrierReports('in_transit');
    const view = await order.seen(({ status }) => status === 'processing', 'processing again');

    await expect(decide(order, { action: 'write_off' })).rejects.toThrow();
    await order.carrierReports('delivered');

    expect(view.stage).toBe('in_transit');
    expect(view.delivery).not.toHaveProperty('overdueSince');
    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(await order.balance()).toEqual(sold);
  });

  describe('an operator of an overdue delivery', () => {
    test('writes the parcel off: the customer is refunded and the stock stays reduced', async () => {
      const order = await overdue(shop());
      const answer = await decide(order, { action: 'write_off' });
      const failure = await order.failure();
      const { rows } = await reservationOf(shop(), order);

      expect(answer.delivery).not.toHaveProperty('overdueSince');
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

    test('marks the parcel as delivered: the order completes', async () => {
      const order = await overdue(shop());
      await decide(order, { action: 'delivered' });

      expect(await order.result()).toMatchObject({ status: 'completed', shipment: { status: 'delivered' } });
      expect(order.calls()).not.toContain('/payments/refunds');
    });

    test('extends the time: the order is overdue again afterwards, and only the new attempt can be decided', async () => {
      const order = await overdue(shop());
      const answer = await decide(order, { action: 'wait', seconds: 2 * HOUR_SECONDS });
      await shop().skip('3 hours');
      const again = await order.seen(isOverdue, 'overdue again');
      const late = await decide(order, { action: 'write_off' }).catch((error: unknown) => error);
      await order.handle.signal(resolveDeliverySignal, { action: 'delivered', attempt: 2 });

      expect(answer).toMatchObject({ status: 'processing', stage: 'in_transit' });
      expect(again).toMatchObject({ delivery: { attempt: 2 } });
      expect(late).toMatchObject({ cause: { type: 'NotOverdue' } });
      expect(await order.result()).toMatchObject({ status: 'completed' });
    });

    test('is rejected while the delivery is not overdue', async () => {
      const order = await inTransit(shop());
      const rejected = await decide(order, { action: 'write_off' }).catch((error: unknown) => error);
      await order.carrierReports('delivered');

      expect(rejected).toMatchObject({ cause: { type: 'NotOverdue' } });
      expect(await order.result()).toMatchObject({ status: 'completed' });
    });
  });

  test('can still be cancelled by the customer if it never left', async () => {
    const order = await shop().place({ deliveryTimeoutSeconds: HOUR_SECONDS });
    await order.reached('awaiting_pickup');
    shop().activities.fail('trackShipment', order.orderId, { times: 25 });
    await shop().skip('26 hours');
    await order.seen(isOverdue, 'overdue');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled', shipment: { status: 'cancelled' } });
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500, parcels: ['cancelled'] });
  });
});

describe('the daily tracking calls to the carrier', () => {
  const day = 24 * HOUR_SECONDS * 1000;

  test.each([
    ['in time', 0, 0],
    ['a millisecond early', -1, 0],
    ['hours late', 20 * HOUR_SECONDS * 1000, 0],
    ['five days late', 5 * day + 1, 5],
  ])('are made once if the workers are %s', (_when, late, days) => {
    expect(latestPlanned(1_000, 1_000 + late)).toBe(1_000 + days * day);
  });
});

describeOrders('a carrier that accepts a shipment late', (shop) => {
  test('has the full delivery time from its acceptance', async () => {
    const orderId = anOrderId();
    shop().outside.faults.add({ on: 'shipment', orderId, fault: 'error', times: 10 });
    const order = await shop().place({ orderId, deliveryTimeoutSeconds: 600 });
    await shop().skip('18 minutes');
    await order.reached('awaiting_pickup');
    const { delivery, steps } = await order.view();

    const acceptedAt = Date.parse(steps.find(({ name }) => name === 'requestShipment')!.endedAt!);
    expect(Date.parse(delivery!.dueAt) - acceptedAt).toBeGreaterThan(595_000);
    await order.carrierReports('delivered');
    expect(await order.result()).toMatchObject({ status: 'completed' });
  });
});

describeOrders('a report about another parcel', (shop) => {
  const forge = (order: PlacedOrder) =>
    order.handle.signal(shipmentReportedSignal, {
      orderId: order.orderId,
      shipmentId: 'sh_of_another',
      status: 'delivered',
    });

  test('does not block a cancellation before the shipment, and is counted', async () => {
    const orderId = anOrderId();
    const hold = shop().outside.hold('charge', orderId);
    const order = await shop().place({ orderId });
    await hold.arrived;
    await forge(order);
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await hold.release();

    expect(await order.result()).toMatchObject({ status: 'cancelled', ignoredReports: 1 });
    expect(await order.balance()).toMatchObject({ verdict: 'undone' });
  });

  test('does not complete an order that ships later', async () => {
    const orderId = anOrderId();
    const hold = shop().outside.hold('charge', orderId);
    const order = await shop().place({ orderId });
    await hold.arrived;
    await forge(order);
    await hold.release();
    const view = await order.reached('awaiting_pickup');
    await order.carrierReports('delivered');

    expect(view).toMatchObject({ ignoredReports: 1, shipment: { status: 'requested' } });
    expect(await order.result()).toMatchObject({ status: 'completed' });
  });
});

describeOrders('a shipment that the carrier cancels itself', (shop) => {
  test('is compensated at once without a cancellation call to the carrier', async () => {
    const order = await shop().place();
    const { shipment } = await order.reached('awaiting_pickup');
    await order.handle.signal(shipmentReportedSignal, {
      orderId: order.orderId,
      shipmentId: shipment!.shipmentId,
      status: 'cancelled',
    });
    const failure = await order.failure();

    expect(failure).toMatchObject({ type: 'CancelledByCarrier' });
    expect(await order.view()).toMatchObject({
      status: 'failed',
      shipment: { status: 'cancelled' },
      compensations: [
        { name: 'refundPayment', status: 'completed' },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(order.calls()).not.toContain('/carrier/cancellations');
    const { rows } = await reservationOf(shop(), order);
    expect(rows).toEqual([{ reservation: 'released', status: 'failed' }]);
  });
});

describeOrders('an order with a total of 0', (shop) => {
  test('completes without a charge', async () => {
    const products = [await aProduct(shop().store, { price: { value: 0, currency: 'EUR' } })];
    const order = await shop().place({ products });
    await order.reached('awaiting_pickup');
    await order.carrierReports('delivered');
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', total: { value: 0, currency: 'EUR' } });
    expect(view.steps.map(({ name }) => name)).toEqual(['reserveStock', 'requestShipment']);
    expect(order.calls()).toEqual(['/carrier/shipments']);
  });

  test('is cancelled without a refund', async () => {
    const products = [await aProduct(shop().store, { price: { value: 0, currency: 'EUR' } })];
    const order = await shop().place({ products });
    await order.reached('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(order.calls()).toEqual(['/carrier/shipments', '/carrier/cancellations']);
  });
});

async function reservationOf(shop: OrderShop, { orderId }: PlacedOrder) {
  const query = shop.store.db.selectFrom('orders').select(['reservation', 'status']).where('order_id', '=', orderId);
  return { rows: await query.execute() };
}
