import { z } from 'zod';

export const money = z
  .strictObject({
    value: z
      .int()
      .min(0)
      .meta({ examples: [1999] }),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code')
      .meta({ description: 'An ISO 4217 code.', examples: ['EUR'] }),
  })
  .meta({
    id: 'Money',
    description: 'An amount in minor units (cents), never a fraction: 1999 EUR is nineteen euros ninety-nine.',
  });

export type Money = z.infer<typeof money>;

/** An amount as people write it. Currencies differ in their digits; the runtime knows them. */
export function shownMoney({ value, currency }: Money): string {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency });
  return format.format(value / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}
