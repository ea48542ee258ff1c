import { z } from 'zod';

/** An amount in minor units (cents), never a fraction: 1999 EUR is nineteen euros ninety-nine. */
export const money = z.strictObject({
  value: z.int().min(0),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code'),
});

export type Money = z.infer<typeof money>;
