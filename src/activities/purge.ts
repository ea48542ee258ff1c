import { purgeInput } from '../schemas/purge.js';
import type { Store } from '../store/index.js';
import { withHeartbeat } from './external/heartbeat.js';
import { parseInput } from './failures.js';

const DAY_MS = 24 * 60 * 60_000;

/** An upload that is in progress stores parts more often, because it takes at most 24 hours in all. */
const ABANDONED_UPLOAD_AGE_DAYS = 1;

export interface RetentionSettings {
  store: Store;
  notificationRetentionDays: number;
  batchItemRetentionDays: number;
}

/** Each activity deletes one kind of records in chunks. A repeated call deletes what is left. */
export function createPurgeActivities({ store, notificationRetentionDays, batchItemRetentionDays }: RetentionSettings) {
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

    /** Deletes the notifications of carts after their retention. @returns the number of deleted notifications. */
    async purgeNotifications(): Promise<number> {
      const before = daysAgo(notificationRetentionDays);
      return await withHeartbeat((cancellation) => store.deleteNotifications(before, cancellation));
    },

    /**
     * Deletes the items of batches that closed before the retention, and the items of uploads that were cut off.
     *
     * @returns the number of batches.
     */
    async purgeBatchItems(): Promise<number> {
      return await withHeartbeat(async (cancellation) => {
        await store.deleteAbandonedUploads(daysAgo(ABANDONED_UPLOAD_AGE_DAYS), cancellation);
        return await store.deleteBatchItems(daysAgo(batchItemRetentionDays), cancellation);
      });
    },
  };
}

const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS);
