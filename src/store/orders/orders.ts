import { sql, type Kysely } from 'kysely';
import type { OrderStage, OrderStatus, OrderView, PricedLine } from '../../schemas/order.js';
import type { Money } from '../../schemas/shared/money.js';
import type { Tables } from '../tables.js';
import { placedAtText, toTotal, type OrderIdentity, type NewOrder, type OrderRow } from './order-row.js';
import { releaseReservation, type FinalReservation } from './reservations.js';

interface OrderBase extends OrderIdentity {
  /** Missing when the personal data of the order was erased. */
  customerId?: string;
  status: OrderStatus;
  total?: Money;
  placedAt: Date;
  /** When the workflow closed the order, or when the Temporal server ended the workflow. */
  closedAt?: Date;
}

export interface OrderRecord extends OrderBase {
  stage: OrderStage;
  lines?: PricedLine[];
  contentHash: string;
  /**
   * The final view and the run that recorded it. Undefined while the order is open, and when the Temporal server ended
   * the workflow.
   */
  outcome?: { view: OrderView; runId: string };
  /** When the reconciliation rolled the order back, because its workflow had ended without an outcome. */
  rolledBackAt?: Date;
}

export interface ListedOrder extends OrderBase {
  lineCount?: number;
  /** False for an open order, and when the Temporal server ended the workflow. */
  isClosedByWorkflow: boolean;
}

export interface OrderFilter {
  status?: OrderStatus | undefined;
  customerId?: string | undefined;
  /** Only orders whose id starts with this text. */
  orderIdPrefix?: string | undefined;
  /** Inclusive. */
  placedFrom?: Date | undefined;
  /** Exclusive. */
  placedBefore?: Date | undefined;
}

/**
 * The position of an order in a list. Lists show the newest order first; orders with the same time are sorted by id.
 */
export interface OrderPosition {
  placedAt: string;
  orderId: string;
}

export function createOrderStore(db: Kysely<Tables>) {
  return {
    /**
     * Records the status of an open order. Does nothing for an unknown order or an order that its workflow has closed.
     */
    async recordOrderStatus(
      { orderId, firstRunId }: OrderIdentity,
      { status, stage }: Pick<OrderRecord, 'status' | 'stage'>,
    ): Promise<void> {
      await db
        .updateTable('orders')
        .set({ status, stage, closed_at: null, rolled_back_at: null, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('first_run_id', '=', firstRunId)
        .where('view', 'is', null)
        .execute();
    },

    /**
     * Counts the orders that wait for the decision of an operator. An order whose workflow was terminated in the
     * meantime counts until the reconciliation or a list of orders closes it.
     */
    async countOrdersForOperators(): Promise<{ stuckCompensations: number; overdueDeliveries: number }> {
      const rows = await selectOperatorOrderCounts(db).execute();
      const countOf = (status: OrderStatus) => Number(rows.find((row) => row.status === status)?.count ?? 0);
      return { stuckCompensations: countOf('compensation_stuck'), overdueDeliveries: countOf('delivery_overdue') };
    },

    /** Returns the orders with these ids that are open in the store. */
    async filterOpenOrders(orderIds: readonly string[]): Promise<OrderIdentity[]> {
      const rows = await db
        .selectFrom('orders')
        .select(['order_id', 'first_run_id'])
        .where('order_id', '=', sql<string>`any(${orderIds}::text[])`)
        .where('closed_at', 'is', null)
        .execute();
      return rows.map((row) => ({ orderId: row.order_id, firstRunId: row.first_run_id }));
    },

    /**
     * Closes an open order after the Temporal server ended its workflow. Nothing was compensated, so an operator must
     * decide about the stock.
     *
     * @returns false when the order was already closed.
     */
    async closeOrderWithoutOutcome({ orderId, firstRunId }: OrderIdentity, closedAt: Date): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('orders')
        .set({ status: 'failed', closed_at: closedAt, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('first_run_id', '=', firstRunId)
        .where('closed_at', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /**
     * Reopens an order after a reset, if the store recorded that the Temporal server ended its workflow.
     *
     * @returns false when the workflow closed the order.
     */
    async reopenOrder({ orderId, firstRunId }: OrderIdentity, status: OrderStatus): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('orders')
        .set({ status, closed_at: null, rolled_back_at: null, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('first_run_id', '=', firstRunId)
        .where('view', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /**
     * Records the final view of an order and the final state of its stock, in one transaction. Repeated calls change
     * nothing. If the workflow has closed the order and its stock was released or written off, the first outcome stays.
     * A second outcome can only come from a reset.
     */
    async closeOrder(
      order: NewOrder,
      { view, runId, reservation }: { view: OrderView; runId: string; reservation: FinalReservation },
    ): Promise<void> {
      const { orderId, firstRunId, placedAt, customerId, contentHash } = order;
      const { status, stage, lines = null, total } = view;
      await db.transaction().execute(async (tx) => {
        if (reservation === 'released') await releaseReservation(tx, order);
        const outcome = {
          status,
          stage,
          reservation,
          lines: lines && JSON.stringify(lines),
          total_value: total?.value ?? null,
          total_currency: total?.currency ?? null,
          run_id: runId,
          view: JSON.stringify(view),
          closed_at: sql<Date>`now()`,
        };
        await tx
          .insertInto('orders')
          .values({
            order_id: orderId,
            first_run_id: firstRunId,
            placed_at: placedAt,
            customer_id: customerId,
            content_hash: contentHash,
            ...outcome,
          })
          .onConflict((conflict) =>
            conflict
              .column('order_id')
              .doUpdateSet({
                ...outcome,
                // Sold stock stays sold, even after a reset.
                reservation: sql`case when orders.reservation = 'sold' then 'sold' else excluded.reservation end`,
                updated_at: sql`now()`,
              })
              .where('orders.first_run_id', '=', firstRunId)
              .where((or) => or.or([or('orders.view', 'is', null), or('orders.reservation', '=', 'sold')])),
          )
          .execute();
      });
    },

    async findOrder(orderId: string): Promise<OrderRecord | undefined> {
      const row = await db.selectFrom('orders').selectAll().where('order_id', '=', orderId).executeTakeFirst();
      return row && toOrderRecord(row);
    },

    /**
     * Lists orders after the position `after`, newest first. Pages neither repeat nor skip an order that existed when
     * listing began.
     */
    async listOrders(filter: OrderFilter, page: OrderPage): Promise<{ order: ListedOrder; position: OrderPosition }[]> {
      const rows = await selectListedOrders(db, filter, page).execute();
      return rows.map((row) => ({
        order: {
          ...toOrderBase(row),
          ...(row.line_count !== null && { lineCount: row.line_count }),
          isClosedByWorkflow: Boolean(row.is_closed),
        },
        position: { placedAt: row.placed, orderId: row.order_id },
      }));
    },
  };
}

/** The query of `countOrdersForOperators`. The index `orders_by_status` serves it. */
export const selectOperatorOrderCounts = (db: Kysely<Tables>) =>
  db
    .selectFrom('orders')
    .where('status', 'in', ['compensation_stuck', 'delivery_overdue'])
    .groupBy('status')
    .select(({ fn }) => ['status', fn.countAll().as('count')]);

interface OrderPage {
  after?: OrderPosition | undefined;
  limit: number;
}

/** The query of a page of the list. Each combination of filters is served by an index. */
export function selectListedOrders(
  db: Kysely<Tables>,
  { status, customerId, orderIdPrefix, placedFrom, placedBefore }: OrderFilter,
  { after, limit }: OrderPage,
) {
  return db
    .selectFrom('orders')
    .select([
      'order_id',
      'first_run_id',
      'customer_id',
      'status',
      'total_value',
      'total_currency',
      'placed_at',
      'closed_at',
    ])
    .select(({ eb }) => [
      placedAtText.as('placed'),
      sql<number | null>`jsonb_array_length(lines)`.as('line_count'),
      eb('view', 'is not', null).as('is_closed'),
    ])
    .$if(status !== undefined, (query) => query.where('status', '=', status!))
    .$if(customerId !== undefined, (query) => query.where('customer_id', '=', customerId!))
    .$if(orderIdPrefix !== undefined, (query) => query.where('order_id', 'like', startsWithPattern(orderIdPrefix!)))
    .$if(placedFrom !== undefined, (query) => query.where('placed_at', '>=', placedFrom!))
    .$if(placedBefore !== undefined, (query) => query.where('placed_at', '<', placedBefore!))
    .$if(after !== undefined, (query) =>
      query.where(sql<boolean>`(placed_at, order_id) < (${after!.placedAt}::timestamptz, ${after!.orderId})`),
    )
    .orderBy('placed_at', 'desc')
    .orderBy('order_id', 'desc')
    .limit(limit);
}

/** A pattern for `like` that matches texts with this start. `_` is a wildcard and is also allowed in ids. */
const startsWithPattern = (start: string): string => `${start.replace(/[\\%_]/g, '\\$&')}%`;

function toOrderBase(
  row: Pick<OrderRow, 'order_id' | 'first_run_id' | 'customer_id' | 'status' | 'placed_at' | 'closed_at'> &
    Parameters<typeof toTotal>[0],
): OrderBase {
  const total = toTotal(row);
  return {
    orderId: row.order_id,
    firstRunId: row.first_run_id,
    ...(row.customer_id !== null && { customerId: row.customer_id }),
    status: row.status,
    ...(total && { total }),
    placedAt: row.placed_at,
    ...(row.closed_at && { closedAt: row.closed_at }),
  };
}

function toOrderRecord(row: OrderRow): OrderRecord {
  return {
    ...toOrderBase(row),
    stage: row.stage,
    ...(row.lines && { lines: row.lines }),
    contentHash: row.content_hash,
    ...(row.rolled_back_at && { rolledBackAt: row.rolled_back_at }),
    ...(row.view && row.run_id !== null && { outcome: { view: row.view, runId: row.run_id } }),
  };
}
