import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createPlainPaymentGateway } from '../../../src/activities/external/payments/plain.js';
import { runCase } from '../../../tools/contract/contract-case.js';
import { paymentCases } from '../../../tools/contract/payments/cases.js';
import { choosePaymentPartner } from '../../../tools/contract/payments/choose-partner.js';
import { stripeEvents } from '../../../tools/contract/payments/stripe-events.js';
import { startFakeStripe, startPlainPartner } from '../../../tools/contract/payments/fake-partners.js';
import type { PaymentPartner } from '../../../tools/contract/payments/partner.js';

let partner: PaymentPartner;
beforeAll(async () => {
  partner = await startPlainPartner();
});
afterAll(async () => {
  await partner.close?.();
});

const caseNamed = (title: string) => paymentCases.find((contractCase) => contractCase.title === title)!;
const resultOf = (title: string, changes: Partial<PaymentPartner>) =>
  runCase(caseNamed(title), { ...partner, ...changes });

describe('the contract suite of payments', () => {
  test('reports an adapter that charges again when the provider has forgotten the key', async () => {
    const createGateway: PaymentPartner['createGateway'] = (orders) => ({
      ...partner.createGateway(orders),
      charge: (request) => partner.createGateway(orders).charge({ ...request, placedAt: new Date() }),
    });

    expect(
      await resultOf('charges an order once when the order is older than the retention of keys', { createGateway }),
    ).toMatchObject({ outcome: 'broken' });
  });

  test('reports an adapter that returns an answer without checking it', async () => {
    const createGateway: PaymentPartner['createGateway'] = (orders) => ({
      ...partner.createGateway(orders),
      charge: (request) =>
        partner
          .createGateway(orders)
          .charge(request)
          .catch(() => ({ chargeId: 'unknown' })),
    });

    expect(await resultOf('repeats a charge whose response has an unknown format', { createGateway })).toMatchObject({
      outcome: 'broken',
      error: { message: expect.stringContaining('PaymentGatewayUnavailable') },
    });
  });

  test('reports an adapter with a wrong address as broken', async () => {
    const createGateway = () => createPlainPaymentGateway({ url: 'http://127.0.0.1:1', keyRetentionHours: 24 });

    expect(await resultOf('charges an order once when the charge is repeated', { createGateway })).toMatchObject({
      outcome: 'broken',
      error: { type: 'PaymentGatewayUnavailable' },
    });
  });

  test('reports the cases that a partner cannot provoke as not tried, with the reason', async () => {
    const { name, createGateway, amount } = partner;
    const sandbox: PaymentPartner = { name, createGateway, amount, cards: { accepted: 'tok_ok' } };
    const results = await Promise.all(
      paymentCases
        .filter((contractCase) => contractCase.missing(sandbox) !== undefined)
        .map((contractCase) => runCase(contractCase, sandbox)),
    );

    expect(results.every(({ outcome }) => outcome === 'not tried')).toBe(true);
    expect(await runCase(caseNamed('keeps a void after the retention of keys'), sandbox)).toEqual({
      title: 'keeps a void after the retention of keys',
      outcome: 'not tried',
      reason: 'the partner cannot expire idempotency keys',
    });
  });

  test('reports a case that does not end within the time limit as broken, with the limit', async () => {
    const createGateway: PaymentPartner['createGateway'] = (orders) => ({
      ...partner.createGateway(orders),
      charge: () => new Promise<never>(() => undefined),
    });

    expect(
      await resultOf('charges an order once when the charge is repeated', { createGateway, caseTimeLimitMs: 50 }),
    ).toMatchObject({ outcome: 'broken', error: { message: 'the case did not end within 0.05 s' } });
  });

  test('reports a receiver of events that checks no signature', async () => {
    const receiver = { receive: () => 'recorded' as const, recorded: () => [] };
    const events = { ...stripeEvents, createReceiver: async () => receiver };

    expect(await resultOf('rejects an event with the secret of another account', { events })).toMatchObject({
      outcome: 'broken',
    });
    expect(await resultOf('rejects a signed body that is not an event', { events })).toMatchObject({
      outcome: 'broken',
    });
  });

  test.each([
    ['finds the order of a charge, for disputes', undefined],
    ['finds no order of a charge that the provider does not have', 'order-1001'],
  ])('reports an adapter that finds the wrong order: %s', async (title, found) => {
    const stripe = await startFakeStripe();
    onTestFinished(() => stripe.close?.());
    const createGateway: PaymentPartner['createGateway'] = (orders) => ({
      ...stripe.createGateway(orders),
      findOrderId: async () => found,
    });

    expect(await runCase(caseNamed(title), { ...stripe, createGateway })).toMatchObject({ outcome: 'broken' });
    expect(await runCase(caseNamed(title), partner)).toMatchObject({
      outcome: 'not tried',
      reason: 'the partner cannot find the order of a charge',
    });
  });

  test('rejects a URL of Stripe with a path, which the package of Stripe would ignore', async () => {
    const env = { PAYMENTS: 'stripe', STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_API_URL: 'http://127.0.0.1:1/proxy' };
    await expect(choosePaymentPartner(env)).rejects.toThrow('STRIPE_API_URL: must have no path');
  });

  test('counts the money with the list of charges when the partner cannot count it', async () => {
    const { countEffects: _, ...sandbox } = partner;
    expect(await runCase(caseNamed('refunds a charge once when the refund is repeated'), sandbox)).toMatchObject({
      outcome: 'kept',
    });
  });
});
