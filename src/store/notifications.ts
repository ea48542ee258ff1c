import type { Kysely } from 'kysely';
import type { Tables } from './tables.js';

export function createNotificationStore(db: Kysely<Tables>) {
  return {
    /** Stores a notification for a customer. A repeated key changes nothing. */
    async addNotification({ key, cartId, kind }: { key: string; cartId: string; kind: string }): Promise<void> {
      await db
        .insertInto('notifications')
        .values({ key, cart_id: cartId, kind })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute();
    },

    /** The kinds of a cart's notifications, oldest first. */
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
