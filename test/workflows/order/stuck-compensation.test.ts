import { WorkflowUpdateFailedError } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import type { OrderView } from '../../../src/schemas/order.js';
import {
  cancelOrderUpdate,
  orderStatusAttribute,
  resolveCompensationSignal,
  resolveCompensationUpdate,
} from '../../../src/workflows/order/contract.js';
import { anOrderId, describeOrders, type OrderShop, type PlacedOrder } from '../../support/order-shop.js';

/** Sends a decision about the compensation that is currently stuck. */
async function resolve(order: PlacedOrder, action: 'retry' | 'skip'): Promise<OrderView> {
  const { compensations } = await order.view();
  const stuck = compensations.find(({ status }) => status === 'stuck');
  const { name: compensation, attempt } = stuck ?? { name: 'refundPayment', attempt: 1 };
  return await order.handle.executeUpdate(resolveCompensationUpdate, { args: [{ compensation, attempt, action }] });
}

const untilStuck = (order: PlacedOrder) => order.seen(({ status }) => status === 'compensation_stuck', 'stuck');

const statusAttribute = async (order: PlacedOrder) =>
  (await order.handle.describe()).typedSearchAttributes.get(orderStatusAttribute);

/** Places and cancels an order whose refund the gateway rejects `times` times. */
async function stuckInRefund(shop: OrderShop, { times = 1 } = {}): Promise<PlacedOrder> {
  const orderId = anOrderId();
  shop.outside.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times });
  const order = await shop.place({ orderId });
  await order.reached('awaiting_pickup');
  await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
  await untilStuck(order);
  return order;
}

describeOrders('a compensation that keeps failing', (shop) => {
  test('waits for an operator after its last attempt and shows that in view, search attribute and record', async () => {
    const order = await stuckInRefund(shop());
    const view = await order.seen(
      ({ compensations }) =>
        compensations.at(-1)?.name === 'releaseStock' && compensations.at(-1)?.status === 'completed',
      'the stock released',
    );
    const attribute = await statusAttribute(order);
    const { status } = await order.handle.describe();
    const record = await shop().store.findOrder(order.orderId);
    await resolve(order, 'retry');
    await order.result();

    expect(status.name).toBe('RUNNING');
    expect(view).toMatchObject({
      status: 'compensation_stuck',
      stage: 'compensating',
      compensations: [
        { name: 'cancelShipment', status: 'completed' },
        { name: 'refundPayment', status: 'stuck', reason: { type: 'RefusedByOutside' } },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(attribute).toBe('compensation_stuck');
    expect(record).toMatchObject({ status: 'compensation_stuck' });
    expect(await statusAttribute(order)).toBe('cancelled');
  });

  test('completes the rollback when the operator retries it', async () => {
    const order = await stuckInRefund(shop());
    const answer = await resolve(order, 'retry');
    const view = await order.result();

    expect(answer.compensations[1], 'the decision took effect').toMatchObject({ name: 'refundPayment', attempt: 2 });
    expect(answer.compensations[1]).not.toMatchObject({ status: 'stuck' });
    expect(view).toMatchObject({
      status: 'cancelled',
      compensations: [
        { name: 'cancelShipment', status: 'completed' },
        { name: 'refundPayment', status: 'completed' },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(await order.balance()).toEqual({ verdict: 'undone', charged: 2500, refunded: 2500, parcels: ['cancelled'] });
    expect(order.done().filter((name) => name !== 'recordOrderStatus')).toEqual([
      'reserveStock',
      'chargePayment',
      'requestShipment',
      'cancelShipment',
      'releaseStock',
      'refundPayment',
      'closeOrder',
    ]);
  });

  test('waits for the operator again if the retry fails', async () => {
    const order = await stuckInRefund(shop(), { times: 2 });
    await resolve(order, 'retry');
    await untilStuck(order);
    const again = order.attempts('refundPayment');
    await resolve(order, 'retry');
    await order.result();

    expect(again).toEqual(['failed', 'failed']);
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500 });
  });

  test('lets the other compensations finish when skipped, and leaves the refund open in the audit', async () => {
    const order = await stuckInRefund(shop());
    await resolve(order, 'skip');
    const view = await order.result();

    expect(view).toMatchObject({
      status: 'cancelled',
      compensations: [
        { name: 'cancelShipment', status: 'completed' },
        { name: 'refundPayment', status: 'skipped', reason: { type: 'RefusedByOutside' } },
        { name: 'releaseStock', status: 'completed' },
      ],
    });
    expect(order.done()).not.toContain('refundPayment');
    await expect(order.balance()).rejects.toThrow('does not balance (stock, money, parcel): back, kept, cancelled');
  });

  test("is stuck once all retries have failed, and completes on a retry after the gateway's return", async () => {
    const orderId = anOrderId();
    shop().outside.faults.add({ on: 'refund', orderId, fault: 'unreachable', times: 10 });
    const order = await shop().place({ orderId });
    await order.reached('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await shop().skip('10 minutes');
    const stuck = await untilStuck(order);
    await resolve(order, 'retry');

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(stuck.compensations[1]).toMatchObject({ reason: { type: 'PaymentGatewayUnavailable' } });
    expect(order.attempts('refundPayment')).toHaveLength(11);
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500 });
  });

  test.each(['cancelShipment', 'releaseStock'] as const)('can be retried if %s is stuck', async (name) => {
    const order = await shop().place();
    await order.reached('awaiting_pickup');
    shop().activities.fail(name, order.orderId);
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    const view = await untilStuck(order);
    await resolve(order, 'retry');
    await order.result();

    expect(view.compensations.find((entry) => entry.name === name)).toMatchObject({
      status: 'stuck',
      reason: { type: 'ToldToFail' },
    });
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500, parcels: ['cancelled'] });
    const compensated = ['cancelShipment', 'refundPayment', 'releaseStock'];
    expect(order.done().filter((done) => compensated.includes(done))).toEqual(compensated);
  });

  test('keeps the original reason of the failed order', async () => {
    const orderId = anOrderId();
    shop().activities.fail('releaseStock', orderId);
    const order = await shop().place({ orderId, token: 'tok_declined' });
    await untilStuck(order);
    await resolve(order, 'retry');

    expect(await order.result()).toMatchObject({ status: 'rejected', reason: { type: 'CardDeclined' } });
    expect(await order.balance()).toMatchObject({ verdict: 'undone' });
  });

  test('lets the order complete if the parcel leaves before cancelShipment is retried', async () => {
    const order = await shop().place();
    await order.reached('awaiting_pickup');
    shop().activities.fail('cancelShipment', order.orderId);
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await untilStuck(order);
    await order.carrierReports('in_transit');
    await resolve(order, 'retry');
    await order.carrierReports('delivered');

    expect(await order.result()).toMatchObject({
      status: 'completed',
      cancellation: { refused: true },
      compensations: [{ name: 'cancelShipment', status: 'refused' }],
    });
    expect(await order.balance()).toEqual({ verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] });
  });

  test('still waits for the operator after a workflow cancellation', async () => {
    const order = await stuckInRefund(shop());
    await order.handle.cancel();
    const after = await order.view();
    await resolve(order, 'retry');

    expect(after).toMatchObject({ status: 'compensation_stuck' });
    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500 });
  });

  test('applies a decision once: a repeated skip does not affect the next stuck compensation', async () => {
    const orderId = anOrderId();
    shop().outside.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: 1 });
    shop().activities.fail('releaseStock', orderId);
    const order = await shop().place({ orderId });
    await order.reached('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.seen(
      ({ compensations }) => compensations.filter(({ status }) => status === 'stuck').length === 2,
      'two stuck compensations',
    );
    const skip = { compensation: 'refundPayment', attempt: 1, action: 'skip' } as const;
    const skipped = await order.handle.executeUpdate(resolveCompensationUpdate, { args: [skip] });
    const again = await order.handle
      .executeUpdate(resolveCompensationUpdate, { args: [skip] })
      .catch((error: unknown) => error);
    const view = await order.view();
    await resolve(order, 'retry');
    await order.result();

    expect(skipped.compensations[1]).toMatchObject({ name: 'refundPayment', status: 'skipped' });
    expect(again).toMatchObject({ cause: { type: 'NotStuck' } });
    expect(view).toMatchObject({ status: 'compensation_stuck' });
    expect(view.compensations[2]).toMatchObject({ name: 'releaseStock', status: 'stuck' });
    expect(order.done()).toContain('releaseStock');
  });

  test('accepts a decision by signal, for runs that accept no further updates', async () => {
    const order = await stuckInRefund(shop());
    const decision = { compensation: 'refundPayment', attempt: 1, action: 'retry' } as const;
    await order.handle.signal(resolveCompensationSignal, { ...decision, attempt: 2 });
    await order.handle.signal(resolveCompensationSignal, decision);

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500 });
  });

  describe('a decision about a compensation that is not stuck', () => {
    async function refusalOf(update: Promise<unknown>): Promise<unknown> {
      const error = await update.then(
        () => new Error('the update was accepted'),
        (reason: unknown) => reason,
      );
      return error instanceof WorkflowUpdateFailedError ? error.cause : error;
    }

    test('is rejected, and the order continues', async () => {
      const order = await shop().place();
      await order.reached('awaiting_pickup');
      const refusals = [await refusalOf(resolve(order, 'retry')), await refusalOf(resolve(order, 'skip'))];
      await order.carrierReports('delivered');

      expect(refusals).toMatchObject([{ type: 'NotStuck' }, { type: 'NotStuck' }]);
      expect(await order.result()).toMatchObject({ status: 'completed' });
      expect(await order.balance()).toMatchObject({ verdict: 'sold' });
    });

    test("is rejected after another operator's decision", async () => {
      const order = await stuckInRefund(shop());
      const hold = shop().outside.hold('refund', order.orderId);
      await resolve(order, 'retry');
      await hold.arrived;
      const refusal = await refusalOf(resolve(order, 'skip'));
      await hold.release();

      expect(refusal).toMatchObject({ type: 'NotStuck' });
      expect(await order.result()).toMatchObject({ status: 'cancelled' });
      expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500 });
    });
  });
});
