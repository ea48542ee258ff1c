import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { isCancellation, patched } from '@temporalio/workflow';
import type { PurgeResult } from '../../schemas/purge.js';
import { reasonOf } from '../shared/failures.js';
import { purgeBatchItems, purgeIdempotencyKeys, purgeNotifications, purgeOrders, purgeUploads } from './activities.js';

/**
 * Deletes records after their retention: the responses of idempotency keys, the notifications of carts, the items of
 * closed batches and of uploads that were cut off, and the personal data of orders. Repeated runs are safe, and a run
 * continues what an earlier run has not finished. Takes no input.
 *
 * A kind of records that fails does not stop the other kinds. The run then fails with `PurgeIncomplete`, which lists
 * the failures, and with the result as details.
 */
export async function purge(input?: unknown): Promise<PurgeResult> {
  if (!patched('purge-orders')) return await purgeInSequence(input);
  const failures: string[] = [];
  const attempt = async (kind: string, purgeKind: () => Promise<number>): Promise<number> => {
    try {
      return await purgeKind();
    } catch (error) {
      if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
      const { type, message } = reasonOf(error);
      if (type === 'InvalidInput') throw error;
      failures.push(`${kind}: ${type}: ${message}`);
      return 0;
    }
  };
  const result: PurgeResult = {
    idempotencyKeys: await attempt('idempotency keys', () => purgeIdempotencyKeys({ input })),
    notifications: await attempt('notifications', purgeNotifications),
    batches: await attempt('batch items', purgeBatchItems),
    uploads: await attempt('uploads', purgeUploads),
    orders: await attempt('orders', purgeOrders),
  };
  if (failures.length > 0) throw incompleteFailure(failures, result);
  return result;
}

const incompleteFailure = (failures: string[], result: PurgeResult) =>
  ApplicationFailure.create({ type: 'PurgeIncomplete', message: failures.join('; '), details: [result] });

/** The path of runs that started before the patch. */
async function purgeInSequence(input: unknown): Promise<PurgeResult> {
  const idempotencyKeys = await purgeIdempotencyKeys({ input });
  const notifications = await purgeNotifications();
  const batches = await purgeBatchItems();
  return { idempotencyKeys, notifications, batches };
}
