import { randomUUID } from 'node:crypto';
// The worker loads this package too. It replaces the dispatcher of `fetch`, which then checks headers strictly.
import 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createStripePaymentGateway } from '../../../../src/activities/external/payments/stripe/gateway.js';
import type { ChargedOrder } from '../../../../src/activities/external/payments/stripe/gateway.js';
import type { Money } from '../../../../src/schemas/shared/money.js';
import { runActivity } from '../../../support/workers/activity-environment.js';
import { startFakes, type RunningFakes } from '../../../support/fakes/running-fakes.js';

const total: Money = { value: 1999, currency: 'EUR' };

let fakes: RunningFakes;
beforeAll(async () => {
  fakes = await startFakes();
});
afterAll(async () => {
  await fakes.close();
});
afterEach(() => fakes.faults.clear());

interface Attempt {
  secretKey?: string;
  /** What the shop knows of the order. By default, an order that was just placed. */
  order?: ChargedOrder | undefined;
}

function createGateway({ secretKey = 'sk_test_fake', ...rest }: Attempt = {}) {
  const order = 'order' in rest ? rest.order : { placedAt: new Date(), total };
  const apiUrl = new URL(fakes.paymentsUrl).origin;
  return createStripePaymentGateway({ secretKey, apiUrl, findOrder: async () => order });
}

const charge = (
  orderId: string,
  { amount = total, token = 'pm_card_visa', ...attempt }: Attempt & ChargeOptions = {},
) => runActivity(createGateway(attempt).charge, { orderId, amount, token, placedAt: new Date() });

const refund = (orderId: string, attempt?: Attempt) => runActivity(createGateway(attempt).refund, { orderId });

interface ChargeOptions {
  amount?: Money;
  token?: string;
}

const requestsOf = (orderId: string) =>
  fakes.records(orderId).requests.map(({ path, idempotencyKey }) => [path.replace(/pi_\w+/, '<id>'), idempotencyKey]);

describe('the Stripe adapter', () => {
  test('charges with a PaymentIntent whose keys and metadata contain the order id', async () => {
    const orderId = randomUUID();
    const { chargeId } = await charge(orderId);

    expect(requestsOf(orderId)).toEqual([
      ['/v1/payment_intents', `order:${orderId}:charge`],
      ['/v1/payment_intents/<id>/confirm', `order:${orderId}:charge-confirm:${chargeId}`],
    ]);
    expect(fakes.records(orderId).requests.map(({ body }) => body)).toEqual([
      { amount: '1999', currency: 'eur', metadata: { orderId }, payment_method_types: { 0: 'card' } },
      { payment_method: 'pm_card_visa', error_on_requires_action: 'true' },
    ]);
  });

  test('cancels the PaymentIntent of an order that was not charged', async () => {
    const orderId = randomUUID();

    expect(await refund(orderId)).toEqual({ status: 'voided' });
    expect(requestsOf(orderId).map(([path]) => path)).toEqual([
      '/v1/payment_intents',
      '/v1/payment_intents/<id>/cancel',
    ]);
  });

  test.each([
    ['the creation', 'intent'],
    ['the confirmation', 'charge'],
  ] as const)('uses the next key when Stripe repeats a stored error 500 for %s', async (_call, on) => {
    const orderId = randomUUID();
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      fakes.faults.add({ on, orderId, fault: 'error', status: 500 });
      await expect(charge(orderId)).rejects.toMatchObject({ type: 'PaymentGatewayUnavailable', nonRetryable: false });
    }

    const { chargeId } = await charge(orderId);
    expect(fakes.records(orderId).charges).toMatchObject([{ chargeId, status: 'succeeded' }]);
    expect(await charge(orderId)).toEqual({ chargeId });
    expect(await refund(orderId)).toEqual({ status: 'refunded' });
  });

  test('rejects a charge that is repeated after its refund, although Stripe repeats its answer', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    await refund(orderId);

    await expect(charge(orderId)).rejects.toMatchObject({ type: 'ChargeVoided', nonRetryable: true });
  });

  test('refunds a charge after Stripe has stored a rejection of the refund', async () => {
    const orderId = randomUUID();
    await charge(orderId);
    fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, code: 'balance_insufficient' });
    await expect(refund(orderId)).rejects.toMatchObject({ type: 'RejectedByExternalSystem' });

    expect(await refund(orderId)).toEqual({ status: 'refunded' });
    expect(fakes.records(orderId).refunds).toMatchObject([{ status: 'refunded' }]);
  });

  test('reports a charge as voided when the PaymentIntent is cancelled between creation and confirmation', async () => {
    const orderId = randomUUID();
    const hold = fakes.hold('charge', orderId, { waitBefore: 'effect' });
    const charged = charge(orderId).catch((error: unknown) => error);
    await hold.arrived;
    expect(await refund(orderId)).toEqual({ status: 'voided' });
    await hold.release();

    expect(await charged).toMatchObject({ type: 'ChargeVoided', nonRetryable: true });
  });

  test('refunds a charge that succeeds while the PaymentIntent is being cancelled', async () => {
    const orderId = randomUUID();
    const chargeHold = fakes.hold('charge', orderId, { waitBefore: 'effect' });
    const refundHold = fakes.hold('refund', orderId, { waitBefore: 'effect' });
    const charged = charge(orderId);
    await chargeHold.arrived;
    const refunded = refund(orderId);
    await refundHold.arrived;
    await chargeHold.release();
    await charged;
    await refundHold.release();

    expect(await refunded).toEqual({ status: 'refunded' });
    expect(fakes.records(orderId)).toMatchObject({
      charges: [{ status: 'succeeded' }],
      refunds: [{ status: 'refunded' }],
    });
  });

  test('voids an order whose amount Stripe cannot charge, so that its compensation does not get stuck', async () => {
    const orderId = randomUUID();
    const amount = { value: 5_125, currency: 'KWD' };
    await expect(charge(orderId, { amount })).rejects.toMatchObject({ type: 'RejectedByExternalSystem' });

    expect(await refund(orderId, { order: { placedAt: new Date(), total: amount } })).toEqual({ status: 'voided' });
  });

  test('voids an order whose amount is below the minimum of Stripe', async () => {
    const orderId = randomUUID();
    const amount = { value: 0, currency: 'EUR' };
    await expect(charge(orderId, { amount })).rejects.toMatchObject({ type: 'RejectedByExternalSystem' });

    expect(await refund(orderId, { order: { placedAt: new Date(), total: amount } })).toEqual({ status: 'voided' });
  });

  test('finds the charge of an order that the database no longer has', async () => {
    const orderId = randomUUID();
    await charge(orderId);

    expect(await refund(orderId, { order: undefined })).toEqual({ status: 'refunded' });
  });

  test('voids an order that neither the database nor Stripe has', async () => {
    expect(await refund(randomUUID(), { order: undefined })).toEqual({ status: 'voided' });
  });

  test('reports an invalid key of the account as misconfigured', async () => {
    await expect(charge(randomUUID(), { secretKey: 'wrong' })).rejects.toMatchObject({
      type: 'PaymentGatewayMisconfigured',
      nonRetryable: false,
      nextRetryDelay: 5 * 60_000,
    });
  });

  test('retries when another request with the same key is in progress', async () => {
    const orderId = randomUUID();
    fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 409, code: 'idempotency_key_in_use' });
    await expect(charge(orderId)).rejects.toMatchObject({ type: 'PaymentGatewayUnavailable', nonRetryable: false });
  });

  test('retries when a proxy answers with a page', async () => {
    const orderId = randomUUID();
    fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 502, code: null });
    await expect(charge(orderId)).rejects.toMatchObject({ type: 'PaymentGatewayUnavailable', nonRetryable: false });
  });

  test('treats a request that Stripe rejects as final, without quoting it', async () => {
    const orderId = randomUUID();
    fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 400, code: 'parameter_unknown' });
    await expect(charge(orderId)).rejects.toMatchObject({
      type: 'RejectedByExternalSystem',
      nonRetryable: true,
      message: 'PaymentGateway: parameter_unknown (400)',
    });
  });

  test('reports the message of Stripe for a declined card', async () => {
    await expect(charge(randomUUID(), { token: 'pm_card_chargeDeclined' })).rejects.toMatchObject({
      type: 'CardDeclined',
      message: 'Your card was declined.',
      category: 'BENIGN',
    });
  });
});
