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
