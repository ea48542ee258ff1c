import { z } from 'zod';

const amountSchema = z.strictObject({ value: z.int().positive(), currency: z.string().regex(/^[A-Z]{3}$/) });

export const chargeSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  amount: amountSchema,
  token: z.string().min(1).max(200),
});

export const refundSchema = z.strictObject({ orderId: z.string().min(1).max(200) });

export const chargeListSchema = z.strictObject({
  createdFrom: z.iso.datetime(),
  createdBefore: z.iso.datetime(),
  limit: z.coerce.number().int().min(1).max(100),
  after: z.string().optional(),
});

export const shipmentSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  lines: z.array(z.strictObject({ sku: z.string().min(1).max(200), quantity: z.int().positive() })).min(1),
});

export const cancellationSchema = z.strictObject({ orderId: z.string().min(1).max(200) });

export const reportedStatusSchema = z.enum(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled']);

export type Amount = z.infer<typeof amountSchema>;
export type ChargeRequest = z.infer<typeof chargeSchema>;
export type ChargeListRequest = z.infer<typeof chargeListSchema>;
export type RefundRequest = z.infer<typeof refundSchema>;
export type ShipmentRequest = z.infer<typeof shipmentSchema>;
export type CancellationRequest = z.infer<typeof cancellationSchema>;
export type ReportedStatus = z.infer<typeof reportedStatusSchema>;
