import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createPaymentActivities } from '../../src/activities/payments.js';
import { runActivity } from '../support/workers/activity-environment.js';
import { createTestPaymentGateway } from '../support/shop/payment-gateway.js';
import { stubStockHeldSince, OWNER_RUN_ID } from '../support/shop/stock-stubs.js';
import { expireIdempotencyKeys, startFakes, type RunningFakes } from '../support/fakes/running-fakes.js';

let fakes: RunningFakes;
beforeAll(async () => {
  fakes = await startFakes();
});
afterAll(async () => {
  await fakes.close();
});

const HOUR_MS = 3_600_000;

interface ChargeOptions {
  token?: string;
  value?: number;
  /** How many hours ago the order was placed. */
  hoursAgo?: number;
}

const createActivitiesForAge = (hoursAgo: number) =>
  createPaymentActivities({
    payments: createTestPaymentGateway(fakes),
    store: stubStockHeldSince(new Date(Date.now() - hoursAgo * HOUR_MS)),
  });

function charge(orderId: string, { token = 'tok_ok', value = 1999, hoursAgo = 0 }: ChargeOptions = {}) {
  const { chargePayment } = createActivitiesForAge(hoursAgo);
  return runActivity(chargePayment, { orderId, firstRunId: OWNER_RUN_ID, amount: { value, currency: 'EUR' }, token });
}

function refund(orderId: string) {
  return runActivity(createActivitiesForAge(0).refundPayment, { orderId });
}

describe('chargePayment', () => {
  test('charges a valid card', async () => {
    const orderId = randomUUID();
    const { chargeId } = await charge(orderId);

    expect(fakes.records(orderId).charges).toMatchObject([
      { chargeId, status: 'succeeded', amount: { value: 1999, currency: 'EUR' } },
    ]);
  });

  test.each([
    ['tok_declined', 'CardDeclined'],
    ['tok_insufficient_funds', 'InsufficientFunds'],
    ['tok_of_nobody', 'CardDeclined'],
  ])('for the token %s, fails permanently as %s', async (token, type) => {
    const orderId = randomUUID();

    await expect(charge(orderId, { token })).rejects.toMatchObject({ type, nonRetryable: true, category: 'BENIGN' });
    expect(fakes.records(orderId).charges.filter(({ status }) => status === 'succeeded')).toEqual([]);
  });

  test('fails with a retryable error when the payment gateway is unavailable', async () => {
    await expect(charge(randomUUID(), { token: 'tok_gateway_down' })).rejects.toMatchObject({
      type: 'PaymentGatewayUnavailable',
      nonRetryable: false,
    });
  });

  test('fails permanently when an order is charged again with another amount, which would be a bug in the shop', async () => {
    const orderId = randomUUID();
    await charge(orderId);

    await expect(charge(orderId, { value: 5 })).rejects.toMatchObject({
      type: 'RejectedByExternalSystem',
      nonRetryable: true,
    });
    expect(fakes.records(orderId).charges).toMatchObject([{ amount: { value: 1999 } }]);
  });

  test("charges an order once, even when the order is older than the gateway's idempotency keys", async () => {
    const orderId = randomUUID();
    expireIdempotencyKeys(fakes);
    const first = await charge(orderId);

    expect(await charge(orderId, { hoursAgo: 24 })).toEqual(first);
    expect(fakes.records(orderId).charges).toHaveLength(1);
  });

  test('charges an old order that the gateway does not know, for example after a long approval', async () => {
    const orderId = randomUUID();
    await charge(orderId, { hoursAgo: 240 });

    expect(fakes.records(orderId).charges).toMatchObject([{ status: 'succeeded' }]);
  });

  test.each([
    [0, false],
    [23, false],
    // The lookup starts before 24 h, because clocks differ and the call takes time.
    [23.9, true],
    [24, true],
    [8_760, true],
  ])('for an order placed %s h ago, looks up an existing charge at the gateway: %s', async (hoursAgo, isLookedUp) => {
    const orderId = randomUUID();
    fakes.faults.add({ on: 'payment', orderId, fault: 'unreachable' });
    onTestFinished(() => fakes.faults.clear());

    const charged = charge(orderId, { hoursAgo }).then(
      () => false,
      () => true,
    );

    expect(await charged).toBe(isLookedUp);
  });

  test("computes the age of an order with the Temporal server's clock when that clock is ahead", async () => {
    const orderId = randomUUID();
    expireIdempotencyKeys(fakes);
    await charge(orderId);
    const env = new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: Date.now() + 25 * HOUR_MS });

    await runActivity(
      createActivitiesForAge(0).chargePayment,
      { orderId, firstRunId: OWNER_RUN_ID, amount: { value: 1999, currency: 'EUR' }, token: 'tok_ok' },
      env,
    );
    expect(fakes.records(orderId).charges).toHaveLength(1);
  });

  test('fails when the existing charge of an old order has another amount', async () => {
    const orderId = randomUUID();
    await charge(orderId, { value: 5 });

    await expect(charge(orderId, { hoursAgo: 24 })).rejects.toMatchObject({
      type: 'RejectedByExternalSystem',
      nonRetryable: true,
    });
  });

  test('fails as ChargeVoided when the gateway shows that the order was already refunded', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    await refund(orderId);
    expireIdempotencyKeys(fakes);

    await expect(charge(orderId, { hoursAgo: 24 })).rejects.toMatchObject({ type: 'ChargeVoided', nonRetryable: true });
    expect(fakes.records(orderId).charges).toHaveLength(1);
  });

  test('charges an old order again when its earlier charge was declined', async () => {
    const orderId = randomUUID();
    const token = 'tok_declined';
    await expect(charge(orderId, { token })).rejects.toMatchObject({ type: 'CardDeclined' });

    await expect(charge(orderId, { token, hoursAgo: 24 })).rejects.toMatchObject({ type: 'CardDeclined' });
  });
});

describe('refundPayment', () => {
  test('refunds the whole amount of a charge', async () => {
    const orderId = randomUUID();
    await charge(orderId);

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
    expect(fakes.records(orderId).refunds).toMatchObject([
      { status: 'refunded', amount: { value: 1999, currency: 'EUR' } },
    ]);
  });

  test('a refund of an order without a charge voids the order, so that a later charge fails permanently', async () => {
    const orderId = randomUUID();

    expect(await refund(orderId)).toEqual({ status: 'voided' });
    await expect(charge(orderId)).rejects.toMatchObject({ type: 'ChargeVoided', nonRetryable: true });
    expect(fakes.records(orderId).charges).toEqual([]);
  });

  test('refunds once when the first response is lost and the gateway no longer has the idempotency key', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    fakes.faults.add({ on: 'refund', orderId, fault: 'lose-response' });
    await expect(refund(orderId)).rejects.toMatchObject({ type: 'PaymentGatewayUnavailable' });
    expireIdempotencyKeys(fakes);

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
    expect(fakes.records(orderId).refunds).toMatchObject([{ status: 'refunded' }]);
  });

  test('refunds a charge whose idempotency key the gateway no longer has', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    expireIdempotencyKeys(fakes);

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
  });

  test('an order stays voided even after the gateway expires its idempotency keys', async () => {
    const orderId = randomUUID();
    expireIdempotencyKeys(fakes);

    expect([await refund(orderId), await refund(orderId)]).toEqual([{ status: 'voided' }, { status: 'voided' }]);
    await expect(charge(orderId)).rejects.toMatchObject({ type: 'ChargeVoided' });
    expect(fakes.records(orderId)).toMatchObject({ charges: [], refunds: [{ status: 'voided' }] });
  });
});
