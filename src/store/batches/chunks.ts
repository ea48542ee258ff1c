import { sql, type Kysely, type Transaction } from 'kysely';
import type { Reason } from '../../schemas/shared/reason.js';
import { toWellFormedText } from '../../text/well-formed-text.js';
import { runLongTransaction, setLocal } from '../postgres/transactions.js';
import type { Tables } from '../tables.js';
import type { StoredFailure } from './tables.js';
import type { StagedItem } from './staging.js';
import { StepPace, type StepLimits, type StepResult } from './step-pace.js';

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

/** The name of steps, and of transactions that give up chunks, in `pg_stat_activity`. Orders have another name. */
const STEP_APPLICATION_NAME = 'batch step';

const STEP_SETTINGS = {
  application_name: STEP_APPLICATION_NAME,
  // Cost setting for SSDs, so that the planner uses the index. With the default cost, the planner scans large tables.
  random_page_cost: 1.1,
  // Shorter than the timeout of an order's statement, so that orders do not fail while a stopped worker holds locks.
  idle_in_transaction_session_timeout: 2_000,
};

/** The chunks to give up. Without `range`, all chunks of the attempt are given up. */
interface GiveUpRequest {
  attemptId: number;
  range?: { first: number; count: number };
  reason: Reason;
}

/** Applies items in a transaction. @returns the items that failed. */
type ApplyItems = (tx: Transaction<Tables>, items: StagedItem[]) => Promise<ItemFailure[]>;

export function createBatchChunkStore(db: Kysely<Tables>) {
  const pace = new StepPace();
  return {
    /**
     * Applies the items of a chunk in steps. Each step is one transaction, which applies some items and records them, so
     * each item is applied exactly once. Continues after the last recorded step. Skips a chunk that is already done or
     * given up. A step that does not get its locks soon is rolled back and repeated with fewer items.
     *
     * @param cancellation ends the call after the current step.
     * @throws the error of the database when even one item does not get its lock.
     */
    async applyChunk(key: ChunkKey, apply: ApplyItems, cancellation?: AbortSignal): Promise<void> {
      const chunk = await selectChunk(db, key).select(['items', 'outcome']).executeTakeFirst();
      if (chunk?.outcome !== null) return;
      const items = chunk.items.map(toStagedItem);
      await pace.runSteps((limits) => applyStep(db, { key, items, apply, limits }), cancellation);
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
        failures: failures.map(toStoredFailure),
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

/**
 * Applies the next items of a chunk. Sets the time limits only after it has locked the chunk, because no order can wait
 * for this transaction before that.
 */
async function applyStep(
  db: Kysely<Tables>,
  { key, items, apply, limits }: { key: ChunkKey; items: StagedItem[]; apply: ApplyItems; limits: StepLimits },
): Promise<StepResult> {
  let lockedAt = 0;
  const step = await db.transaction().execute(async (tx) => {
    await setLocal(tx, STEP_SETTINGS);
    const chunk = await selectChunk(tx, key)
      .select(['outcome', 'processed_count', 'failures'])
      .forUpdate()
      .executeTakeFirst();
    if (chunk?.outcome !== null) return { itemCount: 0, isLast: true, isBlocking: false };
    const first = chunk.processed_count;
    const nextItems = items.slice(first, first + limits.maxItems);
    await setLocal(tx, { lock_timeout: limits.lockTimeoutMs, statement_timeout: limits.statementTimeoutMs });
    lockedAt = performance.now();
    const failures = await apply(tx, nextItems);
    assertValidFailureIndexes(failures, nextItems.length);
    const processedItems = first + nextItems.length;
    const isLast = processedItems === items.length;
    // An asynchronous commit releases the product locks sooner. The commit of the last step makes all steps durable.
    if (!isLast) await setLocal(tx, { synchronous_commit: 'off' });
    await recordChunkResult(tx, key, {
      outcome: isLast ? 'done' : null,
      processedItems,
      failures: [
        ...(chunk.failures ?? []),
        ...failures.map(({ index, reason }) => toStoredFailure({ index: first + index, reason })),
      ],
    });
    return { itemCount: nextItems.length, isLast, isBlocking: await blocksOrders(tx) };
  });
  return { ...step, lockedMs: step.itemCount > 0 ? performance.now() - lockedAt : 0 };
}

/** Whether a transaction of another feature waits for this transaction. */
async function blocksOrders(tx: Transaction<Tables>): Promise<boolean> {
  const { rows } = await sql`
    select from pg_stat_activity
    where wait_event_type = 'Lock' and application_name <> ${STEP_APPLICATION_NAME}
      and pg_backend_pid() = any(pg_blocking_pids(pid))
    limit 1`.execute(tx);
  return rows.length > 0;
}

/** Gives up all unfinished chunks in the range. Their unfinished items count as failed. */
export async function giveUpUnfinishedChunks(
  tx: Transaction<Tables>,
  { attemptId, range, reason }: GiveUpRequest,
): Promise<void> {
  await setLocal(tx, { application_name: STEP_APPLICATION_NAME });
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
  { outcome, processedItems, failures }: { outcome: 'done' | null; processedItems: number; failures: StoredFailure[] },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('batch_chunks')
    .set({
      outcome,
      processed_count: processedItems,
      succeeded: processedItems - failures.length,
      failed: failures.length,
      failures: failures.length ? JSON.stringify(failures) : null,
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
