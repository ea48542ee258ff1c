import { expect, test } from 'vitest';
import { ASK_CARRIER_AFTER_SECONDS, cancelOrderUpdate } from '../../../src/workflows/order/contract.js';
import { describeOrders, type OrderShop, type PlaceOptions } from '../../support/order-shop.js';

const DAY_MS = ASK_CARRIER_AFTER_SECONDS * 1000;

/** An order that has been handed to the carrier, whose reports do not arrive. */
async function unheard(shop: OrderShop, options: PlaceOptions = {}) {
  const order = await shop.place(options);
  await order.reached('awaiting_pickup');
  shop.letterbox.shut(order.orderId);
  return order;
}

describeOrders('a carrier who is not heard', (shop) => {
  test('when he has delivered, then he is asked after a day and the order completes', async () => {
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

  test('when his time is shorter than a day, then he is asked before anything is undone', async () => {
    const order = await unheard(shop(), { deliveryTimeoutSeconds: 3600 });
    await order.carrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attempts('trackShipment')).toEqual(['done']);
    expect(await order.balance()).toMatchObject({ verdict: 'sold' });
  });

  test('when he has lost the parcel, then the order fails as if he had said so', async () => {
    const order = await unheard(shop());
    await order.carrierReports('lost');

    expect(await order.failure()).toMatchObject({ type: 'ShipmentLost' });
    expect(await order.balance()).toMatchObject({ verdict: 'written off', refunded: 2500, parcels: ['lost'] });
  });

  test('when the parcel is under way, then he is asked each day until it has arrived', async () => {
    const order = await unheard(shop());
    await order.carrierReports('in_transit');
    await shop().skip('25 hours');
    const asked = await order.reached('in_transit');
    await order.carrierReports('delivered');
    await order.result();

    expect(asked).toMatchObject({ shipment: { status: 'in_transit' } });
    expect(order.attempts('trackShipment')).toEqual(['done', 'done']);
  });

  test('when he never had the parcel to give, then he is asked once a day and the order is undone in the end', async () => {
    const order = await unheard(shop(), { deliveryTimeoutSeconds: 3.5 * ASK_CARRIER_AFTER_SECONDS });

    expect(await order.failure()).toMatchObject({ type: 'DeliveryTimeout' });
    expect(order.attempts('trackShipment')).toEqual(['done', 'done', 'done', 'done']);
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500, parcels: ['cancelled'] });
    const done = order.done();
    expect(done.indexOf('cancelShipment')).toBeGreaterThan(done.lastIndexOf('trackShipment'));
  });

  test('when he cannot be asked, then he is asked again the next day', async () => {
    const order = await unheard(shop());
    shop().activities.fail('trackShipment', order.orderId);
    await order.carrierReports('in_transit', 'delivered');

    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(order.attempts('trackShipment')).toEqual(['failed', 'done']);
  });

  test('when he has just reported, then he is not asked before he was silent for a day', async () => {
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

  test('when the order is being undone, then he is not asked', async () => {
    const order = await unheard(shop());
    shop().activities.fail('cancelShipment', order.orderId, { times: 5 });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    const throughMoreThanADay = ['failed', 'failed', 'failed', 'failed', 'failed', 'done'];
    expect(order.attempts('cancelShipment')).toEqual(throughMoreThanADay);
    expect(order.attempts('trackShipment')).toEqual([]);
  });
});
