import { purgeInput } from '../schemas/purge.js';
import type { Store } from '../store/index.js';
import { withHeartbeat } from './external/heartbeat.js';
import { parseInput } from './failures.js';

const DAY_MS = 24 * 60 * 60_000;

/** An upload that is in progress stores parts more often, because it takes at most 24 hours in all. */
const ABANDONED_UPLOAD_AGE_DAYS = 1;

/** A dispute is usually closed within three months. */
const PAYMENT_EVENT_RETENTION_DAYS = 180;

export interface RetentionSettings {
  store: Store;
  notificationRetentionDays: number;
  batchItemRetentionDays: number;
  /** If undefined, the personal data of orders is kept. */
  orderRetentionDays?: number | undefined;
}

/** Each activity deletes one kind of records in chunks. A repeated call deletes what is left. */
export function createPurgeActivities({
  store,
  notificationRetentionDays,
  batchItemRetentionDays,
  orderRetentionDays,
}: RetentionSettings) {
  return {
    /**
     * Deletes expired idempotency keys.
     *
     * @param input the input of the workflow. @throws `InvalidInput`.
     * @returns the number of deleted keys.
     */
    async purgeIdempotencyKeys({ input }: { input?: unknown }): Promise<number> {
      parseInput(purgeInput, input);
      return await withHeartbeat((cancellation) => store.deleteExpiredIdempotencyKeys(cancellation));
    },

    /**
     * Deletes the notifications of carts, and the events of the payment provider, after their retention. If one kind
     * fails, the other kind is still deleted.
     *
     * @returns the number of deleted notifications and events.
     */
    async purgeNotifications(): Promise<number> {
      const before = daysAgo(notificationRetentionDays);
      const eventsBefore = daysAgo(PAYMENT_EVENT_RETENTION_DAYS);
      return await withHeartbeat((cancellation) =>
        deleteAll({
          notifications: () => store.deleteNotifications(before, cancellation),
          'payment events': () => store.deletePaymentEvents(eventsBefore, cancellation),
        }),
      );
    },

    /** Deletes the items of batches that closed before the retention. @returns the number of batches. */
    async purgeBatchItems(): Promise<number> {
      const before = daysAgo(batchItemRetentionDays);
      return await withHeartbeat((cancellation) => store.deleteBatchItems(before, cancellation));
    },

    /** Deletes uploads that were cut off. @returns the number of uploads. */
    async purgeUploads(): Promise<number> {
      const before = daysAgo(ABANDONED_UPLOAD_AGE_DAYS);
      return await withHeartbeat((cancellation) => store.deleteAbandonedUploads(before, cancellation));
    },

    /** Erases the personal data of orders that closed before the retention. @returns the number of orders. */
    async purgeOrders(): Promise<number> {
      if (orderRetentionDays === undefined) return 0;
      const before = daysAgo(orderRetentionDays);
      return await withHeartbeat((cancellation) => store.eraseOrdersClosedBefore(before, cancellation));
    },
  };
}

/** @throws after all deletions if some failed. The message names the kinds that failed. */
async function deleteAll(deletions: Readonly<Record<string, () => Promise<number>>>): Promise<number> {
  let count = 0;
  const errors = new Map<string, unknown>();
  for (const [kind, deleteKind] of Object.entries(deletions)) {
    try {
      count += await deleteKind();
    } catch (error) {
      errors.set(kind, error);
    }
  }
  if (errors.size === 0) return count;
  const messages = Array.from(errors, ([kind, error]) => `${kind}: ${(error as Error).message}`);
  throw new AggregateError(errors.values(), messages.join('; '));
}

const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);
