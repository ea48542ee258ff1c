import { z } from 'zod';

const amountSchema = z.strictObject({ value: z.int().positive(), currency: z.string().regex(/^[A-Z]{3}$/) });

export const chargeSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  amount: amountSchema,
  token: z.string().min(1).max(200),
});

export const refundSchema = z.strictObject({ orderId: z.string().min(1).max(200) });

export type Amount = z.infer<typeof amountSchema>;
export type ChargeRequest = z.infer<typeof chargeSchema>;
export type RefundRequest = z.infer<typeof refundSchema>;
