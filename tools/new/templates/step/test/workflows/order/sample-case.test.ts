import { expect, test } from 'vitest';
import { describeWithOrderShop, newOrderId } from '../../support/shop/order-shop.js';

describeWithOrderShop('the step sample case of an order', (shop) => {
  test('runs between the reservation and the charge', async () => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');

    expect(order.completedActivities()).toEqual(['reserveStock', 'sampleCase', 'chargePayment', 'requestShipment']);
    await order.sendCarrierReports('in_transit', 'delivered');
    expect(await order.result()).toMatchObject({ status: 'completed' });
  });

  test('a failure rolls the order back, and nothing is charged', async () => {
    const orderId = newOrderId();
    shop().activities.failBeforeEffect('sampleCase', orderId);
    const order = await shop().placeOrder({ orderId });
    await order.waitForFailure();

    expect((await order.view()).compensations).toMatchObject([
      { name: 'releaseStock', status: 'completed' },
      { name: 'cancelSampleCase', status: 'completed' },
    ]);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', charged: 0 });
  });

  test('a declined charge compensates the step', async () => {
    const order = await shop().placeOrder({ token: 'tok_declined' });

    expect(await order.result()).toMatchObject({ status: 'rejected', reason: { type: 'CardDeclined' } });
    expect(order.completedActivities()).toContain('cancelSampleCase');
  });
});
