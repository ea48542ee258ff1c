import { ApplicationFailure } from '@temporalio/common';
import { minorUnitDigits, type Money } from '../../../../schemas/shared/money.js';

/**
 * Currencies whose minor unit at Stripe differs from ISO 4217 (https://docs.stripe.com/currencies#special-cases).
 * Stripe counts whole units of MGA, and hundredths of ISK and UGX.
 */
const STRIPE_DIGITS: Readonly<Record<string, number>> = { MGA: 0, ISK: 2, UGX: 2 };

/** An amount in the form that Stripe expects. */
export interface StripeAmount {
  amount: number;
  /** In lower case. */
  currency: string;
}

/**
 * Converts an amount for Stripe.
 *
 * @throws `RejectedByExternalSystem` for an amount that Stripe cannot charge exactly: a fraction of MGA, or three
 * decimals of which the last is not 0.
 */
export function toStripeAmount({ value, currency }: Money): StripeAmount {
  const digits = STRIPE_DIGITS[currency] ?? minorUnitDigits(currency);
  const amount = value * 10 ** (digits - minorUnitDigits(currency));
  const isExact = Number.isSafeInteger(amount) && (digits !== 3 || amount % 10 === 0);
  if (!isExact)
    throw ApplicationFailure.nonRetryable(
      `Stripe cannot charge ${value} minor units of ${currency} exactly`,
      'RejectedByExternalSystem',
    );
  return { amount, currency: currency.toLowerCase() };
}

/** Converts an amount of Stripe to minor units of ISO 4217. */
export function fromStripeAmount({ amount, currency }: StripeAmount): Money {
  const code = currency.toUpperCase();
  const digits = STRIPE_DIGITS[code] ?? minorUnitDigits(code);
  return { value: Math.round(amount * 10 ** (minorUnitDigits(code) - digits)), currency: code };
}
