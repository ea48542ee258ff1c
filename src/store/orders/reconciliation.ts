import { sql, type Kysely } from 'kysely';
import type { OrderStatus, OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import type { Money } from '../../schemas/shared/money.js';
import type { Tables } from '../tables.js';
import { placedAtText, toTotal, type OrderIdentity } from './order-row.js';
import type { OrderPosition } from './orders.js';
import { releaseReservation } from './reservations.js';

/** An order for which no workflow has recorded an outcome. */
export interface OrderWithoutOutcome extends OrderIdentity {
  position: OrderPosition;
}

/** An order about which a person must decide, and why. */
export interface UnreconciledOrder {
  orderId: string;
  problem: string;
}

/** The outcome of an order that an operator closes. */
export interface HandClosing {
  status: 'completed' | 'failed';
  reservation: 'sold' | 'written_off';
  shipment?: OrderView['shipment'];
  reason?: Reason;
}

/** What the audit compares of an order. */
export interface OrderState {
  status: OrderStatus;
  /** Whether the order has an outcome or was rolled back. */
  isClosed: boolean;
  changedAt: Date;
  total?: Money;
}

interface AuditFindings {
  findings: readonly UnreconciledOrder[];
  /** Whether the run compared everything, so that the findings of earlier runs are no longer true. */
  isComplete: boolean;
  /** If set, only the earlier findings of these orders can be removed. */
  recheckedOrderIds?: readonly string[] | undefined;
  runId: string;
}

interface OrdersWithoutOutcomePage {
  after?: OrderPosition | undefined;
  /** Only orders whose row has not changed since this time. */
  unchangedSince?: Date | undefined;
  /** Only orders that are, or are not, in the list for a person. */
  isForPerson: boolean;
  limit: number;
}

export function createOrderReconciliationStore(db: Kysely<Tables>) {
  return {
    /** Lists the orders without an outcome, oldest first. Excludes orders that were already rolled back. */
    async listOrdersWithoutOutcome(page: OrdersWithoutOutcomePage): Promise<OrderWithoutOutcome[]> {
      const rows = await selectOrdersWithoutOutcome(db, page).execute();
      return rows.map((row) => ({
        orderId: row.order_id,
        firstRunId: row.first_run_id,
        position: { placedAt: row.placed, orderId: row.order_id },
      }));
    },

    /**
     * Releases the stock of an order whose workflow has ended without an outcome, and closes the order as failed.
     * Repeated calls change nothing.
     *
     * @returns false when the order has an outcome or was already rolled back.
     */
    async rollBackOrder({ orderId, firstRunId }: OrderIdentity): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        const row = await tx
          .selectFrom('orders')
          .select(['placed_at', 'customer_id', 'content_hash'])
          .where('order_id', '=', orderId)
          .where('first_run_id', '=', firstRunId)
          .where('view', 'is', null)
          .where('rolled_back_at', 'is', null)
          .forUpdate()
          .executeTakeFirst();
        if (!row) return false;
        const { placed_at: placedAt, content_hash: contentHash } = row;
        // Only closed orders are erased.
        const customerId = row.customer_id!;
        await releaseReservation(tx, { orderId, firstRunId, placedAt, customerId, contentHash });
        await tx
          .updateTable('orders')
          .set({
            status: 'failed',
            closed_at: sql`coalesce(closed_at, now())`,
            rolled_back_at: sql`now()`,
            updated_at: sql`now()`,
          })
          .where('order_id', '=', orderId)
          .execute();
        return true;
      });
    },

    /**
     * Records the outcome of an order whose workflow has ended and whose parcel has left. Repeated calls change nothing.
     *
     * @returns false when the order has an outcome, was rolled back, or no longer holds its stock.
     */
    async closeOrderByHand({ orderId, firstRunId }: OrderIdentity, closing: HandClosing): Promise<boolean> {
      return await db.transaction().execute(async (tx) => {
        const row = await tx
          .selectFrom('orders')
          .select(['customer_id', 'lines', 'total_value', 'total_currency'])
          .where('order_id', '=', orderId)
          .where('first_run_id', '=', firstRunId)
          .where('view', 'is', null)
          .where('rolled_back_at', 'is', null)
          .where('reservation', '=', 'reserved')
          .forUpdate()
          .executeTakeFirst();
        if (!row) return false;
        const { status, reservation, shipment, reason } = closing;
        const total = toTotal(row);
        const view: OrderView = {
          orderId,
          ...(row.customer_id !== null && { customerId: row.customer_id }),
          status,
          stage: 'done',
          ...(row.lines && { lines: row.lines }),
          ...(total && { total }),
          ...(shipment && { shipment }),
          ...(reason && { reason }),
          steps: [],
          compensations: [],
        };
        await tx
          .updateTable('orders')
          .set({
            status,
            stage: 'done',
            reservation,
            run_id: firstRunId,
            view: JSON.stringify(view),
            closed_at: sql`coalesce(closed_at, now())`,
            updated_at: sql`now()`,
          })
          .where('order_id', '=', orderId)
          .execute();
        return true;
      });
    },

    /**
     * Adds orders to the list of orders that only a person can complete. Removes the orders that have an outcome or were
     * rolled back in the meantime.
     */
    async recordUnreconciledOrders(orders: readonly UnreconciledOrder[]): Promise<void> {
      await sql`
        delete from unreconciled_orders using orders
        where orders.order_id = unreconciled_orders.order_id
          and audit_run_id is null
          and (orders.view is not null or orders.rolled_back_at is not null)`.execute(db);
      await addOrdersForPerson(db, { orders });
    },

    /**
     * Removes orders that the reconciliation listed, because their workflow runs again. The findings of an audit stay.
     */
    async removeUnreconciledOrders(orderIds: readonly string[]): Promise<void> {
      if (orderIds.length === 0) return;
      await db
        .deleteFrom('unreconciled_orders')
        .where('order_id', 'in', orderIds)
        .where('audit_run_id', 'is', null)
        .execute();
    },

    /** Counts the orders about which a person must decide. */
    async countUnreconciledOrders(): Promise<number> {
      const { count } = await db
        .selectFrom('unreconciled_orders')
        .select(({ fn }) => fn.countAll().as('count'))
        .executeTakeFirstOrThrow();
      return Number(count);
    },

    /** Returns the states of the orders that the database has. */
    async findOrderStates(orderIds: readonly string[]): Promise<Map<string, OrderState>> {
      if (orderIds.length === 0) return new Map();
      const rows = await db
        .selectFrom('orders')
        .select(['order_id', 'status', 'total_value', 'total_currency', 'updated_at'])
        .select(sql<boolean>`view is not null or rolled_back_at is not null`.as('is_closed'))
        .where('order_id', 'in', orderIds)
        .execute();
      return new Map(
        rows.map((row) => {
          const total = toTotal(row);
          const { status, is_closed: isClosed, updated_at: changedAt } = row;
          return [row.order_id, { status, isClosed, changedAt, ...(total && { total }) }];
        }),
      );
    },

    /**
     * Adds the findings of an audit to the list for a person. An order that the reconciliation listed keeps its problem.
     */
    async recordAuditFindings({ findings, isComplete, recheckedOrderIds, runId }: AuditFindings): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await addOrdersForPerson(tx, { orders: findings, auditRunId: runId });
        if (!isComplete) return;
        await tx
          .deleteFrom('unreconciled_orders')
          .where('audit_run_id', '<>', runId)
          .$if(recheckedOrderIds !== undefined, (query) => query.where('order_id', 'in', recheckedOrderIds!))
          .execute();
      });
    },

    /** Returns the ids of the orders that audits have listed. Starts with the order that was found least recently. */
    async listAuditedOrderIds(limit: number): Promise<string[]> {
      const rows = await db
        .selectFrom('unreconciled_orders')
        .select('order_id')
        .where('audit_run_id', 'is not', null)
        .orderBy('tried_at')
        .orderBy('order_id')
        .limit(limit)
        .execute();
      return rows.map(({ order_id: orderId }) => orderId);
    },

    /** Lists the orders about which a person must decide, the oldest finding first. */
    async listUnreconciledOrders(limit: number): Promise<UnreconciledOrder[]> {
      const rows = await db
        .selectFrom('unreconciled_orders')
        .select(['order_id', 'problem'])
        .orderBy('found_at')
        .orderBy('order_id')
        .limit(limit)
        .execute();
      return rows.map(({ order_id: orderId, problem }) => ({ orderId, problem }));
    },
  };
}

/**
 * Adds orders to the list for a person, or changes their problems. An audit does not change what the reconciliation
 * listed. If an order has several problems, the last one is listed.
 */
async function addOrdersForPerson(
  db: Kysely<Tables>,
  { orders, auditRunId = null }: { orders: readonly UnreconciledOrder[]; auditRunId?: string | null },
): Promise<void> {
  if (orders.length === 0) return;
  const problems = new Map(orders.map(({ orderId, problem }) => [orderId, problem]));
  await db
    .insertInto('unreconciled_orders')
    .values(Array.from(problems, ([order_id, problem]) => ({ order_id, problem, audit_run_id: auditRunId })))
    .onConflict((conflict) =>
      conflict
        .column('order_id')
        .doUpdateSet({
          problem: (row) => row.ref('excluded.problem'),
          tried_at: sql`now()`,
          audit_run_id: (row) => row.ref('excluded.audit_run_id'),
        })
        .where(sql<boolean>`excluded.audit_run_id is null or unreconciled_orders.audit_run_id is not null`),
    )
    .execute();
}

/** The query of a page of orders without an outcome. A partial index serves it. */
export function selectOrdersWithoutOutcome(
  db: Kysely<Tables>,
  { after, unchangedSince, isForPerson, limit }: OrdersWithoutOutcomePage,
) {
  return db
    .selectFrom('orders')
    .select(['order_id', 'first_run_id'])
    .select(placedAtText.as('placed'))
    .where('view', 'is', null)
    .where('rolled_back_at', 'is', null)
    .$if(unchangedSince !== undefined, (query) => query.where('updated_at', '<=', unchangedSince!))
    .where(({ exists, not, selectFrom }) => {
      const listed = exists(
        selectFrom('unreconciled_orders')
          .select('order_id')
          .whereRef('unreconciled_orders.order_id', '=', 'orders.order_id'),
      );
      return isForPerson ? listed : not(listed);
    })
    .$if(after !== undefined, (query) =>
      query.where(sql<boolean>`(placed_at, order_id) > (${after!.placedAt}::timestamptz, ${after!.orderId})`),
    )
    .orderBy('placed_at')
    .orderBy('order_id')
    .limit(limit);
}
