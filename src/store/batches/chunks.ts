import { sql, type Kysely, type Transaction } from 'kysely';
import type { Reason } from '../../schemas/shared/reason.js';
import { toWellFormedText } from '../../text/well-formed-text.js';
import { runLongTransaction, setLocal } from '../postgres/transactions.js';
import type { StoredFailure, Tables } from '../tables.js';
import type { StagedItem } from './staging.js';

/** Identifies one chunk. */
export interface ChunkKey {
  attemptId: number;
  chunkIndex: number;
}

/** Why an item of a chunk failed. `index` is the item's position in the chunk. */
export interface ItemFailure {
  index: number;
  reason: Reason;
}

/** State of a chunk of an external operation. The first `processedCount` items are done. */
export interface ChunkState {
  items: StagedItem[];
  processedCount: number;
  failures: ItemFailure[];
}

/** The chunks to give up. Without `range`, all chunks of the attempt are given up. */
interface GiveUpRequest {
  attemptId: number;
  range?: { first: number; count: number };
  reason: Reason;
}

export function createBatchChunkStore(db: Kysely<Tables>) {
  return {
    /**
     * Applies a chunk and marks it as done in one transaction, so that each chunk is applied exactly once. Skips a
     * chunk that is already done or given up. Waits for a concurrent call for the same chunk.
     */
    async applyChunk(
      key: ChunkKey,
      apply: (tx: Transaction<Tables>, items: StagedItem[]) => Promise<ItemFailure[]>,
    ): Promise<void> {
      await db.transaction().execute(async (tx) => {
        // Cost setting for SSDs, so that the planner uses the index. With the default cost, the planner scans large
        // tables.
        await setLocal(tx, 'random_page_cost', '1.1');
        const row = await selectChunk(tx, key)
          .select(['items', 'outcome', 'item_count'])
          .forUpdate()
          .executeTakeFirst();
        if (row?.outcome !== null) return;
        const failures = await apply(tx, row.items.map(toStagedItem));
        assertValidFailureIndexes(failures, row.item_count);
        await recordChunkResult(tx, key, { outcome: 'done', processedItems: row.item_count, failures });
      });
    },

    /** Reads the state of a chunk of an external operation. @returns undefined when the chunk is done or given up. */
    async readChunk(key: ChunkKey): Promise<ChunkState | undefined> {
      const row = await selectChunk(db, key)
        .select(['items', 'outcome', 'processed_count', 'failures'])
        .executeTakeFirst();
      if (row?.outcome !== null) return undefined;
      const failures = (row.failures ?? []).map(([index, type, message]) => ({ index, reason: { type, message } }));
      return { items: row.items.map(toStagedItem), processedCount: row.processed_count, failures };
    },

    /**
     * Records that the first `processedCount` items are done. @returns false when the chunk was already done or given up.
     */
    async recordChunkProgress(
      key: ChunkKey,
      { processedCount, failures, isDone }: { processedCount: number; failures: ItemFailure[]; isDone: boolean },
    ): Promise<boolean> {
      return await recordChunkResult(db, key, {
        outcome: isDone ? 'done' : null,
        processedItems: processedCount,
        failures,
        savesPosition: true,
      });
    },

    /**
     * Gives up a range of chunks: their unfinished items count as failed. Late writes to these chunks have no effect. A
     * transaction that already holds the lock of a chunk finishes first.
     */
    async giveUpChunks(attemptId: number, range: { first: number; count: number }, reason: Reason): Promise<void> {
      await runLongTransaction(db, (tx) => giveUpUnfinishedChunks(tx, { attemptId, range, reason }));
    },
  };
}

/** Gives up all unfinished chunks in the range. Their unfinished items count as failed. */
export async function giveUpUnfinishedChunks(
  tx: Transaction<Tables>,
  { attemptId, range, reason }: GiveUpRequest,
): Promise<void> {
  let unfinished = tx
    .updateTable('batch_chunks')
    .set({
      outcome: 'given_up',
      failed: sql<number>`item_count - succeeded`,
      reason: JSON.stringify(reason),
      changed_at: sql<Date>`clock_timestamp()`,
    })
    .where('attempt_id', '=', attemptId)
    .where('outcome', 'is', null);
  if (range)
    unfinished = unfinished
      .where('chunk_index', '>=', range.first)
      .where('chunk_index', '<', range.first + range.count);
  await unfinished.execute();
}

const selectChunk = (db: Kysely<Tables>, { attemptId, chunkIndex }: ChunkKey) =>
  db.selectFrom('batch_chunks').where('attempt_id', '=', attemptId).where('chunk_index', '=', chunkIndex);

/**
 * Records the result of the first `processedItems` items of a chunk. @returns false when the chunk was already done or
 * given up.
 */
async function recordChunkResult(
  db: Kysely<Tables>,
  { attemptId, chunkIndex }: ChunkKey,
  result: {
    outcome: 'done' | null;
    processedItems: number;
    failures: ItemFailure[];
    /** Whether the next attempt of the activity resumes after these items. */
    savesPosition?: boolean;
  },
): Promise<boolean> {
  const { outcome, processedItems, failures, savesPosition = false } = result;
  const { numUpdatedRows } = await db
    .updateTable('batch_chunks')
    .set({
      outcome,
      ...(savesPosition && { processed_count: processedItems }),
      succeeded: processedItems - failures.length,
      failed: failures.length,
      failures: failures.length ? JSON.stringify(failures.map(toStoredFailure)) : null,
      changed_at: sql<Date>`clock_timestamp()`,
    })
    .where('attempt_id', '=', attemptId)
    .where('chunk_index', '=', chunkIndex)
    .where('outcome', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Invalid indexes from an operation would corrupt the counts permanently. */
function assertValidFailureIndexes(failures: ItemFailure[], itemCount: number): void {
  const indexes = new Set(failures.map(({ index }) => index));
  const areItems = [...indexes].every((index) => Number.isInteger(index) && index >= 0 && index < itemCount);
  if (indexes.size !== failures.length || !areItems)
    throw new Error(
      `the indexes of failed items must be unique and from 0 to ${itemCount - 1}, got ${failures.map(({ index }) => index).join(', ')}`,
    );
}

const toStagedItem = ([line, item]: [number, unknown]): StagedItem => ({ line, item });

/**
 * Makes the reasons well-formed text. Otherwise, PostgreSQL could not extract them from JSON, and listing the failures
 * of the batch would fail.
 */
const toStoredFailure = ({ index, reason }: ItemFailure): StoredFailure => [
  index,
  toWellFormedText(reason.type),
  toWellFormedText(reason.message),
];
