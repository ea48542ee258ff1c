import { sql, type Selectable } from 'kysely';
import type { Money } from '../../schemas/shared/money.js';
import type { Tables } from '../tables.js';

export type OrderRow = Selectable<Tables['orders']>;

/**
 * When an order was placed, as text for a cursor. PostgreSQL timestamps have microsecond precision, but JavaScript dates
 * have millisecond precision.
 */
export const placedAtText = sql<string>`to_char(placed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export interface OrderIdentity {
  orderId: string;
  /** The first run id of the order's execution. Another execution with the same order id is rejected. */
  firstRunId: string;
}

/** An order before its stock is reserved. */
export interface NewOrder extends OrderIdentity {
  placedAt: Date;
  customerId: string;
  contentHash: string;
}

/** Returns the total of an order, or undefined when the order ended before it was priced. */
export function toTotal({
  total_value: value,
  total_currency: currency,
}: Pick<OrderRow, 'total_value' | 'total_currency'>): Money | undefined {
  return value === null || currency === null ? undefined : { value: Number(value), currency };
}
