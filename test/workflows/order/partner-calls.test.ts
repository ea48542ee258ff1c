import { expect, onTestFinished, test } from 'vitest';
import { waitUntil } from '../../../tools/processes/wait.js';
import { approvalWorkflowId, decideUpdate } from '../../../src/workflows/approval/contract.js';
import type { approval } from '../../../src/workflows/approval/workflow.js';
import { cancelOrderUpdate } from '../../../src/workflows/order/contract.js';
import type { OrderView } from '../../../src/schemas/order.js';
import { APPROVAL_THRESHOLD } from '../../support/activities.js';
import { approvalOnce } from '../../support/approvals.js';
import { anOrderId, describeOrders } from '../../support/order-shop.js';
import { aProduct } from '../../support/shop.js';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** The duration of a step on the clock of the time-skipping server. */
function durationOf({ steps }: OrderView, name: string): number {
  const { startedAt, endedAt } = steps.find((step) => step.name === name)!;
  return Date.parse(endedAt!) - Date.parse(startedAt);
}

describeOrders('a partner that forgets idempotency keys', (shop) => {
  /** Makes the partners forget each key at once, as real partners forget old keys. */
  function forgetKeys(): void {
    shop().outside.keys.retentionSeconds = 0;
    onTestFinished(() => void (shop().outside.keys.retentionSeconds = null));
  }

  test('charges and ships once if the order waits two days for its approval', async () => {
    const orderId = anOrderId();
    const { faults } = shop().outside;
    faults.add({ on: 'charge', orderId, fault: 'lose-answer' });
    faults.add({ on: 'shipment', orderId, fault: 'lose-answer' });
    forgetKeys();
    const price = { value: APPROVAL_THRESHOLD / 2, currency: 'EUR' };
    const order = await shop().place({ orderId, products: [await aProduct(shop().store, { price })] });
    const question = shop().client.workflow.getHandle<typeof approval>(approvalWorkflowId(`order.${orderId}`));
    await order.seen(({ approval }) => approval?.status === 'pending', 'awaits its approval');
    await approvalOnce(question, ({ notifications }) => notifications[0]?.status === 'sent', 'asked');
    await shop().skip('2 days');
    await approvalOnce(
      question,
      ({ stage, notifications }) => stage === 2 && notifications[1]?.status === 'sent',
      'asked again',
    );

    await question.executeUpdate(decideUpdate, { args: [{ approver: 'manager', decision: 'approve' }] });
    const view = await order.reached('awaiting_pickup');
    await order.carrierReports('in_transit', 'delivered');
    await order.result();

    expect(durationOf(view, 'approval')).toBeGreaterThan(DAY_MS);
    expect([order.attempts('chargePayment'), order.attempts('requestShipment')]).toEqual([
      ['failed', 'done'],
      ['failed', 'done'],
    ]);
    expect(await order.balance()).toMatchObject({
      verdict: 'sold',
      charged: APPROVAL_THRESHOLD,
      parcels: ['delivered'],
    });
  });

  test("refunds once if the refund's response is lost and the retry comes days later", async () => {
    const orderId = anOrderId();
    const order = await shop().place({ orderId });
    await order.reached('awaiting_pickup');
    const { faults } = shop().outside;
    // The first refund takes effect, then the gateway is down.
    faults.add({ on: 'refund', orderId, fault: 'lose-answer' });
    faults.add({ on: 'payment', orderId, fault: 'slow', delayMs: 0 });
    faults.add({ on: 'payment', orderId, fault: 'error', times: -1 });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await waitUntil(() => shop().outside.statement(orderId).refunds.length === 1 || undefined, {
      what: 'the refund whose answer is lost',
      deadlineMs: 20_000,
    });
    await shop().skip('30 minutes');
    await order.seen(({ status }) => status === 'compensation_stuck', 'stuck');
    forgetKeys();
    await shop().skip('3 days');
    faults.clear();
    const view = await order.result();

    expect(view).toMatchObject({ status: 'cancelled' });
    const refund = view.compensations.find(({ name }) => name === 'refundPayment')!;
    expect(refund).toMatchObject({ status: 'completed' });
    expect(Date.parse(refund.endedAt!) - Date.parse(view.cancellation!.requestedAt)).toBeGreaterThan(2 * DAY_MS);
    expect(shop().outside.statement(orderId).refunds).toHaveLength(1);
    expect(await order.balance()).toMatchObject({ verdict: 'undone', charged: 2500, refunded: 2500 });
  });
});

describeOrders("a partner that rejects the shop's configuration", (shop) => {
  test.each([
    ['charge', 'chargePayment', 401],
    ['charge', 'chargePayment', 404],
    ['shipment', 'requestShipment', 403],
  ] as const)('lets an order continue once the partner accepts a %s again (%s, %i)', async (on, step, status) => {
    const orderId = anOrderId();
    shop().outside.faults.add({ on, orderId, fault: 'error', status, code: null, times: 20 });
    const order = await shop().place({ orderId });
    await shop().skip('2 hours');
    await order.reached('awaiting_pickup');
    await order.carrierReports('in_transit', 'delivered');
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', compensations: [] });
    expect(order.attempts(step)).toHaveLength(21);
    // The retry delay is five minutes.
    expect(durationOf(view, step) / MINUTE_MS).toBeCloseTo(100, -1);
    expect(await order.balance()).toMatchObject({ verdict: 'sold', charged: 2500 });
  });
});

describeOrders('a partner that sends Retry-After', (shop) => {
  test('is called again after that delay', async () => {
    const orderId = anOrderId();
    shop().outside.faults.add({ on: 'charge', orderId, fault: 'error', status: 429, retryAfter: '1800' });
    const order = await shop().place({ orderId });
    await shop().skip('1 hour');
    await order.reached('awaiting_pickup');
    await order.carrierReports('in_transit', 'delivered');
    const view = await order.result();

    expect(order.attempts('chargePayment')).toEqual(['failed', 'done']);
    expect(durationOf(view, 'chargePayment') / MINUTE_MS).toBeCloseTo(30, 0);
  });
});
