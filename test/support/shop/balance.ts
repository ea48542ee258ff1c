import { sql } from 'kysely';
import type { Store } from '../../../src/store/index.js';
import { checkBalance, type Balance, type ExpectedOrder } from '../../../tools/chaos/audit/balance.js';
import type { Fakes } from '../../../tools/fakes/fakes.js';

export type { Balance, ExpectedOrder };

/**
 * Computes an order's balance only from durable data: the shop's PostgreSQL and the ledger of the external systems.
 * `others` contains the units of the same products that other orders hold.
 *
 * @throws when the order does not balance, when an effect happened twice, or when a call had a wrong key or body.
 */
export async function readBalance(
  { store, fakes }: { store: Store; fakes: Pick<Fakes, 'records'> },
  order: ExpectedOrder,
  { others = 0 } = {},
): Promise<Balance> {
  return checkBalance(order, fakes.records(order.orderId), await readHeldStock(store, order, others));
}

/** Returns the state of the order's stock reservation. Undefined if the store does not contain the order. */
export async function readReservation({ db }: Store, orderId: string) {
  const query = db.selectFrom('orders').select('reservation').where('order_id', '=', orderId);
  return (await query.executeTakeFirst())?.reservation;
}

/**
 * Returns the units that the order holds, by SKU. @throws when stock plus reservations differ from the stock before the
 * order.
 */
async function readHeldStock(
  store: Store,
  { orderId, products }: ExpectedOrder,
  others: number,
): Promise<Map<string, number>> {
  const { rows } = await sql<{ sku: string; stock: number; mine: number; reserved: number; is_counted: boolean }>`
    select products.sku, stock,
      products.reserved = coalesce(sum(quantity) filter (where reservation = 'reserved'), 0)
        and products.sold = coalesce(sum(quantity) filter (where reservation = 'sold'), 0) as is_counted,
      coalesce(sum(quantity) filter (where order_id = ${orderId}), 0)::int as mine,
      coalesce(sum(quantity), 0)::int as reserved
    from products left join (
      select line.sku, line.quantity, order_id, reservation
      from orders, jsonb_to_recordset(lines) as line (sku text, quantity int)
      where reservation in ('reserved', 'sold', 'written_off')
    ) as held using (sku)
    where sku in (${sql.join(products.map(({ sku }) => sku))})
    group by products.sku`.execute(store.db);
  for (const { sku, available } of products) {
    const row = rows.find((candidate) => candidate.sku === sku);
    if (!row) throw new Error(`product ${sku} does not exist any more`);
    if (!row.is_counted) throw new Error(`${sku}: the counts of reserved and sold units differ from the orders`);
    if (row.stock + row.reserved !== available) {
      throw new Error(
        `${sku}: stock (${row.stock}) plus reserved units (${row.reserved}) must equal the original stock (${available})`,
      );
    }
    if (row.reserved - row.mine !== others)
      throw new Error(`${sku}: other orders hold ${row.reserved - row.mine} units instead of ${others}`);
  }
  return new Map(rows.map(({ sku, mine }) => [sku, mine]));
}
