import { z } from 'zod';

/** An amount in minor units (cents), never a fraction: 1999 EUR is nineteen euros ninety-nine. */
export const money = z.strictObject({
  value: z.int().min(0),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code'),
});

export type Money = z.infer<typeof money>;

/** An amount as people write it. Currencies differ in their digits; the runtime knows them. */
export function shownMoney({ value, currency }: Money): string {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency });
  return format.format(value / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}
