import { sql, type Kysely } from 'kysely';
import type { Tables } from '../tables.js';
import { changeChunksInSteps } from './chunk-steps.js';

export function createBatchRetentionStore(db: Kysely<Tables>) {
  return {
    /**
     * Deletes the items and the failed items of batches that closed before this time. The rows of batches and chunks stay
     * with their counts, so a batch id is never reused. Continues a deletion that was interrupted.
     *
     * @returns the number of batches whose items were deleted.
     */
    async deleteBatchItems(closedBefore: Date, cancellation?: AbortSignal): Promise<number> {
      // First makes retries impossible, because a retry copies items.
      await db
        .updateTable('batches')
        .set({ items_expired_at: sql`now()` })
        .where('closed_at', '<', closedBefore)
        .where('items_deleted_at', 'is', null)
        .where('items_expired_at', 'is', null)
        .execute();
      const expired = await db
        .selectFrom('batches')
        .select(['batch_id', 'items_per_chunk'])
        .where('closed_at', '<', closedBefore)
        .where('items_deleted_at', 'is', null)
        .where('items_expired_at', 'is not', null)
        .execute();
      for (const { batch_id: batchId, items_per_chunk: itemsPerChunk } of expired) {
        await deleteItemsOf({ batchId, itemsPerChunk }, cancellation);
        await db
          .updateTable('batches')
          .set({ items_deleted_at: sql`now()` })
          .where('batch_id', '=', batchId)
          .execute();
      }
      return expired.length;
    },
  };

  async function deleteItemsOf(
    { batchId, itemsPerChunk }: { batchId: string; itemsPerChunk: number },
    cancellation: AbortSignal | undefined,
  ): Promise<void> {
    const attempts = await db
      .selectFrom('batch_attempts')
      .select(['attempt_id', 'chunk_count'])
      .where('batch_id', '=', batchId)
      .execute();
    for (const { attempt_id: attemptId, chunk_count: chunkCount } of attempts) {
      const deleteItems = (first: number, count: number) =>
        db
          .updateTable('batch_chunks')
          .set({ items: '[]', failures: null })
          .where('attempt_id', '=', attemptId)
          .where('chunk_index', '>=', first)
          .where('chunk_index', '<', first + count)
          .execute();
      await changeChunksInSteps({ chunkCount, itemsPerChunk }, deleteItems, cancellation);
    }
  }
}
