import type { Kysely } from 'kysely';
import type { Tables } from './tables.js';

/** A notification for the customer of a cart. */
export interface CartNotification {
  /** Idempotency key. */
  key: string;
  cartId: string;
  kind: string;
}

export function createNotificationStore(db: Kysely<Tables>) {
  return {
    /** Stores a notification for a customer. Does nothing if the key already exists. */
    async addNotification(notification: CartNotification): Promise<void> {
      await insertNotification(db, notification);
    },

    /** Returns the kinds of a cart's notifications, oldest first. */
    async listCartNotifications(cartId: string): Promise<string[]> {
      const rows = await db
        .selectFrom('notifications')
        .select('kind')
        .where('cart_id', '=', cartId)
        .orderBy('created_at')
        .execute();
      return rows.map(({ kind }) => kind);
    },
  };
}

/** Stores a notification. `db` can be a transaction. Does nothing if the key already exists. */
export async function insertNotification(db: Kysely<Tables>, { key, cartId, kind }: CartNotification): Promise<void> {
  await db
    .insertInto('notifications')
    .values({ key, cart_id: cartId, kind })
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute();
}
