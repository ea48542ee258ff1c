import { sql, type Kysely } from 'kysely';
import type { OrderStatus } from '../schemas/order.js';
import type { PaymentEvent } from '../schemas/payment-event.js';
import { deleteInChunks } from './postgres/delete-in-chunks.js';
import type { Tables } from './tables.js';

/** A reported payment that does not fit the order, or an open dispute. */
export interface UnexpectedPayment {
  type: 'charged' | 'refunded' | 'dispute_opened';
  chargeId: string;
  /** Undefined for a dispute, whose event names only the charge. */
  orderId?: string;
  /** The status of the order. Undefined if the database does not have the order. */
  orderStatus?: OrderStatus;
}

interface PaymentEventPeriod {
  /** Inclusive. Disputes are listed until they are closed, so they can be older. */
  receivedFrom: Date;
  /** Exclusive. */
  receivedBefore: Date;
  limit: number;
}

export function createPaymentEventStore(db: Kysely<Tables>) {
  return {
    /** @returns false when an event with this id is already recorded. */
    async recordPaymentEvent({ eventId, type, chargeId, orderId, disputeId }: PaymentEvent): Promise<boolean> {
      const inserted = await db
        .insertInto('payment_events')
        .values({
          event_id: eventId,
          type,
          charge_id: chargeId,
          order_id: orderId ?? null,
          dispute_id: disputeId ?? null,
        })
        .onConflict((conflict) => conflict.column('event_id').doNothing())
        .returning('event_id')
        .executeTakeFirst();
      return inserted !== undefined;
    },

    /**
     * Lists the charges of orders that are unknown or ended without success and that no event refunds, the refunds of
     * orders that are open or completed, and the open disputes. Events arrive in any order, so a dispute is closed as
     * soon as one of its events says so.
     */
    async listUnexpectedPayments(period: PaymentEventPeriod): Promise<UnexpectedPayment[]> {
      const { receivedFrom, receivedBefore, limit } = period;
      const isInPeriod = sql`event.received_at >= ${receivedFrom} and event.received_at < ${receivedBefore}`;
      const isClosed = sql`(orders.view is not null or orders.rolled_back_at is not null)`;
      const { rows } = await sql<{
        type: UnexpectedPayment['type'];
        charge_id: string;
        order_id: string | null;
        status: OrderStatus | null;
      }>`
        select event.type, event.charge_id, event.order_id, orders.status
        from payment_events event left join orders on orders.order_id = event.order_id
        where event.type = 'charged' and ${isInPeriod}
          and (orders.order_id is null or (${isClosed} and orders.status <> 'completed'))
          and not exists (
            select from payment_events refund where refund.charge_id = event.charge_id and refund.type = 'refunded'
          )
        union
        select event.type, event.charge_id, event.order_id, orders.status
        from payment_events event join orders on orders.order_id = event.order_id
        where event.type = 'refunded' and ${isInPeriod} and (not ${isClosed} or orders.status = 'completed')
        union
        select event.type, event.charge_id, null, null
        from payment_events event
        where event.dispute_id is not null and event.type = 'dispute_opened'
          and not exists (
            select from payment_events closing
            where closing.dispute_id = event.dispute_id and closing.type = 'dispute_closed'
          )
        limit ${limit}`.execute(db);
      return rows.map(({ type, charge_id: chargeId, order_id: orderId, status }) => ({
        type,
        chargeId,
        ...(orderId !== null && { orderId }),
        ...(status !== null && { orderStatus: status }),
      }));
    },

    /** Deletes the events that were received before this time. @returns the number of deleted events. */
    async deletePaymentEvents(before: Date, cancellation?: AbortSignal): Promise<number> {
      return await deleteInChunks(async (limit) => {
        const { numDeletedRows } = await db
          .deleteFrom('payment_events')
          .where('event_id', 'in', (old) =>
            old.selectFrom('payment_events').select('event_id').where('received_at', '<', before).limit(limit),
          )
          .executeTakeFirst();
        return numDeletedRows;
      }, cancellation);
    },
  };
}
