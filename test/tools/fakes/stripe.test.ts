import Stripe from 'stripe';
import { describe, expect, test } from 'vitest';
import { makeLedgerPath, newOrderId, startFakesWithClient } from '../../support/fakes/fakes-client.js';

type RunningFakes = Awaited<ReturnType<typeof startFakesWithClient>>;

function createStripe({ base }: Pick<RunningFakes, 'base'>, key = 'sk_test_fake'): Stripe {
  const { hostname: host, port } = new URL(base);
  return new Stripe(key, { host, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
}

const makeIntent = (orderId: string) => ({
  amount: 1999,
  currency: 'eur',
  payment_method_types: ['card'],
  metadata: { orderId },
});

async function createIntent(stripe: Stripe, orderId: string, key = `${orderId}/intent`): Promise<string> {
  const { id } = await stripe.paymentIntents.create(makeIntent(orderId), { idempotencyKey: key });
  return id;
}

const payWith = (payment_method: string) => ({ payment_method });

describe('the fake Stripe', () => {
  test('records a confirmed PaymentIntent as a charge that the plain calls find too', async () => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const orderId = newOrderId();
    const id = await createIntent(stripe, orderId);
    expect(fakes.records(orderId).charges).toEqual([]);

    expect(await stripe.paymentIntents.confirm(id, payWith('tok_ok-7'))).toMatchObject({ id, status: 'succeeded' });
    expect((await fakes.payment(orderId)).body).toMatchObject({
      charge: { chargeId: id, status: 'succeeded', amount: { value: 1999, currency: 'EUR' } },
      refund: null,
    });
  });

  test('returns the first response for a repeated key, and an idempotency error for other parameters', async () => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const orderId = newOrderId();
    const id = await createIntent(stripe, orderId);
    await stripe.paymentIntents.confirm(id, payWith('tok_ok'));
    const repeated = await stripe.paymentIntents.create(makeIntent(orderId), { idempotencyKey: `${orderId}/intent` });

    expect(repeated).toMatchObject({ id, status: 'requires_payment_method' });
    expect(repeated.lastResponse.headers['idempotent-replayed']).toBe('true');
    const other = { ...makeIntent(orderId), amount: 5 };
    await expect(stripe.paymentIntents.create(other, { idempotencyKey: `${orderId}/intent` })).rejects.toBeInstanceOf(
      Stripe.errors.StripeIdempotencyError,
    );
  });

  test('creates another PaymentIntent when the key has expired', async () => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const orderId = newOrderId();
    const first = await createIntent(stripe, orderId);
    fakes.idempotencyKeys.expire(orderId);
    const second = await createIntent(stripe, orderId);

    const { data } = await stripe.paymentIntents.search({ query: `metadata["orderId"]:"${orderId}"` });
    expect(data.map(({ id }) => id)).toEqual([second, first]);
  });

  test.each([
    ['tok_declined', 'generic_decline'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
  ])('declines %s with the decline code %s', async (method, code) => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const id = await createIntent(stripe, newOrderId());

    await expect(stripe.paymentIntents.confirm(id, payWith(method))).rejects.toMatchObject({
      type: 'StripeCardError',
      code: 'card_declined',
      decline_code: code,
    });
  });

  test('rejects the confirmation of a cancelled PaymentIntent, and the cancellation of a succeeded one', async () => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const orderId = newOrderId();
    const cancelled = await createIntent(stripe, orderId);
    const succeeded = await createIntent(stripe, orderId, 'another key');
    await stripe.paymentIntents.cancel(cancelled);
    await stripe.paymentIntents.confirm(succeeded, payWith('tok_ok'));
    const conflict = { code: 'payment_intent_unexpected_state' };

    await expect(stripe.paymentIntents.confirm(cancelled, payWith('tok_ok'))).rejects.toMatchObject(conflict);
    await expect(stripe.paymentIntents.cancel(succeeded)).rejects.toMatchObject(conflict);
    expect(fakes.records(orderId)).toMatchObject({
      charges: [{ chargeId: succeeded, status: 'succeeded' }],
      refunds: [{ status: 'voided' }],
    });
  });

  test('refunds a PaymentIntent once, and shows the refund in its charge', async () => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const orderId = newOrderId();
    const id = await createIntent(stripe, orderId);
    await stripe.paymentIntents.confirm(id, payWith('tok_ok'));
    await stripe.refunds.create({ payment_intent: id });

    await expect(stripe.refunds.create({ payment_intent: id })).rejects.toMatchObject({
      code: 'charge_already_refunded',
    });
    const { latest_charge: charge } = await stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] });
    expect(charge).toMatchObject({ refunded: true, amount_refunded: 1999 });
    expect(fakes.records(orderId).refunds).toMatchObject([{ status: 'refunded', amount: { value: 1999 } }]);
  });

  test('keeps PaymentIntents and their states over a restart', async () => {
    const ledgerFile = makeLedgerPath();
    const orderId = newOrderId();
    const first = await startFakesWithClient({ ledgerFile });
    const id = await createIntent(createStripe(first), orderId);
    await createStripe(first).paymentIntents.cancel(id);
    await first.close();

    const stripe = createStripe(await startFakesWithClient({ ledgerFile }));
    expect(await stripe.paymentIntents.retrieve(id)).toMatchObject({ status: 'canceled', metadata: { orderId } });
  });

  test('lists the PaymentIntents of a period in pages, newest first', async () => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const ids = [];
    for (let number = 0; number < 5; number += 1) ids.push(await createIntent(stripe, newOrderId()));
    const listed = [];
    for await (const { id } of stripe.paymentIntents.list({ limit: 2, created: { gte: 0 } })) listed.push(id);

    expect(listed).toEqual(ids.toReversed());
    expect((await stripe.paymentIntents.list({ created: { lt: 1 } })).data).toEqual([]);
  });

  test('repeats an injected error 500 for the same key', async () => {
    const fakes = await startFakesWithClient();
    const stripe = createStripe(fakes);
    const orderId = newOrderId();
    fakes.faults.add({ on: 'intent', orderId, fault: 'error', status: 500 });

    await expect(createIntent(stripe, orderId)).rejects.toMatchObject({ statusCode: 500 });
    await expect(createIntent(stripe, orderId)).rejects.toMatchObject({
      statusCode: 500,
      headers: { 'idempotent-replayed': 'true' },
    });
    expect(await createIntent(stripe, orderId, 'another key')).toMatch(/^pi_/);
  });

  test('rejects a call without a key of the test mode', async () => {
    const fakes = await startFakesWithClient();
    await expect(createIntent(createStripe(fakes, 'sk_live_1'), newOrderId())).rejects.toBeInstanceOf(
      Stripe.errors.StripeAuthenticationError,
    );
  });
});
