import { sql, type Kysely } from 'kysely';
import type { OrderStatus } from '../schemas/order.js';
import type { PaymentEvent } from '../schemas/payment-event.js';
import { deleteInChunks } from './postgres/delete-in-chunks.js';
import type { Tables } from './tables.js';

/** A reported payment that does not fit the order, or an open dispute. */
export interface UnexpectedPayment {
  type: 'charged' | 'refunded' | 'dispute_opened';
  chargeId: string;
  /** Undefined for a dispute about a charge that no other event reports. */
  orderId?: string;
  /** The status of the order. Undefined if the database does not have the order. */
  orderStatus?: OrderStatus;
}

interface PaymentEventPeriod {
  /** Inclusive, for charges. Refunds and disputes can be older: they are listed while they do not fit. */
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
     *
     * The newest are first. Disputes without an order are last, because another shop may use the same account.
     */
    async listUnexpectedPayments(period: PaymentEventPeriod): Promise<UnexpectedPayment[]> {
      const { receivedFrom, receivedBefore, limit } = period;
      const columns = sql`event.event_id, event.received_at, event.type, event.charge_id`;
      const isClosed = sql`(orders.view is not null or orders.rolled_back_at is not null)`;
      const { rows } = await sql<{
        type: UnexpectedPayment['type'];
        charge_id: string;
        order_id: string | null;
        status: OrderStatus | null;
      }>`
        select type, charge_id, order_id, status
        from (
          select ${columns}, event.order_id, orders.status
          from payment_events event left join orders on orders.order_id = event.order_id
          where event.type = 'charged' and event.received_at >= ${receivedFrom} and event.received_at < ${receivedBefore}
            and (orders.order_id is null or (${isClosed} and orders.status <> 'completed'))
            and not exists (
              select from payment_events refund where refund.charge_id = event.charge_id and refund.type = 'refunded'
            )
          union all
          select ${columns}, event.order_id, orders.status
          from payment_events event join orders on orders.order_id = event.order_id
          where event.type = 'refunded' and event.received_at < ${receivedBefore}
            and (not ${isClosed} or orders.status = 'completed')
          union all
          select ${columns}, payment.order_id, orders.status
          from payment_events event
          left join lateral (
            select order_id from payment_events payment
            where payment.charge_id = event.charge_id and payment.order_id is not null
            limit 1
          ) payment on true
          left join orders on orders.order_id = payment.order_id
          where event.dispute_id is not null and event.type = 'dispute_opened'
            and not exists (
              select from payment_events closing
              where closing.dispute_id = event.dispute_id and closing.type = 'dispute_closed'
            )
        ) unexpected
        group by type, charge_id, order_id, status
        order by order_id is null, max(received_at) desc, max(event_id)
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
