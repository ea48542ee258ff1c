import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import type { Money } from '../schemas/money.js';
import type { OrderLine, OrderStage, OrderStatus, OrderView, PricedLine } from '../schemas/order.js';
import type { Schema } from './schema.js';

export interface OrderIdentity {
  orderId: string;
  /** The first run id of the order's execution. Another execution with the same order id is turned away. */
  owner: string;
}

/** What is known of an order before its stock is reserved. */
export interface NewOrder extends OrderIdentity {
  placedAt: Date;
  customerId: string;
  contentHash: string;
}

export interface Shortage {
  sku: string;
  wanted: number;
  available: number;
}

export type ReserveOutcome =
  | { status: 'reserved'; lines: PricedLine[]; total: Money }
  /** Another execution has this order id. */
  | { status: 'taken' }
  /** The stock of this order is back on the shelf; a reservation does not come back. */
  | { status: 'released' }
  | { status: 'unknown_sku'; skus: string[] }
  | { status: 'mixed_currencies'; currencies: string[] }
  | { status: 'out_of_stock'; missing: Shortage[] }
  | { status: 'price_changed'; total: Money };

interface OrderFacts extends OrderIdentity {
  customerId: string;
  status: OrderStatus;
  total?: Money;
  placedAt: Date;
  /** When the workflow closed the order, or when the server ended the workflow. */
  closedAt?: Date;
}

export interface OrderRecord extends OrderFacts {
  stage: OrderStage;
  lines?: PricedLine[];
  contentHash: string;
  /** What the workflow said at its end, and the run that ended. Missing while the order is open, and when the server ended it. */
  closed?: { view: OrderView; runId: string };
}

/** An order in a list. */
export interface ListedOrder extends OrderFacts {
  lineCount?: number;
  /** Whether the workflow itself recorded its end. */
  isClosed: boolean;
}

export interface OrderFilter {
  status?: OrderStatus | undefined;
  customerId?: string | undefined;
  /** Inclusive. */
  placedFrom?: Date | undefined;
  /** Exclusive. */
  placedBefore?: Date | undefined;
}

/** The place of an order in lists: newest first, by id where the time is the same. */
export interface OrderPlace {
  placedAt: string;
  orderId: string;
}

/** How an order ends, as far as stock is concerned. */
export type FinalReservation = Exclude<Selectable<Schema['orders']>['reservation'], 'reserved'>;

export function createOrders(db: Kysely<Schema>) {
  return {
    /**
     * Prices the lines by the catalogue, takes them off the stock and records the order, all or nothing, in one
     * statement. Repeated, it returns the first result and takes nothing.
     *
     * @param lines one for each SKU.
     * @param expectedTotal when given, another total takes nothing.
     */
    async reserveOrder(order: NewOrder, lines: OrderLine[], expectedTotal?: Money): Promise<ReserveOutcome> {
      const quote = await placeOrder(db, order, lines, expectedTotal);
      if (quote.placed) return { status: 'reserved', lines: quote.lines, total: quote.total };
      // Read after the attempt: an earlier attempt of the same order may have committed meanwhile.
      const existing = await db
        .selectFrom('orders')
        .select(['owner', 'reservation', 'lines', 'total_value', 'total_currency'])
        .where('order_id', '=', order.orderId)
        .executeTakeFirst();
      if (!existing) return problemOf(quote, lines);
      if (existing.owner !== order.owner) return { status: 'taken' };
      if (!isHeld(existing.reservation) || !existing.lines) return { status: 'released' };
      return { status: 'reserved', lines: existing.lines, total: moneyOf(existing)! };
    },

    /**
     * Puts the pieces of an order back, once. An order that never reserved is recorded as released, so that a
     * reservation which arrives later is turned away.
     */
    async releaseOrder(order: NewOrder): Promise<void> {
      await release(db, order);
    },

    /**
     * Checks that the order's pieces are reserved or sold, and records the stage on the way. Whoever takes money or hands
     * over goods asks first: a run that was reset may have been rolled back by an earlier run.
     *
     * @returns when the order was placed, or undefined when its pieces are not held any more.
     */
    async stockHeldSince({ orderId, owner }: OrderIdentity, stage: OrderStage): Promise<Date | undefined> {
      const { rows } = await sql<{ placed_at: Date }>`
        update orders set stage = case when view is null then ${stage} else stage end, updated_at = now()
        where order_id = ${orderId} and owner = ${owner} and reservation in ('reserved', 'sold')
        returning placed_at`.execute(db);
      return rows[0]?.placed_at;
    },

    /** Records the status of an open order. An order that is not recorded, or closed by its workflow, stays as it is. */
    async recordStatus(
      { orderId, owner }: OrderIdentity,
      { status, stage }: Pick<OrderRecord, 'status' | 'stage'>,
    ): Promise<void> {
      await db
        .updateTable('orders')
        .set({ status, stage, closed_at: null, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('owner', '=', owner)
        .where('view', 'is', null)
        .execute();
    },

    /** Of these, the orders that are open as far as the store knows. */
    async openOrdersAmong(orderIds: readonly string[]): Promise<OrderIdentity[]> {
      const rows = await db
        .selectFrom('orders')
        .select(['order_id', 'owner'])
        .where('order_id', '=', sql<string>`any(${orderIds}::text[])`)
        .where('closed_at', 'is', null)
        .execute();
      return rows.map((row) => ({ orderId: row.order_id, owner: row.owner }));
    },

    /**
     * Records that the server ended an open order, whose workflow could not do that. What becomes of the pieces is up to
     * an operator: nothing was compensated.
     *
     * @returns false when the order was closed meanwhile.
     */
    async recordEndByServer({ orderId, owner }: OrderIdentity, closedAt: Date): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('orders')
        .set({ status: 'failed', closed_at: closedAt, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('owner', '=', owner)
        .where('closed_at', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /** Takes an end by the server back: the order was reset and runs again. @returns false when it has closed. */
    async reopenOrder({ orderId, owner }: OrderIdentity, status: OrderStatus): Promise<boolean> {
      const { numUpdatedRows } = await db
        .updateTable('orders')
        .set({ status, closed_at: null, updated_at: sql`now()` })
        .where('order_id', '=', orderId)
        .where('owner', '=', owner)
        .where('view', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0n;
    },

    /**
     * Records how an order ended and what became of its pieces, in one transaction. Repeated, it changes nothing more. An
     * order that its workflow closed and whose pieces are not held any more keeps its first outcome: a later run of it was
     * reset.
     */
    async closeOrder(
      order: NewOrder,
      { view, runId, reservation }: { view: OrderView; runId: string; reservation: FinalReservation },
    ): Promise<void> {
      const { orderId, owner, placedAt, customerId, contentHash } = order;
      const { status, stage, lines = null, total } = view;
      await db.transaction().execute(async (tx) => {
        if (reservation === 'released') await release(tx, order);
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
            owner,
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
                // A reset does not undo a sale.
                reservation: sql`case when orders.reservation = 'sold' then 'sold' else excluded.reservation end`,
                updated_at: sql`now()`,
              })
              .where('orders.owner', '=', owner)
              .where((or) => or.or([or('orders.view', 'is', null), or('orders.reservation', '=', 'sold')])),
          )
          .execute();
      });
    },

    async findOrder(orderId: string): Promise<OrderRecord | undefined> {
      const row = await db.selectFrom('orders').selectAll().where('order_id', '=', orderId).executeTakeFirst();
      return row && toRecord(row);
    },

    /** Orders newest first, beginning after `after`. A page neither repeats nor skips an order that was there before. */
    async listOrders(
      { status, customerId, placedFrom, placedBefore }: OrderFilter,
      { after, limit }: { after?: OrderPlace | undefined; limit: number },
    ): Promise<{ order: ListedOrder; place: OrderPlace }[]> {
      const rows = await db
        .selectFrom('orders')
        .select([
          'order_id',
          'owner',
          'customer_id',
          'status',
          'total_value',
          'total_currency',
          'placed_at',
          'closed_at',
        ])
        .select(({ eb }) => [
          // The driver's dates have milliseconds, PostgreSQL's microseconds: the place is kept as text.
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
          ...toFacts(row),
          ...(row.line_count !== null && { lineCount: row.line_count }),
          isClosed: Boolean(row.is_closed),
        },
        place: { placedAt: row.placed, orderId: row.order_id },
      }));
    },
  };
}

type Row = Selectable<Schema['orders']>;

const isHeld = (reservation: Row['reservation']): boolean => reservation === 'reserved' || reservation === 'sold';

function moneyOf({ total_value: value, total_currency: currency }: Pick<Row, 'total_value' | 'total_currency'>) {
  return value === null || currency === null ? undefined : { value: Number(value), currency };
}

function toFacts(
  row: Pick<Row, 'order_id' | 'owner' | 'customer_id' | 'status' | 'placed_at' | 'closed_at'> &
    Parameters<typeof moneyOf>[0],
): OrderFacts {
  const total = moneyOf(row);
  return {
    orderId: row.order_id,
    owner: row.owner,
    customerId: row.customer_id,
    status: row.status,
    ...(total && { total }),
    placedAt: row.placed_at,
    ...(row.closed_at && { closedAt: row.closed_at }),
  };
}

function toRecord(row: Row): OrderRecord {
  return {
    ...toFacts(row),
    stage: row.stage,
    ...(row.lines && { lines: row.lines }),
    contentHash: row.content_hash,
    ...(row.view && row.run_id !== null && { closed: { view: row.view, runId: row.run_id } }),
  };
}

interface Quote {
  placed: boolean;
  /** The lines of known products, in the order of the request, each with what is in stock. */
  lines: (PricedLine & { available: number })[];
  total: Money;
}

/**
 * One round trip and one transaction. Products are locked in the order of their SKUs, so orders that share some wait for
 * each other and never deadlock; the lock leaves foreign keys and readers alone.
 */
async function placeOrder(
  db: Kysely<Schema>,
  { orderId, owner, placedAt, customerId, contentHash }: NewOrder,
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
        (order_id, owner, placed_at, customer_id, content_hash, status, stage, reservation, lines, total_value, total_currency)
      select ${orderId}, ${owner}, ${placedAt}, ${customerId}, ${contentHash}, 'processing', 'reserving_stock', 'reserved',
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
    placed,
    lines: (quoted ?? []).map(({ available, ...line }) =>
      placed ? (line as Quote['lines'][number]) : { ...line, available },
    ),
    total: { value: Number(total), currency: currency ?? '' },
  };
}

function problemOf({ lines, total }: Quote, wanted: OrderLine[]): ReserveOutcome {
  const known = new Set(lines.map(({ sku }) => sku));
  const unknown = wanted.filter(({ sku }) => !known.has(sku)).map(({ sku }) => sku);
  if (unknown.length) return { status: 'unknown_sku', skus: unknown };
  const currencies = [...new Set(lines.map(({ unitPrice }) => unitPrice.currency))];
  if (currencies.length > 1) return { status: 'mixed_currencies', currencies };
  const missing = lines
    .filter(({ quantity, available }) => quantity > available)
    .map(({ sku, quantity, available }) => ({ sku, wanted: quantity, available }));
  // A customer who saw another price has to look again whether or not the pieces are there.
  return missing.length ? { status: 'out_of_stock', missing } : { status: 'price_changed', total };
}

async function release(db: Kysely<Schema> | Transaction<Schema>, order: NewOrder): Promise<void> {
  const { orderId, owner, placedAt, customerId, contentHash } = order;
  await sql`
    with released as (
      insert into orders (order_id, owner, placed_at, customer_id, content_hash, status, stage, reservation)
      values (${orderId}, ${owner}, ${placedAt}, ${customerId}, ${contentHash}, 'processing', 'compensating', 'released')
      on conflict (order_id) do update set reservation = 'released', updated_at = now()
      where orders.owner = excluded.owner and orders.reservation = 'reserved'
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
