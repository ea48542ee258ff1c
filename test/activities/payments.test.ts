import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createPaymentActivities } from '../../src/activities/payments.js';
import { runActivity } from '../support/temporal/activity-environment.js';
import { stubStockHeldSince, KEY_RETENTION, OWNER_RUN_ID } from '../support/shop/stock-stubs.js';
import { startFakes, type RunningFakes } from '../support/shop/fakes.js';

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
  /** The age of the order in hours. */
  hoursAgo?: number;
}

const createActivitiesForAge = (hoursAgo: number) =>
  createPaymentActivities({
    ...fakes,
    ...KEY_RETENTION,
    store: stubStockHeldSince(new Date(Date.now() - hoursAgo * HOUR_MS)),
  });

function charge(orderId: string, { token = 'tok_ok', value = 1999, hoursAgo = 0 }: ChargeOptions = {}) {
  const { chargePayment } = createActivitiesForAge(hoursAgo);
  return runActivity(chargePayment, { orderId, firstRunId: OWNER_RUN_ID, amount: { value, currency: 'EUR' }, token });
}

function refund(orderId: string) {
  return runActivity(createActivitiesForAge(0).refundPayment, { orderId });
}

/** Makes the gateway expire each idempotency key immediately. */
function expireKeys(): void {
  fakes.idempotencyKeys.retentionSeconds = 0;
  onTestFinished(() => void (fakes.idempotencyKeys.retentionSeconds = null));
}

describe('chargePayment', () => {
  test('charges a good card', async () => {
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
  ])('fails, for the token %s, permanently as %s', async (token, type) => {
    const orderId = randomUUID();

    await expect(charge(orderId, { token })).rejects.toMatchObject({ type, nonRetryable: true, category: 'BENIGN' });
    expect(fakes.records(orderId).charges.filter(({ status }) => status === 'succeeded')).toEqual([]);
  });

  test('fails with a retryable error if the gateway is unavailable', async () => {
    await expect(charge(randomUUID(), { token: 'tok_gateway_down' })).rejects.toMatchObject({
      type: 'PaymentGatewayUnavailable',
      nonRetryable: false,
    });
  });

  test('fails permanently if called again with another amount, which is a bug in the shop', async () => {
    const orderId = randomUUID();
    await charge(orderId);

    await expect(charge(orderId, { value: 5 })).rejects.toMatchObject({
      type: 'RejectedByExternalSystem',
      nonRetryable: true,
    });
    expect(fakes.records(orderId).charges).toMatchObject([{ amount: { value: 1999 } }]);
  });

  test("finds the charge of an order that is older than the gateway's key retention, and charges once", async () => {
    const orderId = randomUUID();
    expireKeys();
    const first = await charge(orderId);

    expect(await charge(orderId, { hoursAgo: 24 })).toEqual(first);
    expect(fakes.records(orderId).charges).toHaveLength(1);
  });

  test('charges an old order that is unknown to the gateway, for example after a long approval', async () => {
    const orderId = randomUUID();
    await charge(orderId, { hoursAgo: 240 });

    expect(fakes.records(orderId).charges).toMatchObject([{ status: 'succeeded' }]);
  });

  test.each([
    [0, false],
    [23, false],
    // Allows for clock differences and the duration of the call.
    [23.9, true],
    [24, true],
    [8_760, true],
  ])('looks up an order placed %s h ago: %s', async (hoursAgo, isLookedUp) => {
    const orderId = randomUUID();
    fakes.faults.add({ on: 'payment', orderId, fault: 'unreachable' });
    onTestFinished(() => fakes.faults.clear());

    const charged = charge(orderId, { hoursAgo }).then(
      () => false,
      () => true,
    );

    expect(await charged).toBe(isLookedUp);
  });

  test("uses the Temporal server's clock if it is ahead", async () => {
    const orderId = randomUUID();
    expireKeys();
    await charge(orderId);
    const env = new MockActivityEnvironment({ currentAttemptScheduledTimestampMs: Date.now() + 25 * HOUR_MS });

    await runActivity(
      createActivitiesForAge(0).chargePayment,
      { orderId, firstRunId: OWNER_RUN_ID, amount: { value: 1999, currency: 'EUR' }, token: 'tok_ok' },
      env,
    );
    expect(fakes.records(orderId).charges).toHaveLength(1);
  });

  test('fails if the charge that it finds has another amount', async () => {
    const orderId = randomUUID();
    await charge(orderId, { value: 5 });

    await expect(charge(orderId, { hoursAgo: 24 })).rejects.toMatchObject({
      type: 'RejectedByExternalSystem',
      nonRetryable: true,
    });
  });

  test('fails as ChargeVoided if the order that it finds was refunded', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    await refund(orderId);
    expireKeys();

    await expect(charge(orderId, { hoursAgo: 24 })).rejects.toMatchObject({ type: 'ChargeVoided', nonRetryable: true });
    expect(fakes.records(orderId).charges).toHaveLength(1);
  });

  test('calls the gateway again for a repeated declined charge', async () => {
    const orderId = randomUUID();
    const token = 'tok_declined';
    await expect(charge(orderId, { token })).rejects.toMatchObject({ type: 'CardDeclined' });

    await expect(charge(orderId, { token, hoursAgo: 24 })).rejects.toMatchObject({ type: 'CardDeclined' });
  });
});

describe('refundPayment', () => {
  test('refunds the whole charge', async () => {
    const orderId = randomUUID();
    await charge(orderId);

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
    expect(fakes.records(orderId).refunds).toMatchObject([
      { status: 'refunded', amount: { value: 1999, currency: 'EUR' } },
    ]);
  });

  test('voids an order without a charge, so that a later charge fails permanently', async () => {
    const orderId = randomUUID();

    expect(await refund(orderId)).toEqual({ status: 'voided' });
    await expect(charge(orderId)).rejects.toMatchObject({ type: 'ChargeVoided', nonRetryable: true });
    expect(fakes.records(orderId).charges).toEqual([]);
  });

  test('refunds once if the gateway forgot the key of a refund whose response was lost', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    fakes.faults.add({ on: 'refund', orderId, fault: 'lose-response' });
    await expect(refund(orderId)).rejects.toMatchObject({ type: 'PaymentGatewayUnavailable' });
    expireKeys();

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
    expect(fakes.records(orderId).refunds).toMatchObject([{ status: 'refunded' }]);
  });

  test('refunds a charge whose key the gateway forgot', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    expireKeys();

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
  });

  test('voids an order permanently, even if the gateway expires its keys', async () => {
    const orderId = randomUUID();
    expireKeys();

    expect([await refund(orderId), await refund(orderId)]).toEqual([{ status: 'voided' }, { status: 'voided' }]);
    await expect(charge(orderId)).rejects.toMatchObject({ type: 'ChargeVoided' });
    expect(fakes.records(orderId)).toMatchObject({ charges: [], refunds: [{ status: 'voided' }] });
  });
});
