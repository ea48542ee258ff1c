import type { Kysely } from 'kysely';
import { deleteInChunks } from './postgres/delete-in-chunks.js';
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

    /** Deletes the notifications that were stored before this time. @returns the number of deleted notifications. */
    async deleteNotifications(before: Date, cancellation?: AbortSignal): Promise<number> {
      return await deleteInChunks(async (limit) => {
        const { numDeletedRows } = await db
          .deleteFrom('notifications')
          .where('key', 'in', (old) =>
            old.selectFrom('notifications').select('key').where('created_at', '<', before).limit(limit),
          )
          .executeTakeFirst();
        return numDeletedRows;
      }, cancellation);
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
