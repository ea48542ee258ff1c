import { z } from 'zod';
import type { ApprovalStatus } from './approval.js';
import type { OrderStatus } from './order.js';
import type { Money } from './shared/money.js';

export const reportInput = z
  .strictObject({
    /** The number of days before today, 7 by default. */
    days: z.int().min(1).max(31).optional(),
  })
  .optional();
export type ReportInput = z.infer<typeof reportInput>;

/** The figures of one day in UTC. */
export interface DailyReport {
  /** `2026-11-29` */
  day: string;
  /** The orders that were placed on this day, by their status when the report was written. */
  orders: Partial<Record<OrderStatus, number>>;
  /** The totals of the completed orders among them, one amount per currency. */
  revenue: Money[];
  /** The approvals that were requested on this day, by their status when the report was written. */
  approvals: Partial<Record<ApprovalStatus, number>>;
  /** The batches that were uploaded on this day. */
  batches: { uploaded: number; succeededItems: number; failedItems: number };
}
