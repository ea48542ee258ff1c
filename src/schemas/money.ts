import * as currencies from 'dinero.js/currencies';
import { z } from 'zod';

/**
 * Digits of the minor unit by ISO 4217 code. Codes without a minor unit (gold, `XXX`) are not in the list.
 *
 * The library counts fifths for MGA and MRU; ISO 4217 assigns two digits to both.
 */
const DIGITS: ReadonlyMap<string, number> = new Map(
  Object.values(currencies).map(({ code, base, exponent }) => [code, base === 10 ? exponent : 2]),
);

export const money = z
  .strictObject({
    value: z
      .int()
      .min(0)
      .meta({ examples: [1999] }),
    currency: z
      .enum([...DIGITS.keys()], 'must be the ISO 4217 code of a currency with a minor unit, such as EUR')
      .meta({ id: 'Currency', description: 'An ISO 4217 code.', examples: ['EUR'] }),
  })
  .meta({
    id: 'Money',
    description: 'An amount in minor units (cents), never a fraction: 1999 EUR is nineteen euros ninety-nine.',
  });

export type Money = z.infer<typeof money>;

/**
 * An amount as people write it: `HUF 12,500.00`. Its digits come from ISO 4217: the runtime has the digits that shops
 * display, which are none for HUF.
 */
export function shownMoney({ value, currency }: Money): string {
  const digits = DIGITS.get(currency)!;
  const format = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  // A decimal text stays exact; a division does not.
  return format.format(`${value}E-${digits}` as Intl.StringNumericLiteral);
}
