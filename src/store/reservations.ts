import { sql, type Kysely, type Transaction } from 'kysely';
import type { OrderLine } from '../schemas/order.js';
import { lockProducts } from './catalogue.js';
import type { Schema } from './schema.js';

export interface Shortage {
  sku: string;
  wanted: number;
  available: number;
}

export type ReserveOutcome =
  | { status: 'reserved' }
  /** Another owner reserved under this order id. */
  | { status: 'taken' }
  /** This owner already released it; a reservation does not come back. */
  | { status: 'released' }
  | { status: 'out_of_stock'; missing: Shortage[] };

export function createReservations(db: Kysely<Schema>) {
  return {
    /** Moves pieces from the stock into a reservation, all lines or none. Repeated, it answers the same and takes nothing. */
    async reserve(orderId: string, owner: string, lines: OrderLine[]): Promise<ReserveOutcome> {
      try {
        return await db.transaction().execute(async (tx) => {
          const existing = await claim(tx, orderId, owner, 'reserved');
          if (existing) return { status: existing.owner === owner ? existing.status : 'taken' };
          await takeFromStock(tx, lines);
          await tx
            .insertInto('reservation_lines')
            .values(lines.map(({ sku, quantity }) => ({ order_id: orderId, sku, quantity })))
            .execute();
          return { status: 'reserved' };
        });
      } catch (error) {
        if (error instanceof OutOfStock) return { status: 'out_of_stock', missing: error.missing };
        throw error;
      }
    },

    /**
     * Puts a reservation of this owner back, once. Without one it leaves a mark, so that a reservation which arrives
     * later is refused.
     */
    async release(orderId: string, owner: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        const existing = await claim(tx, orderId, owner, 'released');
        if (existing?.owner !== owner || existing.status === 'released') return;
        const lines = await tx.selectFrom('reservation_lines').select('sku').where('order_id', '=', orderId).execute();
        await lockProducts(
          tx,
          lines.map(({ sku }) => sku),
        );
        await sql`
          update products set stock = stock + line.quantity
          from reservation_lines line
          where line.order_id = ${orderId} and line.sku = products.sku`.execute(tx);
        await tx.updateTable('reservations').set({ status: 'released' }).where('order_id', '=', orderId).execute();
      });
    },
  };
}

/** Inserts the reservation's head, or answers the one that is there, locked. */
async function claim(
  tx: Transaction<Schema>,
  orderId: string,
  owner: string,
  status: 'reserved' | 'released',
): Promise<{ owner: string; status: 'reserved' | 'released' } | undefined> {
  const inserted = await tx
    .insertInto('reservations')
    .values({ order_id: orderId, owner, status })
    .onConflict((conflict) => conflict.column('order_id').doNothing())
    .returning('order_id')
    .executeTakeFirst();
  if (inserted) return undefined;
  return await tx
    .selectFrom('reservations')
    .select(['owner', 'status'])
    .where('order_id', '=', orderId)
    .forUpdate()
    .executeTakeFirstOrThrow();
}

/** @throws OutOfStock when any line is short; nothing is taken then. */
async function takeFromStock(tx: Transaction<Schema>, lines: OrderLine[]): Promise<void> {
  const skus = lines.map(({ sku }) => sku);
  const quantities = lines.map(({ quantity }) => quantity);
  const products = await lockProducts(tx, skus);
  const missing = lines
    .map(({ sku, quantity }) => ({ sku, wanted: quantity, available: products.get(sku)?.available ?? 0 }))
    .filter(({ wanted, available }) => wanted > available);
  if (missing.length) throw new OutOfStock(missing);
  await sql`
    update products set stock = stock - line.quantity
    from unnest(${skus}::text[], ${quantities}::int[]) as line (sku, quantity)
    where line.sku = products.sku`.execute(tx);
}

/** Rolls the transaction back and carries what was missing out of it. */
class OutOfStock extends Error {
  readonly missing: Shortage[];

  constructor(missing: Shortage[]) {
    super('out of stock');
    this.missing = missing;
  }
}
