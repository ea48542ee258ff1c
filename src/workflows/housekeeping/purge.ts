import type { PurgeResult } from '../../schemas/purge.js';
import { purgeBatchItems, purgeIdempotencyKeys, purgeNotifications } from './activities.js';

/**
 * Deletes records after their retention: the responses of idempotency keys, the notifications of carts, and the items of
 * closed batches. Repeated runs are safe, and a run continues what an earlier run has not finished. Takes no input.
 */
export async function purge(input?: unknown): Promise<PurgeResult> {
  const idempotencyKeys = await purgeIdempotencyKeys({ input });
  const notifications = await purgeNotifications();
  const batches = await purgeBatchItems();
  return { idempotencyKeys, notifications, batches };
}
