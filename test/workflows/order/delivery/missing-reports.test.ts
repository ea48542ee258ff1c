import { expect, test } from 'vitest';
import { cancelOrderUpdate } from '../../../../src/workflows/order/contract.js';
import { CARRIER_POLL_INTERVAL_SECONDS } from '../../../../src/workflows/order/delivery-monitor.js';
import { describeWithOrderShop, type OrderShop, type PlaceOrderOptions } from '../../../support/shop/order-shop.js';

const DAY_MS = CARRIER_POLL_INTERVAL_SECONDS * 1000;

/** Places an order whose shipment the carrier has accepted. The carrier's reports do not reach the order. */
async function placeOrderWithoutReports(shop: OrderShop, options: PlaceOrderOptions = {}) {
  const order = await shop.placeOrder(options);
  await order.waitForStage('awaiting_pickup');
  shop.carrierWebhooks.rejectReports(order.orderId);
  return order;
}

describeWithOrderShop('a carrier whose reports do not arrive', (shop) => {
  test('polls the carrier after a day without reports, and completes the order if the parcel is delivered', async () => {
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

  test('polls the carrier before any compensation if the delivery timeout is less than a day', async () => {
    const order = await placeOrderWithoutReports(shop(), { deliveryTimeoutSeconds: 3600 });
    await order.sendCarrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['done']);
    expect(await order.balance()).toMatchObject({ verdict: 'sold' });
  });

  test('polls the carrier after a day without reports, and fails the order if the parcel is lost', async () => {
    const order = await placeOrderWithoutReports(shop());
    await order.sendCarrierReports('lost');

    expect(await order.waitForFailure()).toMatchObject({ type: 'ShipmentLost' });
    expect(await order.balance()).toMatchObject({ verdict: 'written off', refunded: 2500, parcels: ['lost'] });
  });

  test('polls the carrier every day until the parcel is delivered', async () => {
    const order = await placeOrderWithoutReports(shop());
    await order.sendCarrierReports('in_transit');
    await shop().skipTime('25 hours');
    const view = await order.waitForStage('in_transit');
    await order.sendCarrierReports('delivered');
    await order.result();

    expect(view).toMatchObject({ shipment: { status: 'in_transit' } });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['done', 'done']);
  });

  test('polls the carrier once a day until the delivery timeout, and then compensates an order whose parcel never left', async () => {
    const order = await placeOrderWithoutReports(shop(), {
      deliveryTimeoutSeconds: 3.5 * CARRIER_POLL_INTERVAL_SECONDS,
    });

    expect(await order.waitForFailure()).toMatchObject({ type: 'DeliveryTimeout' });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['done', 'done', 'done', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500, parcels: ['cancelled'] });
    const done = order.completedActivities();
    expect(done.indexOf('cancelShipment')).toBeGreaterThan(done.lastIndexOf('trackShipment'));
  });

  test('polls the carrier again the next day if a poll fails', async () => {
    const order = await placeOrderWithoutReports(shop());
    shop().activities.failBeforeEffect('trackShipment', order.orderId);
    await order.sendCarrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(order.attemptOutcomes('trackShipment')).toEqual(['failed', 'done']);
  });

  test('does not poll the carrier within a day after a carrier report', async () => {
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

  test('does not poll the carrier during the compensation of the order', async () => {
    const order = await placeOrderWithoutReports(shop());
    shop().activities.failBeforeEffect('cancelShipment', order.orderId, { times: 5 });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    const throughMoreThanADay = ['failed', 'failed', 'failed', 'failed', 'failed', 'done'];
    expect(order.attemptOutcomes('cancelShipment')).toEqual(throughMoreThanADay);
    expect(order.attemptOutcomes('trackShipment')).toEqual([]);
  });
});
