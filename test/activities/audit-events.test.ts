import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAuditActivities } from '../../src/activities/audit.js';
import { createStripePaymentGateway } from '../../src/activities/external/payments/stripe/gateway.js';
import type { OrderStatus } from '../../src/schemas/order.js';
import type { PaymentEvent } from '../../src/schemas/payment-event.js';
import type { Store } from '../../src/store/index.js';
import { useTestStore } from '../support/database/test-store.js';
import { startFakes, type RunningFakes } from '../support/fakes/running-fakes.js';
import { addProduct, makeOrder } from '../support/shop/shop.js';
import { runActivity } from '../support/workers/activity-environment.js';

const total = { value: 1999, currency: 'EUR' };

let store: Store;
useTestStore((opened) => void (store = opened), { maxConnections: 2 });

let fakes: RunningFakes;
beforeAll(async () => {
  fakes = await startFakes();
});
afterAll(async () => {
  await fakes?.close();
});
beforeEach(async () => {
  await store.db.deleteFrom('payment_events').execute();
});

const createGateway = () =>
  createStripePaymentGateway({
    secretKey: 'sk_test_fake',
    apiUrl: new URL(fakes.paymentsUrl).origin,
    findOrder: async () => ({ placedAt: new Date(), total }),
  });

/** Runs the audit of the payment events only. The list of charges is empty. */
async function findingsAfter(reconcileAfterMinutes = 0) {
  const payments = { ...createGateway(), listCharges: async () => ({ charges: [], next: null }) };
  const { compareCharges } = createAuditActivities({ store, payments, reconcileAfterMinutes });
  return (await runActivity(compareCharges, {})).findings;
}

async function addOrder(status: OrderStatus): Promise<string> {
  const product = await addProduct(store);
  const { orderId, customerId } = makeOrder({ lines: [] });
  const order = { orderId, firstRunId: orderId, customerId, placedAt: new Date(), contentHash: 'hash' };
  await store.reserveStock(order, [{ sku: product.sku, quantity: 1 }]);
  if (status === 'processing') return orderId;
  await store.closeOrder(order, {
    view: { orderId, customerId, status, stage: 'done', steps: [], compensations: [] },
    runId: orderId,
    reservation: status === 'completed' ? 'sold' : 'released',
  });
  return orderId;
}

const charge = (orderId: string) =>
  runActivity(createGateway().charge, { orderId, amount: total, token: 'pm_card_visa', placedAt: new Date() });
const refund = (orderId: string) => runActivity(createGateway().refund, { orderId });

const record = (event: Omit<PaymentEvent, 'eventId'>) =>
  store.recordPaymentEvent({ eventId: `evt_${randomUUID()}`, ...event });

describe('the audit of payment events', () => {
  test.each<[OrderStatus, string]>([
    ['cancelled', 'the order is cancelled, and its charge of €19.99 is not refunded'],
    ['failed', 'the order is failed, and its charge of €19.99 is not refunded'],
  ])('lists a reported charge of a %s order until it is refunded', async (status, problem) => {
    const orderId = await addOrder(status);
    const { chargeId } = await charge(orderId);
    await record({ type: 'charged', chargeId, orderId });
    expect(await findingsAfter()).toEqual([{ orderId, problem }]);

    await refund(orderId);
    expect(await findingsAfter()).toEqual([]);
  });

  test('lists a reported charge of an order that the database does not have', async () => {
    const orderId = `order-${randomUUID()}`;
    const { chargeId } = await charge(orderId);
    await record({ type: 'charged', chargeId, orderId });
    expect(await findingsAfter()).toEqual([
      { orderId, problem: 'the gateway charged €19.99, and the database has no record of the order' },
    ]);
  });

  test.each<OrderStatus>(['processing', 'completed'])('lists a reported refund of a %s order', async (status) => {
    const orderId = await addOrder(status);
    const { chargeId } = await charge(orderId);
    await refund(orderId);
    await record({ type: 'refunded', chargeId, orderId });
    expect(await findingsAfter()).toEqual([
      { orderId, problem: `the order is ${status}, and its charge was refunded at the gateway` },
    ]);
  });

  test('does not look up orders whose events fit', async () => {
    const [completed, cancelled] = [await addOrder('completed'), await addOrder('cancelled')];
    await record({ type: 'charged', chargeId: 'pi_1', orderId: completed });
    await record({ type: 'refunded', chargeId: 'pi_2', orderId: cancelled });
    await record({ type: 'charged', chargeId: 'pi_2', orderId: cancelled });
    expect(
      await store.listUnexpectedPayments({ receivedFrom: new Date(0), receivedBefore: new Date(), limit: 10 }),
    ).toEqual([]);
  });

  test('lists the order of a disputed charge until the dispute is closed, in any order of the events', async () => {
    const [first, second] = [await addOrder('completed'), await addOrder('completed')];
    const [one, two] = [await charge(first), await charge(second)];
    const dispute = (number: number) => ({ disputeId: `dp_${first}_${number}`, chargeId: one.chargeId });
    await record({ type: 'dispute_opened', ...dispute(1) });
    await record({ type: 'dispute_closed', chargeId: two.chargeId, disputeId: `dp_${second}` });
    await record({ type: 'dispute_opened', chargeId: two.chargeId, disputeId: `dp_${second}` });
    expect(await findingsAfter()).toEqual([
      { orderId: first, problem: `the customer disputes the charge ${one.chargeId}` },
    ]);

    await record({ type: 'dispute_closed', ...dispute(1) });
    expect(await findingsAfter()).toEqual([]);
  });

  test('ignores a dispute about a charge that Stripe does not have', async () => {
    await record({ type: 'dispute_opened', chargeId: 'pi_of_another_account', disputeId: 'dp_1' });
    expect(await findingsAfter()).toEqual([]);
  });

  test('ignores events that are younger than RECONCILE_AFTER_MINUTES or older than three days', async () => {
    const orderId = await addOrder('cancelled');
    const { chargeId } = await charge(orderId);
    await record({ type: 'charged', chargeId, orderId });
    expect(await findingsAfter(1)).toEqual([]);

    await sql`update payment_events set received_at = now() - interval '73 hours'`.execute(store.db);
    expect(await findingsAfter()).toEqual([]);
    await sql`update payment_events set received_at = now() - interval '71 hours'`.execute(store.db);
    expect(await findingsAfter()).toHaveLength(1);
  });
});
