import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPaymentActivities } from '../../src/activities/payments.js';
import { runActivity } from '../support/activity-environment.js';
import { heldStock, owner } from '../support/held-stock.js';
import { startOutsideWorld, type OutsideWorld } from '../support/outside-world.js';

let outside: OutsideWorld;
beforeAll(async () => {
  outside = await startOutsideWorld();
});
afterAll(async () => {
  await outside.close();
});

function charge(orderId: string, { token = 'tok_ok', value = 1999 } = {}) {
  const { chargePayment } = createPaymentActivities({ ...outside, store: heldStock });
  return runActivity(chargePayment, { orderId, owner, amount: { value, currency: 'EUR' }, token });
}

function refund(orderId: string) {
  return runActivity(createPaymentActivities({ ...outside, store: heldStock }).refundPayment, { orderId });
}

describe('chargePayment', () => {
  test('when the card is good, then the money is taken', async () => {
    const orderId = randomUUID();
    const { chargeId } = await charge(orderId);

    expect(outside.statement(orderId).charges).toMatchObject([
      { chargeId, status: 'succeeded', amount: { value: 1999, currency: 'EUR' } },
    ]);
  });

  test.each([
    ['tok_declined', 'CardDeclined'],
    ['tok_insufficient_funds', 'InsufficientFunds'],
    ['tok_of_nobody', 'CardDeclined'],
  ])('when the token is %s, then it fails as %s, for good', async (token, type) => {
    const orderId = randomUUID();

    await expect(charge(orderId, { token })).rejects.toMatchObject({ type, nonRetryable: true, category: 'BENIGN' });
    expect(outside.statement(orderId).charges.filter(({ status }) => status === 'succeeded')).toEqual([]);
  });

  test('when the gateway is away, then it can be retried', async () => {
    await expect(charge(randomUUID(), { token: 'tok_gateway_down' })).rejects.toMatchObject({
      type: 'PaymentGatewayUnavailable',
      nonRetryable: false,
    });
  });

  test('when it is called again for another amount, then that is a bug of ours and final', async () => {
    const orderId = randomUUID();
    await charge(orderId);

    await expect(charge(orderId, { value: 5 })).rejects.toMatchObject({ type: 'RefusedByOutside', nonRetryable: true });
    expect(outside.statement(orderId).charges).toMatchObject([{ amount: { value: 1999 } }]);
  });
});

describe('refundPayment', () => {
  test('when the money was taken, then all of it is given back', async () => {
    const orderId = randomUUID();
    await charge(orderId);

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
    expect(outside.statement(orderId).refunds).toMatchObject([
      { chargeKey: `order:${orderId}:charge`, amount: { value: 1999, currency: 'EUR' } },
    ]);
  });

  test('when it never was, then a charge that comes later is refused, for good', async () => {
    const orderId = randomUUID();

    expect(await refund(orderId)).toEqual({ status: 'voided' });
    await expect(charge(orderId)).rejects.toMatchObject({ type: 'ChargeVoided', nonRetryable: true });
    expect(outside.statement(orderId).charges).toEqual([]);
  });
});
