import { sql, type Kysely, type Transaction } from 'kysely';
import type { OrderLine, OrderStage, PricedLine } from '../../schemas/order.js';
import type { Money } from '../../schemas/shared/money.js';
import type { Tables } from '../tables.js';
import { toTotal, type NewOrder, type OrderIdentity, type OrderRow } from './order-row.js';

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

/** The final state of the stock of a closed order. */
export type FinalReservation = Exclude<OrderRow['reservation'], 'reserved'>;

/** Reserves the stock of orders. The row of an order contains the state of its stock. */
export function createReservationStore(db: Kysely<Tables>) {
  return {
    /**
     * Prices the lines from the catalogue, takes the pieces from stock and records the order, all in one statement.
     * Repeated calls return the first result and take no stock.
     *
     * @param lines one line per SKU.
     * @param expectedTotal if the actual total differs, nothing is reserved.
     */
    async reserveStock(order: NewOrder, lines: OrderLine[], expectedTotal?: Money): Promise<ReservationOutcome> {
      const quote = await quoteAndReserve(db, { order, lines, expectedTotal });
      if (quote.isReserved) return { status: 'reserved', lines: quote.lines, total: quote.total };
      // Must run after the insert, because an earlier attempt for the same order may have committed in the meantime.
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
     * Returns the reserved stock of an order once. If the order has no reservation, records it as released, so that a
     * late reservation is rejected.
     */
    async releaseStock(order: NewOrder): Promise<void> {
      await releaseReservation(db, order);
    },

    /**
     * Checks that the order's stock is reserved or sold, and records the stage. Called before a charge and before a
     * shipment request, because the run before a reset may have rolled the order back.
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
  };
}

const isStockHeld = (reservation: OrderRow['reservation']): boolean =>
  reservation === 'reserved' || reservation === 'sold';

/** The lines with their catalogue prices, and whether the stock was taken. */
interface Quote {
  isReserved: boolean;
  /** The lines of known products, in the sequence of the request. `available` is missing if the stock was taken. */
  lines: (PricedLine & { available: number })[];
  total: Money;
}

interface QuoteRow {
  is_reserved: boolean;
  lines: Quote['lines'] | null;
  total: string;
  currency: string | null;
}

/**
 * Prices the lines. If all lines can be sold at the expected total, takes the stock and records the order. Uses a
 * single statement. Locks products in SKU order, so that concurrent orders cannot deadlock. The lock mode does not
 * block foreign key checks or readers.
 */
async function quoteAndReserve(
  db: Kysely<Tables>,
  { order, lines, expectedTotal }: { order: NewOrder; lines: OrderLine[]; expectedTotal: Money | undefined },
): Promise<Quote> {
  const { orderId, firstRunId, placedAt, customerId, contentHash } = order;
  const skus = lines.map(({ sku }) => sku);
  const quantities = lines.map(({ quantity }) => quantity);
  const { value: expectedValue = null, currency: expectedCurrency = null } = expectedTotal ?? {};
  const { rows } = await sql<QuoteRow>`
    with requested as (
      select sku, quantity, line_number
      from unnest(${skus}::text[], ${quantities}::int[]) with ordinality as requested (sku, quantity, line_number)
    ), locked as materialized (
      select sku, name, price_value, price_currency, stock, quantity, line_number
      from products join requested using (sku)
      where not exists (select from orders where order_id = ${orderId})
      order by sku
      for no key update of products
    ), quoted as materialized (
      select
        jsonb_agg(jsonb_build_object(
          'sku', sku, 'name', name, 'quantity', quantity,
          'unitPrice', jsonb_build_object('value', price_value, 'currency', price_currency)
        ) order by line_number) as lines,
        jsonb_agg(jsonb_build_object('available', stock) order by line_number) as stocks,
        coalesce(sum(quantity::bigint * price_value), 0)::bigint as total,
        min(price_currency) as currency,
        count(*) = ${lines.length} and bool_and(stock >= quantity) and count(distinct price_currency) = 1 as sellable
      from locked
    ), reserved_order as (
      insert into orders
        (order_id, first_run_id, placed_at, customer_id, content_hash, status, stage, reservation, lines, total_value, total_currency)
      select ${orderId}, ${firstRunId}, ${placedAt}, ${customerId}, ${contentHash}, 'processing', 'reserving_stock', 'reserved',
        lines, total, currency
      from quoted
      where sellable
        and (${expectedValue}::bigint is null
          or (total = ${expectedValue}::bigint and currency = ${expectedCurrency}::text))
      on conflict (order_id) do nothing
      returning order_id
    ), taken_stock as (
      update products set stock = products.stock - locked.quantity
      from locked
      where products.sku = locked.sku and exists (select from reserved_order)
    )
    select exists (select from reserved_order) as is_reserved, total, currency,
      (select jsonb_agg(line || stock order by line_number)
        from jsonb_array_elements(lines) with ordinality as line (line, line_number)
        join jsonb_array_elements(stocks) with ordinality as stock (stock, line_number) using (line_number)) as lines
    from quoted`.execute(db);
  const row = rows[0]!;
  return {
    isReserved: row.is_reserved,
    lines: (row.lines ?? []).map(({ available, ...line }) =>
      row.is_reserved ? (line as Quote['lines'][number]) : { ...line, available },
    ),
    total: { value: Number(row.total), currency: row.currency ?? '' },
  };
}

function toRejectedReservation({ lines, total }: Quote, requested: OrderLine[]): ReservationOutcome {
  const knownSkus = new Set(lines.map(({ sku }) => sku));
  const unknownSkus = requested.filter(({ sku }) => !knownSkus.has(sku)).map(({ sku }) => sku);
  if (unknownSkus.length) return { status: 'unknown_sku', skus: unknownSkus };
  const currencies = [...new Set(lines.map(({ unitPrice }) => unitPrice.currency))];
  if (currencies.length > 1) return { status: 'mixed_currencies', currencies };
  const missing = lines
    .filter(({ quantity, available }) => quantity > available)
    .map(({ sku, quantity, available }) => ({ sku, requested: quantity, available }));
  // Reports a shortage before a changed price, because the customer must review the order in both cases.
  return missing.length ? { status: 'out_of_stock', missing } : { status: 'price_changed', total };
}

/**
 * Returns the reserved stock of an order. Records an unknown order as released. Does nothing if the order holds no
 * reserved stock.
 */
export async function releaseReservation(db: Kysely<Tables> | Transaction<Tables>, order: NewOrder): Promise<void> {
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
