import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import type { Money } from '../../schemas/shared/money.js';
import type { OrderLine, OrderStage, OrderStatus, OrderView, PricedLine } from '../../schemas/order.js';
import type { Tables } from '../tables.js';

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

export interface Shortage {
  sku: string;
  requested: number;
  available: number;
}

export type ReservationOutcome =
  | { status: 'reserved'; lines: PricedLine[]; total: Money }
  /** Another execution owns this order id. */
  | { status: 'taken' }
  /** The stock of this order was released and cannot be reserved again. */
  | { status: 'released' }
  | { status: 'unknown_sku'; skus: string[] }
  | { status: 'mixed_currencies'; currencies: string[] }
  | { status: 'out_of_stock'; missing: Shortage[] }
  | { status: 'price_changed'; total: Money };

interface OrderBase extends OrderIdentity {
  customerId: string;
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
   * The final view and the run that recorded it. Missing while the order is open, and when the Temporal server ended
   * it.
   */
  outcome?: { view: OrderView; runId: string };
}

export interface ListedOrder extends OrderBase {
  lineCount?: number;
  /** Whether the workflow itself closed the order. */
  isClosedByWorkflow: boolean;
}

export interface OrderFilter {
  status?: OrderStatus | undefined;
  customerId?: string | undefined;
  /** Inclusive. */
  placedFrom?: Date | undefined;
  /** Exclusive. */
  placedBefore?: Date | undefined;
}

/** The position of an order in lists: newest first, then by order id. */
export interface OrderPosition {
  placedAt: string;
  orderId: string;
}

/** What becomes of the reserved stock when an order closes. */
export type FinalReservation = Exclude<Selectable<Tables['orders']>['reservation'], 'reserved'>;

export function createOrderStore(db: Kysely<Tables>) {
  return {
    /**
     * Prices the lines from the catalogue, takes them from stock and records the order, all in one statement. Repeated
     * calls return the first result and take nothing.
     *
     * @param lines one line per SKU.
     * @param expectedTotal reserves nothing if the actual total differs.
     */
    async reserveStock(order: NewOrder, lines: OrderLine[], expectedTotal?: Money): Promise<ReservationOutcome> {
      const quote = await quoteAndReserve(db, order, lines, expectedTotal);
      if (quote.isReserved) return { status: 'reserved', lines: quote.lines, total: quote.total };
      // Must run after the insert: an earlier attempt for the same order may have committed meanwhile.
      const existing = await db
        .selectFrom('orders')
        .select(['first_run_id', 'reservation', 'lines', 'total_value', 'total_currency'])
        .where('order_id', '=', order.orderId)
        .executeTakeFirst();
      if (!existing) return toRejectedReservation(quote, lines);
      if (existing.first_run_id !== order.firstRunId) return { status: 'taken' };
      if (!isStockHeld(existing.reservation) || !existing.lines) return { status: 'released' };
      return { status: 'reserved', lines: existing.lines, total: toTotal(existing)! };
    },

    /**
     * Returns the reserved stock of an order, once. An order that never reserved stock is recorded as released, so that
     * a late reservation is rejected.
     */
    async releaseStock(order: NewOrder): Promise<void> {
      await releaseReservation(db, order);
    },

    /**
     * Checks that the order's stock is reserved or sold, and records the stage. Called before a charge and before a
     * shipment request, because an earlier run may have rolled back an order that was then reset.
     *
     * @returns when the order was placed, or undefined when its stock is no longer held.
     */
    async recordStageIfStockHeld({ orderId, firstRunId }: OrderIdentity, stage: OrderStage): Promise<Date | undefined> {
      const { rows } = await sql<{ placed_at: Date }>`
        update orders set stage = case when view is null then ${stage} else stage end, updated_at = now()
        where order_id = ${orderId} and first_run_id = ${firstRunId} and reservation in ('reserved', 'sold')
        returning placed_at`.execute(db);
      return rows[0]?.placed_at;
    },

    /** Records the status of an open order. Does nothing for an unknown order or an order that its workflow closed. */
    async recordOrderStatus(
      { orderId, firstRunId }: OrderIdentity,
      { status, stage }: Pick<OrderRecord, 'status' | 'stage'>,
    ): Promise<void> {
      await db
        .updateTable('orders')
        .set({ status, stage, closed_at: null, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('first_run_id', '=', firstRunId)
        .where('view', 'is', null)
        .execute();
    },

    /** The orders among these ids that are open according to the store. */
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
     * Closes an open order whose workflow the Temporal server ended. Nothing was compensated, so an operator must
     * decide about the stock.
     *
     * @returns false when the order has closed meanwhile.
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
     * Reopens an order that was recorded as ended by the server, after a reset. @returns false when its workflow closed
     * it.
     */
    async reopenOrder({ orderId, firstRunId }: OrderIdentity, status: OrderStatus): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('orders')
        .set({ status, closed_at: null, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('first_run_id', '=', firstRunId)
        .where('view', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /**
     * Records how an order ended and what became of its stock, in one transaction. Repeated calls change nothing. An
     * order that its workflow closed and whose stock is no longer held keeps its first outcome, because a second
     * outcome can only come from a reset.
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
                // A reset does not revert a sale.
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
    async listOrders(
      { status, customerId, placedFrom, placedBefore }: OrderFilter,
      { after, limit }: { after?: OrderPosition | undefined; limit: number },
    ): Promise<{ order: ListedOrder; position: OrderPosition }[]> {
      const rows = await db
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
          // JavaScript dates have millisecond precision, PostgreSQL timestamps microseconds. The cursor keeps the time
          // as text.
          sql<string>`to_char(placed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`.as('placed'),
          sql<number | null>`jsonb_array_length(lines)`.as('line_count'),
          eb('view', 'is not', null).as('is_closed'),
        ])
        .$if(status !== undefined, (query) => query.where('status', '=', status!))
        .$if(customerId !== undefined, (query) => query.where('customer_id', '=', customerId!))
        .$if(placedFrom !== undefined, (query) => query.where('placed_at', '>=', placedFrom!))
        .$if(placedBefore !== undefined, (query) => query.where('placed_at', '<', placedBefore!))
        .$if(after !== undefined, (query) =>
          query.where(sql<boolean>`(placed_at, order_id) < (${after!.placedAt}::timestamptz, ${after!.orderId})`),
        )
        .orderBy('placed_at', 'desc')
        .orderBy('order_id', 'desc')
        .limit(limit)
        .execute();
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

type OrderRow = Selectable<Tables['orders']>;

const isStockHeld = (reservation: OrderRow['reservation']): boolean =>
  reservation === 'reserved' || reservation === 'sold';

function toTotal({ total_value: value, total_currency: currency }: Pick<OrderRow, 'total_value' | 'total_currency'>) {
  return value === null || currency === null ? undefined : { value: Number(value), currency };
}

function toOrderBase(
  row: Pick<OrderRow, 'order_id' | 'first_run_id' | 'customer_id' | 'status' | 'placed_at' | 'closed_at'> &
    Parameters<typeof toTotal>[0],
): OrderBase {
  const total = toTotal(row);
  return {
    orderId: row.order_id,
    firstRunId: row.first_run_id,
    customerId: row.customer_id,
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
    ...(row.view && row.run_id !== null && { outcome: { view: row.view, runId: row.run_id } }),
  };
}

interface Quote {
  isReserved: boolean;
  /** The lines with known products in request order, each with the stock available. */
  lines: (PricedLine & { available: number })[];
  total: Money;
}

/**
 * One round trip and one transaction. Locks products in SKU order, so that concurrent orders cannot deadlock. The lock
 * mode does not block foreign key checks or readers.
 */
async function quoteAndReserve(
  db: Kysely<Tables>,
  { orderId, firstRunId, placedAt, customerId, contentHash }: NewOrder,
  lines: OrderLine[],
  expected: Money | undefined,
): Promise<Quote> {
  const { rows } = await sql<{ placed: boolean; lines: Quote['lines'] | null; total: string; currency: string | null }>`
    with wanted as (
      select sku, quantity, place
      from unnest(${lines.map(({ sku }) => sku)}::text[], ${lines.map(({ quantity }) => quantity)}::int[])
        with ordinality as wanted (sku, quantity, place)
    ), locked as materialized (
      select sku, name, price_value, price_currency, stock, quantity, place
      from products join wanted using (sku)
      where not exists (select from orders where order_id = ${orderId})
      order by sku
      for no key update of products
    ), quoted as materialized (
      select
        jsonb_agg(jsonb_build_object(
          'sku', sku, 'name', name, 'quantity', quantity,
          'unitPrice', jsonb_build_object('value', price_value, 'currency', price_currency)
        ) order by place) as lines,
        jsonb_agg(jsonb_build_object('available', stock) order by place) as stocks,
        coalesce(sum(quantity::bigint * price_value), 0)::bigint as total,
        min(price_currency) as currency,
        count(*) = ${lines.length} and bool_and(stock >= quantity) and count(distinct price_currency) = 1 as complete
      from locked
    ), placed as (
      insert into orders
        (order_id, first_run_id, placed_at, customer_id, content_hash, status, stage, reservation, lines, total_value, total_currency)
      select ${orderId}, ${firstRunId}, ${placedAt}, ${customerId}, ${contentHash}, 'processing', 'reserving_stock', 'reserved',
        lines, total, currency
      from quoted
      where complete
        and (${expected?.value ?? null}::bigint is null
          or (total = ${expected?.value ?? null}::bigint and currency = ${expected?.currency ?? null}::text))
      on conflict (order_id) do nothing
      returning order_id
    ), taken as (
      update products set stock = products.stock - locked.quantity
      from locked
      where products.sku = locked.sku and exists (select from placed)
    )
    select exists (select from placed) as placed, total, currency,
      (select jsonb_agg(line || stock order by place)
        from jsonb_array_elements(lines) with ordinality as line (line, place)
        join jsonb_array_elements(stocks) with ordinality as stock (stock, place) using (place)) as lines
    from quoted`.execute(db);
  const { placed, lines: quoted, total, currency } = rows[0]!;
  return {
    isReserved: placed,
    lines: (quoted ?? []).map(({ available, ...line }) =>
      placed ? (line as Quote['lines'][number]) : { ...line, available },
    ),
    total: { value: Number(total), currency: currency ?? '' },
  };
}

function toRejectedReservation({ lines, total }: Quote, wanted: OrderLine[]): ReservationOutcome {
  const known = new Set(lines.map(({ sku }) => sku));
  const unknown = wanted.filter(({ sku }) => !known.has(sku)).map(({ sku }) => sku);
  if (unknown.length) return { status: 'unknown_sku', skus: unknown };
  const currencies = [...new Set(lines.map(({ unitPrice }) => unitPrice.currency))];
  if (currencies.length > 1) return { status: 'mixed_currencies', currencies };
  const missing = lines
    .filter(({ quantity, available }) => quantity > available)
    .map(({ sku, quantity, available }) => ({ sku, requested: quantity, available }));
  // A shortage takes precedence, because a customer who saw another price must review the order in either case.
  return missing.length ? { status: 'out_of_stock', missing } : { status: 'price_changed', total };
}

async function releaseReservation(db: Kysely<Tables> | Transaction<Tables>, order: NewOrder): Promise<void> {
  const { orderId, firstRunId, placedAt, customerId, contentHash } = order;
  await sql`
    with released as (
      insert into orders (order_id, first_run_id, placed_at, customer_id, content_hash, status, stage, reservation)
      values (${orderId}, ${firstRunId}, ${placedAt}, ${customerId}, ${contentHash}, 'processing', 'compensating', 'released')
      on conflict (order_id) do update set reservation = 'released', updated_at = now()
      where orders.first_run_id = excluded.first_run_id and orders.reservation = 'reserved'
      returning lines
    ), line as (
      select sku, quantity from released, jsonb_to_recordset(lines) as line (sku text, quantity int)
    ), locked as materialized (
      select sku, quantity from products join line using (sku) order by sku for no key update of products
    )
    update products set stock = products.stock + locked.quantity
    from locked
    where products.sku = locked.sku`.execute(db);
}
