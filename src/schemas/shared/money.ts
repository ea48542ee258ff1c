import * as currencies from 'dinero.js/currencies';
import { z } from 'zod';

/**
 * The number of digits of the minor unit, by ISO 4217 code. Excludes codes without a minor unit (gold, `XXX`). The
 * library uses base 5 for MGA and MRU; these currencies get two digits here, as in ISO 4217.
 */
const MINOR_UNIT_DIGITS: ReadonlyMap<string, number> = new Map(
  Object.values(currencies).map(({ code, base, exponent }) => [code, base === 10 ? exponent : 2]),
);

export const money = z
  .strictObject({
    value: z
      .int()
      .min(0)
      .meta({ examples: [1999] }),
    currency: z
      .enum([...MINOR_UNIT_DIGITS.keys()], 'must be the ISO 4217 code of a currency with a minor unit, such as EUR')
      .meta({ id: 'Currency', description: 'An ISO 4217 currency code.', examples: ['EUR'] }),
  })
  .meta({
    id: 'Money',
    description: 'An amount in minor units such as cents: 1999 EUR is 19.99 euros.',
  });

export type Money = z.infer<typeof money>;

/** Returns the number of digits of the minor unit in ISO 4217: 2 for EUR, 0 for JPY. Also 2 for an unknown code. */
export const minorUnitDigits = (currency: string): number => MINOR_UNIT_DIGITS.get(currency) ?? 2;

/**
 * Formats an amount for people: `HUF 12,500.00`. Uses the digits of ISO 4217. `Intl` uses display digits, which are 0
 * for HUF.
 */
export function formatMoney({ value, currency }: Money): string {
  const digits = MINOR_UNIT_DIGITS.get(currency)!;
  const format = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  // Formats a decimal text, because a division is not exact.
  return format.format(`${value}E-${digits}` as Intl.StringNumericLiteral);
}

/** Formats the number of an amount without its currency, for a form field: `12500.00`. */
export function formatAmount({ value, currency }: Money): string {
  const digits = MINOR_UNIT_DIGITS.get(currency) ?? 0;
  const padded = String(value).padStart(digits + 1, '0');
  return digits === 0 ? padded : `${padded.slice(0, -digits)}.${padded.slice(-digits)}`;
}

/** Parses the number of an amount. @returns minor units; undefined if the text is not an exact amount. */
export function parseAmount(text: string, currency: string): number | undefined {
  const digits = MINOR_UNIT_DIGITS.get(currency);
  const [, whole, fraction = ''] = /^(\d{1,13})(?:\.(\d+))?$/.exec(text.trim()) ?? [];
  if (whole === undefined || digits === undefined || fraction.length > digits) return undefined;
  const value = Number(whole + fraction.padEnd(digits, '0'));
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Returns the message for a total that differs from the total that the customer saw. */
export const totalMismatchText = (total: Money, expectedTotal: Money): string =>
  `the total is ${formatMoney(total)}, but the expected total is ${formatMoney(expectedTotal)}`;
