import { sql, type Kysely, type Selectable } from 'kysely';
import type { BatchProgress, BatchStatus } from '../../schemas/batch.js';
import { selectNewestRows } from '../postgres/newest-rows.js';
import { runLongTransaction } from '../postgres/transactions.js';
import type { Tables } from '../tables.js';
import { countItems, findLastAttempt, RATE_WINDOW_SECONDS } from './attempt-queries.js';

/** A batch in a list. The counts were recorded at `progressAt`. */
export interface BatchRecord {
  batchId: string;
  /** Lists are sorted by this number. Later batches have higher numbers. */
  number: number;
  status: BatchStatus;
  operation: string;
  total: number;
  succeeded: number;
  failed: number;
  itemsPerSecond?: number;
  uploadedAt: Date;
  startedAt?: Date;
  closedAt?: Date;
  progressAt?: Date;
}

/** The progress of a batch in the store. */
export interface StoredBatchProgress extends BatchProgress {
  /** When the items of the batch were deleted. From then on, they can be neither listed nor retried. */
  itemsDeletedAt?: string;
}

/** The counts of one batch, for metrics. */
export interface BatchStats {
  operation: string;
  /** Number of items in the upload. */
  total: number;
  succeeded: number;
  failed: number;
  /** Number of chunks of the last attempt. */
  chunks: number;
  chunksDone: number;
  chunksGivenUp: number;
}

/** Counts the progress of batches and stores the counts that lists show. */
export function createBatchProgressStore(db: Kysely<Tables>) {
  return {
    /** Counts the progress of a batch. @returns undefined when the batch does not exist. */
    async countBatchProgress(batchId: string): Promise<StoredBatchProgress | undefined> {
      return await countProgress(db, batchId);
    },

    /**
     * Counts the progress of a batch and stores the counts for lists.
     *
     * @param status the new status of the batch.
     * @param at when the caller determined this status. A batch that closed after `at` stays closed, because the call
     * is then a late retry.
     * @param isFinal whether to close the batch.
     * @returns undefined when the batch does not exist.
     */
    async recordBatchProgress(
      batchId: string,
      { status, attemptId, at, isFinal }: { status: BatchStatus; attemptId: number; at: Date; isFinal: boolean },
    ): Promise<BatchProgress | undefined> {
      const progress = await countProgress(db, batchId);
      if (!progress) return undefined;
      await db
        .updateTable('batches')
        .set({
          status: status === 'completed' && progress.failed > 0 ? 'completed_with_failures' : status,
          succeeded: progress.succeeded,
          failed: progress.failed,
          items_per_second: progress.itemsPerSecond ?? null,
          progress_at: sql<Date>`now()`,
          closed_at: isFinal ? sql<Date>`now()` : null,
        })
        .where('batch_id', '=', batchId)
        .where(({ or, eb, lit }) => or([lit(isFinal), eb('closed_at', 'is', null), eb('closed_at', '<', at)]))
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom('batch_attempts').where('batch_id', '=', batchId).where('attempt_id', '>', attemptId))),
        )
        .execute();
      return progress;
    },

    /**
     * Records that the workflow of a staged batch has started. Lists then show `running` before a worker opens the
     * batch.
     */
    async recordBatchStarted(batchId: string): Promise<void> {
      await db
        .updateTable('batches')
        .set({ status: 'running', started_at: sql<Date>`now()` })
        .where('batch_id', '=', batchId)
        .where('status', '=', 'staged')
        .execute();
    },

    /** Lists batches with a number below `before`, newest first. Consecutive pages neither repeat nor skip a batch. */
    async listBatches(filter: BatchFilter, page: BatchPage): Promise<BatchRecord[]> {
      const rows = await selectListedBatches(db, filter, page).execute();
      return rows.map(toBatchRecord);
    },

    /**
     * Returns for each of these batches the seconds since a chunk of its last attempt changed, or since the attempt was
     * opened.
     */
    async readBatchIdleSeconds(batchIds: readonly string[]): Promise<number[]> {
      const rows = await selectBatchIdleSeconds(db, batchIds).execute();
      return rows.map(({ idleSeconds }) => idleSeconds);
    },

    /** Returns the current counts of these batches. */
    async readBatchStats(batchIds: readonly string[]): Promise<BatchStats[]> {
      const { rows } = await sql<BatchStats>`
        select operation, total, succeeded_before + counts.succeeded as succeeded, counts.failed as failed,
          last_attempt.chunk_count as chunks, counts.done as "chunksDone", counts.given_up as "chunksGivenUp"
        from batches
        cross join lateral (
          select * from batch_attempts where batch_attempts.batch_id = batches.batch_id order by attempt desc limit 1
        ) last_attempt
        cross join lateral (
          select coalesce(sum(succeeded), 0)::int as succeeded, coalesce(sum(failed), 0)::int as failed,
            (count(*) filter (where outcome = 'done'))::int as done,
            (count(*) filter (where outcome = 'given_up'))::int as given_up
          from batch_chunks where batch_chunks.attempt_id = last_attempt.attempt_id
        ) counts
        where batches.batch_id = any(${batchIds})`.execute(db);
      return rows;
    },
  };
}

/** The query of `readBatchIdleSeconds`. It reads one entry of the index `batch_chunks_by_change` for each batch. */
export function selectBatchIdleSeconds(db: Kysely<Tables>, batchIds: readonly string[]) {
  return db
    .selectFrom('batches')
    .innerJoinLateral(
      (eb) =>
        eb
          .selectFrom('batch_attempts')
          .whereRef('batch_attempts.batch_id', '=', 'batches.batch_id')
          .select(['attempt_id', 'opened_at'])
          .orderBy('attempt', 'desc')
          .limit(1)
          .as('last_attempt'),
      (join) => join.onTrue(),
    )
    .where('batches.batch_id', '=', sql<string>`any(${batchIds}::text[])`)
    .select(({ selectFrom }) => [
      sql<number>`extract(epoch from now() - greatest(coalesce(opened_at, created_at), ${selectFrom('batch_chunks')
        .whereRef('batch_chunks.attempt_id', '=', 'last_attempt.attempt_id')
        .select(sql`max(changed_at)`.as('changed_at'))}))::float8`.as('idleSeconds'),
    ]);
}

interface BatchFilter {
  statuses?: readonly BatchStatus[] | undefined;
}

interface BatchPage {
  before?: number | undefined;
  limit: number;
}

/** The query of `listBatches`. */
export function selectListedBatches(db: Kysely<Tables>, { statuses }: BatchFilter, { before, limit }: BatchPage) {
  const selectNewest = (status?: BatchStatus) =>
    db
      .selectFrom('batches')
      .selectAll()
      .$if(status !== undefined, (query) => query.where('status', '=', status!))
      .$if(before !== undefined, (query) => query.where('number', '<', before!))
      .orderBy('number', 'desc')
      .limit(limit);
  return selectNewestRows(db, { statuses, selectNewest, limit });
}

async function countProgress(db: Kysely<Tables>, batchId: string): Promise<StoredBatchProgress | undefined> {
  const batch = await db
    .selectFrom('batches')
    .select(['operation', 'items_per_chunk', 'total', 'items_expired_at'])
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
  if (!batch) return undefined;
  const last = await findLastAttempt(db, batchId);
  const { succeeded, failed, recent } = await runLongTransaction(db, (tx) => countItems(tx, last.attempt_id));
  const secondsSinceOpened = (Date.now() - (last.opened_at?.getTime() ?? 0)) / 1000;
  const seconds = Math.max(1, Math.min(RATE_WINDOW_SECONDS, secondsSinceOpened));
  return {
    operation: batch.operation,
    itemsPerChunk: batch.items_per_chunk,
    total: batch.total,
    succeeded: last.succeeded_before + succeeded,
    failed,
    attempt: last.first_run_id === null ? 0 : last.attempt,
    chunks: last.chunk_count,
    ...(batch.items_expired_at && { itemsDeletedAt: batch.items_expired_at.toISOString() }),
    ...(recent > 0 && { itemsPerSecond: Math.round((recent / seconds) * 10) / 10 }),
  };
}

function toBatchRecord(row: Selectable<Tables['batches']>): BatchRecord {
  return {
    batchId: row.batch_id,
    number: row.number,
    status: row.status,
    operation: row.operation,
    total: row.total,
    succeeded: row.succeeded,
    failed: row.failed,
    ...(row.items_per_second !== null && { itemsPerSecond: row.items_per_second }),
    uploadedAt: row.created_at,
    ...(row.started_at && { startedAt: row.started_at }),
    ...(row.closed_at && { closedAt: row.closed_at }),
    ...(row.progress_at && { progressAt: row.progress_at }),
  };
}
