import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import Stripe from 'stripe';
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
async function checkEvents({ reconcileAfterMinutes = 0, gateway = createGateway() } = {}) {
  const payments = { ...gateway, listCharges: async () => ({ charges: [], next: null }) };
  const { compareCharges } = createAuditActivities({ store, payments, reconcileAfterMinutes });
  return await runActivity(compareCharges, {});
}
const findingsAfter = async (reconcileAfterMinutes = 0) => (await checkEvents({ reconcileAfterMinutes })).findings;

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

function createClient(): Stripe {
  const { hostname: host, port } = new URL(fakes.paymentsUrl);
  return new Stripe('sk_test_fake', { host, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
}

/** Charges an order with a PaymentIntent of its own, as another program does. @returns the id of the charge. */
async function chargeAgain(orderId: string): Promise<string> {
  const stripe = createClient();
  const { id } = await stripe.paymentIntents.create({ amount: 1999, currency: 'eur', metadata: { orderId } });
  await stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_visa' });
  return id;
}

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

  test('lists a reported charge although a newer charge of the order is refunded', async () => {
    const orderId = await addOrder('cancelled');
    const { chargeId } = await charge(orderId);
    const newer = await chargeAgain(orderId);
    await record({ type: 'charged', chargeId, orderId });
    await createClient().refunds.create({ payment_intent: newer });
    expect(await runActivity(createGateway().findPayment, orderId)).toMatchObject({
      charge: { chargeId: newer },
      refund: { status: 'refunded' },
    });
    expect(await findingsAfter()).toEqual([
      { orderId, problem: `the order is cancelled, and its charge ${chargeId} is not refunded` },
    ]);

    await record({ type: 'refunded', chargeId, orderId });
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

    // Nobody has decided about the order.
    await sql`update payment_events set received_at = now() - interval '179 days'`.execute(store.db);
    expect(await findingsAfter()).toHaveLength(1);
    await store.db.deleteFrom('payment_events').where('order_id', '=', orderId).execute();
    expect(await findingsAfter()).toEqual([]);
  });

  test('lists no order whose events match its outcome', async () => {
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

  test('ignores a dispute about a charge of another shop with the same account', async () => {
    for (const orderId of ['order 1001', 'x'.repeat(65)]) {
      const chargeId = await chargeAgain(orderId);
      await record({ type: 'dispute_opened', chargeId, disputeId: `dp_${chargeId}` });
    }
    expect(await findingsAfter()).toEqual([]);
  });

  test('lists a dispute about a charge of an order that the database does not have', async () => {
    const orderId = `order-${randomUUID()}`;
    const { chargeId } = await charge(orderId);
    await record({ type: 'dispute_opened', chargeId, disputeId: 'dp_1' });
    expect(await findingsAfter()).toEqual([
      {
        orderId,
        problem: `the customer disputes the charge ${chargeId}, and the database has no record of the order`,
      },
    ]);
  });

  test('checks the events of its orders before newer disputes about unknown charges, and reports that it did not check all', async () => {
    const orderId = await addOrder('completed');
    const { chargeId } = await charge(orderId);
    await record({ type: 'charged', chargeId, orderId });
    await record({ type: 'dispute_opened', chargeId, disputeId: `dp_${orderId}` });
    const addDisputes = (from: number, to: number) =>
      sql`
        insert into payment_events (event_id, type, charge_id, dispute_id)
        select 'evt_' || n, 'dispute_opened', 'pi_unknown_' || n, 'dp_' || n
        from generate_series(${from}::int, ${to}::int) as n`.execute(store.db);
    const gateway = { ...createGateway(), findOrderId: async () => undefined };
    const expected = [{ orderId, problem: `the customer disputes the charge ${chargeId}` }];

    await addDisputes(1, 499);
    expect(await checkEvents({ gateway })).toMatchObject({ findings: expected, areEventsComplete: true });
    await addDisputes(500, 500);
    expect(await checkEvents({ gateway })).toMatchObject({ findings: expected, areEventsComplete: false });
  });

  test('lists the newest unexpected payments first', async () => {
    const chargeIds = ['pi_1', 'pi_2', 'pi_3'];
    for (const chargeId of chargeIds) await record({ type: 'charged', chargeId, orderId: `order-${chargeId}` });
    const period = { receivedFrom: new Date(0), receivedBefore: new Date(Date.now() + 60_000) };
    const listed = await store.listUnexpectedPayments({ ...period, limit: 2 });
    expect(listed.map(({ chargeId }) => chargeId)).toEqual(['pi_3', 'pi_2']);
  });

  test('ignores events that are younger than RECONCILE_AFTER_MINUTES, and charges that are older than three days', async () => {
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
