import { sql, type Kysely, type Selectable } from 'kysely';
import type { CartStatus } from '../schemas/cart.js';
import { insertNotification } from './notifications.js';
import { selectNewestRows } from './postgres/newest-rows.js';
import type { Tables } from './tables.js';

/** Identifies one execution of a cart. A cart id can be reused after its cart has closed. */
export interface CartKey {
  /** The first run id of the cart's execution. Continue-as-new and reset keep it. */
  firstRunId: string;
  cartId: string;
  customerId?: string | undefined;
}

export interface CartRecord extends CartKey {
  status: CartStatus;
  orderId?: string;
  openedAt: Date;
  closedAt?: Date;
  /** Lists are sorted by this number. Later carts have higher numbers. */
  number: number;
}

/** The order that a checkout creates. */
export interface ClaimedOrder {
  orderId: string;
  contentHash: string;
}

export function createCartStore(db: Kysely<Tables>) {
  return {
    /**
     * Returns the stock of a product, or undefined when the catalogue does not have the product. If the stock is
     * sufficient, also records the cart, or reopens it after a reset. Uses a single statement.
     *
     * @param at when the change began. A cart that closed after `at` stays closed, because the call is then a late
     * retry.
     */
    async recordCartIfInStock(
      { firstRunId, cartId, customerId }: CartKey,
      { sku, quantity, at }: { sku: string; quantity: number; at: Date },
    ): Promise<number | undefined> {
      const { rows } = await sql<{ stock: number }>`
        with product as (
          select stock from products where sku = ${sku}
        ), recorded as (
          insert into carts (first_run_id, cart_id, customer_id, status)
          select ${firstRunId}, ${cartId}, ${customerId ?? null}, 'open' from product
          where stock >= ${quantity} and not exists (
            select from carts where first_run_id = ${firstRunId} and (status = 'open' or closed_at >= ${at})
          )
          on conflict (first_run_id) do update set status = 'open', closed_at = null where carts.closed_at < ${at}
        )
        select stock from product`.execute(db);
      return rows[0]?.stock;
    },

    /** Returns the order that this execution of the cart has claimed. */
    async findCartOrder(firstRunId: string): Promise<ClaimedOrder | undefined> {
      const row = await db
        .selectFrom('carts')
        .select(['order_id', 'content_hash'])
        .where('first_run_id', '=', firstRunId)
        .executeTakeFirst();
      if (!row?.order_id || !row.content_hash) return undefined;
      return { orderId: row.order_id, contentHash: row.content_hash };
    },

    /**
     * Records the order of a cart. An execution of a cart can have only one order.
     *
     * @returns false when this execution has already claimed an order with different content.
     */
    async claimCartOrder(
      { firstRunId, cartId, customerId }: CartKey,
      { orderId, contentHash }: ClaimedOrder,
    ): Promise<boolean> {
      const { rows } = await sql`
        insert into carts (first_run_id, cart_id, customer_id, status, order_id, content_hash, closed_at)
        values (${firstRunId}, ${cartId}, ${customerId ?? null}, 'checked_out', ${orderId}, ${contentHash}, now())
        on conflict (first_run_id) do update set
          status = 'checked_out', order_id = excluded.order_id, content_hash = excluded.content_hash, closed_at = now()
        where carts.order_id is null or carts.content_hash = excluded.content_hash
        returning first_run_id`.execute(db);
      return rows.length > 0;
    },

    /**
     * Replaces a claim whose order was never started.
     *
     * @param attemptAt when this attempt began. A claim made after that time stays, because this call is then a late
     * retry.
     * @returns whether the claim was replaced.
     */
    async replaceCartOrderClaim(
      { firstRunId }: CartKey,
      { orderId, contentHash }: ClaimedOrder,
      attemptAt: Date,
    ): Promise<boolean> {
      const { rows } = await sql`
        update carts
        set status = 'checked_out', order_id = ${orderId}, content_hash = ${contentHash}, closed_at = now()
        where first_run_id = ${firstRunId} and (closed_at is null or closed_at < ${attemptAt})
        returning first_run_id`.execute(db);
      return rows.length > 0;
    },

    /**
     * Records that a cart closed without an order. If `notificationKey` is set, also stores one notification for its
     * customer.
     */
    async closeCart(
      { firstRunId, cartId }: CartKey,
      { status, notificationKey }: { status: Exclude<CartStatus, 'open'>; notificationKey?: string | undefined },
    ): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx
          .updateTable('carts')
          .set({ status, closed_at: sql<Date>`now()` })
          .where('first_run_id', '=', firstRunId)
          .execute();
        if (notificationKey === undefined) return;
        await insertNotification(tx, { key: notificationKey, cartId, kind: `cart_${status}` });
      });
    },

    /** Lists carts with a number below `before`, newest first. Consecutive pages neither repeat nor skip a cart. */
    async listCarts(filter: CartFilter, page: CartPage): Promise<CartRecord[]> {
      const rows = await selectListedCarts(db, filter, page).execute();
      return rows.map(toCartRecord);
    },
  };
}

interface CartFilter {
  customerId?: string | undefined;
  statuses?: readonly CartStatus[] | undefined;
}

interface CartPage {
  before?: number | undefined;
  limit: number;
}

/** The query of `listCarts`. */
export function selectListedCarts(
  db: Kysely<Tables>,
  { customerId, statuses }: CartFilter,
  { before, limit }: CartPage,
) {
  const selectNewest = (status?: CartStatus) =>
    db
      .selectFrom('carts')
      .selectAll()
      .$if(customerId !== undefined, (query) => query.where('customer_id', '=', customerId!))
      .$if(status !== undefined, (query) => query.where('status', '=', status!))
      .$if(before !== undefined, (query) => query.where('number', '<', before!))
      .orderBy('number', 'desc')
      .limit(limit);
  return selectNewestRows(db, { statuses, selectNewest, limit });
}

function toCartRecord(row: Selectable<Tables['carts']>): CartRecord {
  return {
    firstRunId: row.first_run_id,
    cartId: row.cart_id,
    ...(row.customer_id !== null && { customerId: row.customer_id }),
    status: row.status,
    ...(row.order_id !== null && { orderId: row.order_id }),
    openedAt: row.opened_at,
    ...(row.closed_at && { closedAt: row.closed_at }),
    number: row.number,
  };
}
