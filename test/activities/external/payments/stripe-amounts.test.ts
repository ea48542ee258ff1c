import { describe, expect, test } from 'vitest';
import { fromStripeAmount, toStripeAmount } from '../../../../src/activities/external/payments/stripe/amounts.js';

/** From https://docs.stripe.com/currencies: whole units, without decimals. */
const ZERO_DECIMAL = 'BIF CLP DJF GNF JPY KMF KRW PYG RWF VND VUV XAF XOF XPF'.split(' ');

describe('the amounts of Stripe', () => {
  test.each<[string, number, number]>([
    ['EUR', 1999, 1999],
    ['HUF', 1_250_000, 1_250_000],
    ['TWD', 45_000, 45_000],
    ...ZERO_DECIMAL.map((currency): [string, number, number] => [currency, 500, 500]),
    // ISO 4217 has no decimals for these two, and Stripe has two.
    ['ISK', 5, 500],
    ['UGX', 5, 500],
    // ISO 4217 has two decimals, and Stripe has none.
    ['MGA', 500, 5],
    ['KWD', 5_120, 5_120],
  ])('%s: converts %i minor units to %i, and back', (currency, value, amount) => {
    const converted = toStripeAmount({ value, currency });

    expect(converted).toEqual({ amount, currency: currency.toLowerCase() });
    expect(fromStripeAmount(converted)).toEqual({ value, currency });
  });

  test.each<[string, number]>([
    ['MGA', 501],
    ['KWD', 5_125],
    ['ISK', Number.MAX_SAFE_INTEGER],
  ])('%s: rejects %i minor units, which Stripe cannot charge exactly', (currency, value) => {
    expect(() => toStripeAmount({ value, currency })).toThrow(
      expect.objectContaining({ type: 'RejectedByExternalSystem', nonRetryable: true }),
    );
  });
});
