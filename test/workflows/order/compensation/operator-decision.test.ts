import { describe, expect, test } from 'vitest';
import type { OrderView } from '../../../../src/schemas/order.js';
import {
  cancelOrderUpdate,
  orderStatusAttribute,
  resolveCompensationSignal,
  resolveCompensationUpdate,
} from '../../../../src/workflows/order/contract.js';
import {
  newOrderId,
  describeWithOrderShop,
  type OrderShop,
  type PlacedOrder,
} from '../../../support/shop/order-shop.js';
import { rejectionTypeOf } from '../../../support/temporal/update-rejections.js';

/** Sends a decision about the compensation that is currently stuck. */
async function resolveCompensation(order: PlacedOrder, action: 'retry' | 'skip'): Promise<OrderView> {
  const { compensations } = await order.view();
  const stuck = compensations.find(({ status }) => status === 'stuck');
  const { name: compensation, attempt } = stuck ?? { name: 'refundPayment', attempt: 1 };
  return await order.handle.executeUpdate(resolveCompensationUpdate, { args: [{ compensation, attempt, action }] });
}

const waitUntilStuck = (order: PlacedOrder) =>
  order.waitForView(({ status }) => status === 'compensation_stuck', 'stuck');

const readStatusAttribute = async (order: PlacedOrder) =>
  (await order.handle.describe()).typedSearchAttributes.get(orderStatusAttribute);

/** Places and cancels an order whose refund the gateway rejects `times` times, and waits until the refund is stuck. */
async function placeOrderStuckInRefund(shop: OrderShop, { times = 1 } = {}): Promise<PlacedOrder> {
  const orderId = newOrderId();
  shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times });
  const order = await shop.placeOrder({ orderId });
  await order.waitForStage('awaiting_pickup');
  await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
  await waitUntilStuck(order);
  return order;
}

describeWithOrderShop('a compensation that keeps failing', (shop) => {
  test('the view, the search attribute and the record of an order show that its refund is stuck', async () => {
    const order = await placeOrderStuckInRefund(shop());
    const view = await order.waitForView(
      ({ compensations }) =>
        compensations.at(-1)?.name === 'releaseStock' && compensations.at(-1)?.status === 'completed',
      'the stock released',
    );
    const attribute = await readStatusAttribute(order);
    const { status } = await order.handle.describe();
    const record = await shop().store.findOrder(order.orderId);
    await resolveCompensation(order, 'retry');
    await order.result();

    expect(status.name).toBe('RUNNING');
    expect(view).toMatchObject({
      status: 'compensation_stuck',
      stage: 'compensating',
      compensations: [
        { name: 'cancelShipment', status: 'completed' },
        { name: 'refundPayment', status: 'stuck', reason: { type: 'RejectedByExternalSystem' } },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(attribute).toBe('compensation_stuck');
    expect(record).toMatchObject({ status: 'compensation_stuck' });
    expect(await readStatusAttribute(order)).toBe('cancelled');
  });

  test('completes the rollback when an operator retries the stuck refund', async () => {
    const order = await placeOrderStuckInRefund(shop());
    const response = await resolveCompensation(order, 'retry');
    const view = await order.result();

    expect(response.compensations[1], 'the decision took effect').toMatchObject({ name: 'refundPayment', attempt: 2 });
    expect(response.compensations[1]).not.toMatchObject({ status: 'stuck' });
    expect(view).toMatchObject({
      status: 'cancelled',
      compensations: [
        { name: 'cancelShipment', status: 'completed' },
        { name: 'refundPayment', status: 'completed' },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(await order.balance()).toEqual({
      verdict: 'rolled back',
      charged: 2500,
      refunded: 2500,
      parcels: ['cancelled'],
    });
    expect(order.completedActivities().filter((name) => name !== 'recordOrderStatus')).toEqual([
      'reserveStock',
      'chargePayment',
      'requestShipment',
      'cancelShipment',
      'releaseStock',
      'refundPayment',
      'closeOrder',
    ]);
  });

  test('the refund is stuck again if the retry of the operator fails', async () => {
    const order = await placeOrderStuckInRefund(shop(), { times: 2 });
    await resolveCompensation(order, 'retry');
    await waitUntilStuck(order);
    const again = order.attemptOutcomes('refundPayment');
    await resolveCompensation(order, 'retry');
    await order.result();

    expect(again).toEqual(['failed', 'failed']);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500 });
  });

  test('a skipped refund does not stop the other compensations, and the audit reports the missing refund', async () => {
    const order = await placeOrderStuckInRefund(shop());
    await resolveCompensation(order, 'skip');
    const view = await order.result();

    expect(view).toMatchObject({
      status: 'cancelled',
      compensations: [
        { name: 'cancelShipment', status: 'completed' },
        { name: 'refundPayment', status: 'skipped', reason: { type: 'RejectedByExternalSystem' } },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(order.completedActivities()).not.toContain('refundPayment');
    await expect(order.balance()).rejects.toThrow('does not balance (stock, money, parcel): back, kept, cancelled');
  });

  test('the refund is stuck after all retries failed, and a retry succeeds when the gateway is available again', async () => {
    const orderId = newOrderId();
    shop().fakes.faults.add({ on: 'refund', orderId, fault: 'unreachable', times: 10 });
    const order = await shop().placeOrder({ orderId });
    await order.waitForStage('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await shop().skipTime('10 minutes');
    const stuck = await waitUntilStuck(order);
    await resolveCompensation(order, 'retry');

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(stuck.compensations[1]).toMatchObject({ reason: { type: 'PaymentGatewayUnavailable' } });
    expect(order.attemptOutcomes('refundPayment')).toHaveLength(11);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500 });
  });

  test.each(['cancelShipment', 'releaseStock'] as const)('an operator can retry a stuck %s', async (name) => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');
    shop().activities.failBeforeEffect(name, order.orderId);
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    const view = await waitUntilStuck(order);
    await resolveCompensation(order, 'retry');
    await order.result();

    expect(view.compensations.find((entry) => entry.name === name)).toMatchObject({
      status: 'stuck',
      reason: { type: 'InjectedFailure' },
    });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500, parcels: ['cancelled'] });
    const compensated = ['cancelShipment', 'refundPayment', 'releaseStock'];
    expect(order.completedActivities().filter((done) => compensated.includes(done))).toEqual(compensated);
  });

  test('an order with a stuck compensation keeps the reason for which it was rejected', async () => {
    const orderId = newOrderId();
    shop().activities.failBeforeEffect('releaseStock', orderId);
    const order = await shop().placeOrder({ orderId, token: 'tok_declined' });
    await waitUntilStuck(order);
    await resolveCompensation(order, 'retry');

    expect(await order.result()).toMatchObject({ status: 'rejected', reason: { type: 'CardDeclined' } });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back' });
  });

  test('the order completes if the parcel leaves before an operator retries the stuck cancelShipment', async () => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');
    shop().activities.failBeforeEffect('cancelShipment', order.orderId);
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await waitUntilStuck(order);
    await order.sendCarrierReports('in_transit');
    await resolveCompensation(order, 'retry');
    await order.sendCarrierReports('delivered');

    expect(await order.result()).toMatchObject({
      status: 'completed',
      cancellation: { rejected: true },
      compensations: [{ name: 'cancelShipment', status: 'rejected' }],
    });
    expect(await order.balance()).toEqual({ verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] });
  });

  test('a stuck refund still waits for an operator after a workflow cancellation', async () => {
    const order = await placeOrderStuckInRefund(shop());
    await order.handle.cancel();
    const after = await order.view();
    await resolveCompensation(order, 'retry');

    expect(after).toMatchObject({ status: 'compensation_stuck' });
    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500 });
  });

  test('a repeated skip of one compensation does not skip another stuck compensation', async () => {
    const orderId = newOrderId();
    shop().fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: 1 });
    shop().activities.failBeforeEffect('releaseStock', orderId);
    const order = await shop().placeOrder({ orderId });
    await order.waitForStage('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.waitForView(
      ({ compensations }) => compensations.filter(({ status }) => status === 'stuck').length === 2,
      'two stuck compensations',
    );
    const skip = { compensation: 'refundPayment', attempt: 1, action: 'skip' } as const;
    const skipped = await order.handle.executeUpdate(resolveCompensationUpdate, { args: [skip] });
    const again = await order.handle
      .executeUpdate(resolveCompensationUpdate, { args: [skip] })
      .catch((error: unknown) => error);
    const view = await order.view();
    await resolveCompensation(order, 'retry');
    await order.result();

    expect(skipped.compensations[1]).toMatchObject({ name: 'refundPayment', status: 'skipped' });
    expect(again).toMatchObject({ cause: { type: 'CompensationNotStuck' } });
    expect(view).toMatchObject({ status: 'compensation_stuck' });
    expect(view.compensations[2]).toMatchObject({ name: 'releaseStock', status: 'stuck' });
    expect(order.completedActivities()).toContain('releaseStock');
  });

  test('accepts a decision by signal and ignores a signal for another attempt', async () => {
    const order = await placeOrderStuckInRefund(shop());
    const decision = { compensation: 'refundPayment', attempt: 1, action: 'retry' } as const;
    await order.handle.signal(resolveCompensationSignal, { ...decision, attempt: 2 });
    await order.handle.signal(resolveCompensationSignal, decision);

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500 });
  });

  describe('a decision about a compensation that is not stuck', () => {
    test('rejects a decision about a compensation that is not stuck, and the order continues', async () => {
      const order = await shop().placeOrder();
      await order.waitForStage('awaiting_pickup');
      const rejections = [
        await rejectionTypeOf(resolveCompensation(order, 'retry')),
        await rejectionTypeOf(resolveCompensation(order, 'skip')),
      ];
      await order.sendCarrierReports('delivered');

      expect(rejections).toEqual(['CompensationNotStuck', 'CompensationNotStuck']);
      expect(await order.result()).toMatchObject({ status: 'completed' });
      expect(await order.balance()).toMatchObject({ verdict: 'sold' });
    });

    test('rejects a second decision about the same attempt of a compensation', async () => {
      const order = await placeOrderStuckInRefund(shop());
      const hold = shop().fakes.hold('refund', order.orderId);
      await resolveCompensation(order, 'retry');
      await hold.arrived;
      const rejection = await rejectionTypeOf(resolveCompensation(order, 'skip'));
      await hold.release();

      expect(rejection).toBe('CompensationNotStuck');
      expect(await order.result()).toMatchObject({ status: 'cancelled' });
      expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500 });
    });
  });
});
