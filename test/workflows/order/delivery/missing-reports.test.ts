import { expect, test } from 'vitest';
import { CARRIER_POLL_INTERVAL_SECONDS, cancelOrderUpdate } from '../../../../src/workflows/order/contract.js';
import { describeWithOrderShop, type OrderShop, type PlaceOrderOptions } from '../../../support/shop/order-shop.js';

const DAY_MS = CARRIER_POLL_INTERVAL_SECONDS * 1000;

/** Places an order that the carrier has accepted and whose reports do not arrive. */
async function placeOrderWithoutReports(shop: OrderShop, options: PlaceOrderOptions = {}) {
  const order = await shop.placeOrder(options);
  await order.waitForStage('awaiting_pickup');
  shop.carrierWebhooks.rejectReports(order.orderId);
  return order;
}

describeWithOrderShop('a carrier whose reports do not arrive', (shop) => {
  test('is polled after a day, and the order completes if the parcel is delivered', async () => {
    const order = await placeOrderWithoutReports(shop());
    await order.sendCarrierReports('in_transit', 'delivered');
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', shipment: { status: 'delivered' }, compensations: [] });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['done']);
    expect(await order.balance()).toEqual({ verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] });
    const handedOver = view.steps.find(({ name }) => name === 'requestShipment')!;
    const { closeTime } = await order.handle.describe();
    expect((closeTime!.getTime() - Date.parse(handedOver.endedAt!)) / DAY_MS).toBeCloseTo(1, 1);
  });

  test('is polled before any compensation if the delivery time-out is under a day', async () => {
    const order = await placeOrderWithoutReports(shop(), { deliveryTimeoutSeconds: 3600 });
    await order.sendCarrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['done']);
    expect(await order.balance()).toMatchObject({ verdict: 'sold' });
  });

  test('is polled, and the order fails if the parcel is lost', async () => {
    const order = await placeOrderWithoutReports(shop());
    await order.sendCarrierReports('lost');

    expect(await order.waitForFailure()).toMatchObject({ type: 'ShipmentLost' });
    expect(await order.balance()).toMatchObject({ verdict: 'written off', refunded: 2500, parcels: ['lost'] });
  });

  test('is polled every day until the parcel is delivered', async () => {
    const order = await placeOrderWithoutReports(shop());
    await order.sendCarrierReports('in_transit');
    await shop().skipTime('25 hours');
    const view = await order.waitForStage('in_transit');
    await order.sendCarrierReports('delivered');
    await order.result();

    expect(view).toMatchObject({ shipment: { status: 'in_transit' } });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['done', 'done']);
  });

  test('is polled once a day until the time-out compensates an order whose parcel never left', async () => {
    const order = await placeOrderWithoutReports(shop(), {
      deliveryTimeoutSeconds: 3.5 * CARRIER_POLL_INTERVAL_SECONDS,
    });

    expect(await order.waitForFailure()).toMatchObject({ type: 'DeliveryTimeout' });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['done', 'done', 'done', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500, parcels: ['cancelled'] });
    const done = order.completedActivities();
    expect(done.indexOf('cancelShipment')).toBeGreaterThan(done.lastIndexOf('trackShipment'));
  });

  test('is polled again the next day if a poll fails', async () => {
    const order = await placeOrderWithoutReports(shop());
    shop().activities.failBeforeEffect('trackShipment', order.orderId);
    await order.sendCarrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['failed', 'done']);
  });

  test('is not polled within a day of its last report', async () => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');
    await shop().skipTime('23 hours');
    await order.sendCarrierReports('in_transit');
    await order.waitForStage('in_transit');
    await shop().skipTime('23 hours');
    const before = order.attemptOutcomes('trackShipment');
    await order.sendCarrierReports('delivered');
    await order.result();

    expect(before).toEqual([]);
  });

  test('is not polled while the order is compensated', async () => {
    const order = await placeOrderWithoutReports(shop());
    shop().activities.failBeforeEffect('cancelShipment', order.orderId, { times: 5 });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    const throughMoreThanADay = ['failed', 'failed', 'failed', 'failed', 'failed', 'done'];
    expect(order.attemptOutcomes('cancelShipment')).toEqual(throughMoreThanADay);
    expect(order.attemptOutcomes('trackShipment')).toEqual([]);
  });
});
