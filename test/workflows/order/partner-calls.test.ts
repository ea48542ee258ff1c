import { expect, onTestFinished, test } from 'vitest';
import { approvalWorkflowId, decideUpdate } from '../../../src/workflows/approval/contract.js';
import type { approval } from '../../../src/workflows/approval/workflow.js';
import { cancelOrderUpdate } from '../../../src/workflows/order/contract.js';
import type { OrderView } from '../../../src/schemas/order.js';
import { waitUntil } from '../../support/processes.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { waitForApproval } from '../../support/shop/approvals.js';
import { newOrderId, describeWithOrderShop } from '../../support/shop/order-shop.js';
import { addProduct } from '../../support/shop/shop.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** Returns the duration of a step in milliseconds, on the clock of the time-skipping server. */
function durationOf({ steps }: OrderView, name: string): number {
  const { startedAt, endedAt } = steps.find((step) => step.name === name)!;
  return Date.parse(endedAt!) - Date.parse(startedAt);
}

describeWithOrderShop('a partner that expires idempotency keys', (shop) => {
  /** Makes the fake partners forget each idempotency key immediately, as real partners forget old keys. */
  function forgetKeys(): void {
    shop().fakes.idempotencyKeys.retentionSeconds = 0;
    onTestFinished(() => void (shop().fakes.idempotencyKeys.retentionSeconds = null));
  }

  test('charges and ships once even if the partners have forgotten the idempotency keys after a two-day approval', async () => {
    const orderId = newOrderId();
    const { faults } = shop().fakes;
    faults.add({ on: 'charge', orderId, fault: 'lose-response' });
    faults.add({ on: 'shipment', orderId, fault: 'lose-response' });
    forgetKeys();
    const price = { value: ORDER_APPROVAL_THRESHOLD / 2, currency: 'EUR' };
    const order = await shop().placeOrder({ orderId, products: [await addProduct(shop().store, { price })] });
    const question = shop().client.workflow.getHandle<typeof approval>(approvalWorkflowId(`order.${orderId}`));
    await order.waitForView(({ approval }) => approval?.status === 'pending', 'awaits its approval');
    await waitForApproval(question, ({ notifications }) => notifications[0]?.status === 'sent', 'asked');
    await shop().skipTime('2 days');
    await waitForApproval(
      question,
      ({ stage, notifications }) => stage === 2 && notifications[1]?.status === 'sent',
      'notified again',
    );

    await question.executeUpdate(decideUpdate, { args: [{ approver: 'manager', decision: 'approve' }] });
    const view = await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('in_transit', 'delivered');
    await order.result();

    expect(durationOf(view, 'approval')).toBeGreaterThan(DAY_MS);
    expect([order.attemptOutcomes('chargePayment'), order.attemptOutcomes('requestShipment')]).toEqual([
      ['failed', 'done'],
      ['failed', 'done'],
    ]);
    expect(await order.balance()).toMatchObject({
      verdict: 'sold',
      charged: ORDER_APPROVAL_THRESHOLD,
      parcels: ['delivered'],
    });
  });

  test('refunds once if the response to the refund is lost and the retry happens days later', async () => {
    const orderId = newOrderId();
    const order = await shop().placeOrder({ orderId });
    await order.waitForStage('awaiting_pickup');
    const { faults } = shop().fakes;
    // The first refund takes effect but its response is lost. After that, the gateway is unavailable.
    faults.add({ on: 'refund', orderId, fault: 'lose-response' });
    faults.add({ on: 'payment', orderId, fault: 'slow', delayMs: 0 });
    faults.add({ on: 'payment', orderId, fault: 'error', times: -1 });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await waitUntil(() => shop().fakes.records(orderId).refunds.length === 1 || undefined, {
      description: 'the refund whose response is lost',
      timeoutMs: 20_000,
    });
    await shop().skipTime('30 minutes');
    await order.waitForView(({ status }) => status === 'compensation_stuck', 'stuck');
    forgetKeys();
    await shop().skipTime('3 days');
    faults.clear();
    const view = await order.result();

    expect(view).toMatchObject({ status: 'cancelled' });
    const refund = view.compensations.find(({ name }) => name === 'refundPayment')!;
    expect(refund).toMatchObject({ status: 'completed' });
    expect(Date.parse(refund.endedAt!) - Date.parse(view.cancellation!.requestedAt)).toBeGreaterThan(2 * DAY_MS);
    expect(shop().fakes.records(orderId).refunds).toHaveLength(1);
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', charged: 2500, refunded: 2500 });
  });
});

describeWithOrderShop("a partner that rejects the shop's configuration", (shop) => {
  test.each([
    ['charge', 'chargePayment', 401],
    ['charge', 'chargePayment', 404],
    ['shipment', 'requestShipment', 403],
  ] as const)('retries until the partner accepts a %s, and completes the order (%s, %i)', async (on, step, status) => {
    const orderId = newOrderId();
    shop().fakes.faults.add({ on, orderId, fault: 'error', status, code: null, times: 20 });
    const order = await shop().placeOrder({ orderId });
    await shop().skipTime('2 hours');
    await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('in_transit', 'delivered');
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attemptOutcomes(step)).toHaveLength(21);
    // The order retries the call 20 times, five minutes apart.
    expect(durationOf(view, step) / MINUTE_MS).toBeCloseTo(100, -1);
    expect(await order.balance()).toMatchObject({ verdict: 'sold', charged: 2500 });
  });
});

describeWithOrderShop('a partner that sends Retry-After', (shop) => {
  test('calls a partner again after the delay of the Retry-After header', async () => {
    const orderId = newOrderId();
    shop().fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 429, retryAfter: '1800' });
    const order = await shop().placeOrder({ orderId });
    await shop().skipTime('1 hour');
    await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('in_transit', 'delivered');
    const view = await order.result();

    expect(order.attemptOutcomes('chargePayment')).toEqual(['failed', 'done']);
    expect(durationOf(view, 'chargePayment') / MINUTE_MS).toBeCloseTo(30, 0);
  });
});
