import { expect, test } from 'vitest';
import { ASK_CARRIER_AFTER_SECONDS, cancelOrderUpdate } from '../../../src/workflows/order/contract.js';
import { describeOrders, type OrderShop, type PlaceOptions } from '../../support/order-shop.js';

const DAY_MS = ASK_CARRIER_AFTER_SECONDS * 1000;

/** Places an order that the carrier has accepted and whose reports do not arrive. */
async function unheard(shop: OrderShop, options: PlaceOptions = {}) {
  const order = await shop.place(options);
  await order.reached('awaiting_pickup');
  shop.letterbox.shut(order.orderId);
  return order;
}

describeOrders('a carrier whose reports do not arrive', (shop) => {
  test('is polled after a day, and the order completes if the parcel is delivered', async () => {
    const order = await unheard(shop());
    await order.carrierReports('in_transit', 'delivered');
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', shipment: { status: 'delivered' }, compensations: [] });
    expect(order.attempts('trackShipment')).toEqual(['done']);
    expect(await order.balance()).toEqual({ verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] });
    const handedOver = view.steps.find(({ name }) => name === 'requestShipment')!;
    const { closeTime } = await order.handle.describe();
    expect((closeTime!.getTime() - Date.parse(handedOver.endedAt!)) / DAY_MS).toBeCloseTo(1, 1);
  });

  test('is polled before any compensation if the delivery time-out is under a day', async () => {
    const order = await unheard(shop(), { deliveryTimeoutSeconds: 3600 });
    await order.carrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attempts('trackShipment')).toEqual(['done']);
    expect(await order.balance()).toMatchObject({ verdict: 'sold' });
  });

  test('is polled, and the order fails if the parcel is lost', async () => {
    const order = await unheard(shop());
    await order.carrierReports('lost');

    expect(await order.failure()).toMatchObject({ type: 'ShipmentLost' });
    expect(await order.balance()).toMatchObject({ verdict: 'written off', refunded: 2500, parcels: ['lost'] });
  });

  test('is polled every day until the parcel is delivered', async () => {
    const order = await unheard(shop());
    await order.carrierReports('in_transit');
    await shop().skip('25 hours');
    const asked = await order.reached('in_transit');
    await order.carrierReports('delivered');
    await order.result();

    expect(asked).toMatchObject({ shipment: { status: 'in_transit' } });
    expect(order.attempts('trackShipment')).toEqual(['done', 'done']);
  });

  test('is polled once a day until the time-out compensates an order whose parcel never left', async () => {
    const order = await unheard(shop(), { deliveryTimeoutSeconds: 3.5 * ASK_CARRIER_AFTER_SECONDS });

    expect(await order.failure()).toMatchObject({ type: 'DeliveryTimeout' });
    expect(order.attempts('trackShipment')).toEqual(['done', 'done', 'done', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500, parcels: ['cancelled'] });
    const done = order.done();
    expect(done.indexOf('cancelShipment')).toBeGreaterThan(done.lastIndexOf('trackShipment'));
  });

  test('is polled again the next day if a poll fails', async () => {
    const order = await unheard(shop());
    shop().activities.fail('trackShipment', order.orderId);
    await order.carrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(order.attempts('trackShipment')).toEqual(['failed', 'done']);
  });

  test('is not polled within a day of its last report', async () => {
    const order = await shop().place();
    await order.reached('awaiting_pickup');
    await shop().skip('23 hours');
    await order.carrierReports('in_transit');
    await order.reached('in_transit');
    await shop().skip('23 hours');
    const before = order.attempts('trackShipment');
    await order.carrierReports('delivered');
    await order.result();

    expect(before).toEqual([]);
  });

  test('is not polled while the order is compensated', async () => {
    const order = await unheard(shop());
    shop().activities.fail('cancelShipment', order.orderId, { times: 5 });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    const throughMoreThanADay = ['failed', 'failed', 'failed', 'failed', 'failed', 'done'];
    expect(order.attempts('cancelShipment')).toEqual(throughMoreThanADay);
    expect(order.attempts('trackShipment')).toEqual([]);
  });
});
