import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { BatchFailure, BatchStatus, BatchProgress } from '../../schemas/batch.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { toWellFormedText } from '../../temporal/payloads/text.js';
import type { Tables } from '../tables.js';

/** Limit for statements that touch all chunks of a batch. They take about a second per few hundred thousand items. */
const LONG_STATEMENT_TIMEOUT_MS = String(10 * 60_000);

/** Window over which the rate is measured. */
const RATE_WINDOW_SECONDS = 10;

const UNIQUE_VIOLATION = '23505';

/** One item of an upload, with its 1-based line number. */
export interface StagedItem<Item = unknown> {
  line: number;
  item: Item;
}

export interface NewBatch {
  batchId: string;
  operation: string;
  itemsPerChunk: number;
}

/** `existing`: the batch exists with the same content. `taken`: the batch exists with other content. */
export type StageBatchOutcome = { status: 'staged' | 'existing'; total: number } | { status: 'taken' };

/** The work of one execution of a batch. */
export interface OpenAttempt {
  operation: string;
  /** Number of the batch. Later batches have higher numbers. */
  batchNumber: number;
  attemptId: number;
  /** 1 for the first attempt of the batch, plus 1 for each retry. */
  attempt: number;
  chunks: number;
}

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

/** State of a chunk whose items run one by one. The first `processedCount` items are done. */
export interface ChunkState {
  items: StagedItem[];
  processedCount: number;
  failures: ItemFailure[];
}

/** A position in the list of failures: a chunk, and an item within the chunk. */
export interface FailurePosition {
  chunkIndex: number;
  itemIndex: number;
}

export function createBatchStore(db: Kysely<Tables>, pool: pg.Pool) {
  return {
    /**
     * Stores a batch with all its items in one transaction. Every chunk except the last must have `itemsPerChunk` items.
     * If `chunks` throws, nothing is stored and the error is rethrown. Holds a few chunks in memory at a time.
     */
    async stageBatch(batch: NewBatch, chunks: AsyncIterable<StagedItem[]>): Promise<StageBatchOutcome> {
      const known = await findBatchContent(db, batch.batchId);
      if (known) return compareWithExisting(known, batch, await hashChunks(chunks));
      const client = await pool.connect();
      let content: BatchContent | undefined;
      try {
        await client.query(`begin; set local statement_timeout = 0`);
        const { rows } = await client.query<{ id: number }>(
          `select nextval(pg_get_serial_sequence('batch_attempts', 'attempt_id'))::int as id`,
        );
        content = await copyChunks(client, rows[0]!.id, chunks);
        await client.query(
          `insert into batches (batch_id, operation, items_per_chunk, total, content_hash) values ($1, $2, $3, $4, $5)`,
          [batch.batchId, batch.operation, batch.itemsPerChunk, content.total, content.hash],
        );
        await client.query(
          `insert into batch_attempts (attempt_id, batch_id, attempt, chunk_count, succeeded_before) values ($1, $2, 1, $3, 0)`,
          [rows[0]!.id, batch.batchId, content.chunks],
        );
        await client.query('commit');
        client.release();
        return { status: 'staged', total: content.total };
      } catch (error) {
        await client.query('rollback').then(
          () => client.release(),
          () => client.release(true),
        );
        // A concurrent upload may have stored the same batch id first.
        const first = isUniqueViolation(error) ? await findBatchContent(db, batch.batchId) : undefined;
        if (!first || !content) throw error;
        return compareWithExisting(first, batch, content.hash);
      }
    },

    /**
     * Returns the work of an execution: all items at first, later the items that failed or never ran. Repeated calls of
     * the same execution return the same work, also after a reset. Gives up the unfinished chunks of an earlier
     * execution, whose late writes then have no effect. Records that the batch is running.
     *
     * @param runId the first run id of the execution, which a reset keeps.
     * @returns undefined when the batch does not exist; no chunks when nothing is left to do.
     * @throws RunSupersededError when a later execution has already opened the batch.
     */
    async openAttempt(batchId: string, runId: string, startedAt = new Date()): Promise<OpenAttempt | undefined> {
      return await runLongTransaction(db, async (tx) => {
        const batch = await tx
          .selectFrom('batches')
          .select(['operation', 'number', 'items_per_chunk'])
          .where('batch_id', '=', batchId)
          .forUpdate()
          .executeTakeFirst();
        if (!batch) return undefined;
        const last = await findLastAttempt(tx, batchId);
        const recordRunning = async () => {
          await tx
            .updateTable('batches')
            .set({ status: 'running', started_at: startedAt, closed_at: null })
            .where('batch_id', '=', batchId)
            .execute();
        };
        const toOpenAttempt = (row: Pick<typeof last, 'attempt_id' | 'attempt' | 'chunk_count'>): OpenAttempt => ({
          operation: batch.operation,
          batchNumber: batch.number,
          attemptId: row.attempt_id,
          attempt: row.attempt,
          chunks: row.chunk_count,
        });
        const own = await tx
          .selectFrom('batch_attempts')
          .select(['attempt_id', 'attempt', 'chunk_count'])
          .where('batch_id', '=', batchId)
          .where('first_run_id', '=', runId)
          .executeTakeFirst();
        if (own && own.attempt_id === last.attempt_id) await recordRunning();
        if (own) return toOpenAttempt(own);
        if (last.opened_at && startedAt < last.opened_at) throw new RunSupersededError();
        await recordRunning();
        const opened = { first_run_id: runId, opened_at: startedAt };
        if (last.first_run_id === null) {
          await tx.updateTable('batch_attempts').set(opened).where('attempt_id', '=', last.attempt_id).execute();
          return toOpenAttempt(last);
        }
        await giveUpUnfinishedChunks(tx, last.attempt_id, undefined, {
          type: 'RunEnded',
          message: `run ${last.first_run_id} ended before it`,
        });
        const { succeeded, failed } = await countItems(tx, last.attempt_id);
        if (failed === 0) return toOpenAttempt({ ...last, chunk_count: 0 });
        const next = await tx
          .insertInto('batch_attempts')
          .values({
            batch_id: batchId,
            attempt: last.attempt + 1,
            ...opened,
            chunk_count: Math.ceil(failed / batch.items_per_chunk),
            succeeded_before: last.succeeded_before + succeeded,
          })
          .returning(['attempt_id', 'attempt', 'chunk_count'])
          .executeTakeFirstOrThrow();
        await copyFailedItems(tx, last.attempt_id, next.attempt_id, batch.items_per_chunk);
        return toOpenAttempt(next);
      });
    },

    /**
     * Applies a chunk and marks it as done in one transaction, so that it is applied exactly once. Skips a chunk that
     * is already done or given up, and waits for a concurrent call for the same chunk.
     */
    async applyChunk(
      key: ChunkKey,
      apply: (tx: Transaction<Tables>, items: StagedItem[]) => Promise<ItemFailure[]>,
    ): Promise<void> {
      await db.transaction().execute(async (tx) => {
        // Cost setting for SSDs, so that the planner uses the index. With the default cost it scans large tables.
        await setLocal(tx, 'random_page_cost', '1.1');
        const row = await selectChunk(tx, key)
          .select(['items', 'outcome', 'item_count'])
          .forUpdate()
          .executeTakeFirst();
        if (row?.outcome !== null) return;
        const failures = await apply(tx, row.items.map(toStagedItem));
        assertValidFailureIndexes(failures, row.item_count);
        await recordChunkResult(tx, key, { outcome: 'done' }, row.item_count, failures);
      });
    },

    /** The state of a chunk whose items run one by one, or undefined when the chunk is done or given up. */
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
      const outcome = isDone ? 'done' : null;
      return await recordChunkResult(db, key, { outcome, processed_count: processedCount }, processedCount, failures);
    },

    /**
     * Counts the unfinished items of these chunks as failed. Calls that still run for them then have no effect; a
     * transaction that holds a chunk's lock finishes first.
     */
    async giveUpChunks(attemptId: number, range: { first: number; count: number }, reason: Reason): Promise<void> {
      await runLongTransaction(db, (tx) => giveUpUnfinishedChunks(tx, attemptId, range, reason));
    },

    async hasBatch(batchId: string): Promise<boolean> {
      return (await findBatchContent(db, batchId)) !== undefined;
    },

    /**
     * Counts the progress of a batch and records the counts for lists.
     *
     * @param status the new status of the batch.
     * @param at when the caller knew this status. A batch that closed after `at` stays closed, because the call is a
     * late attempt.
     * @param isFinal whether the batch closes.
     * @returns undefined when the batch does not exist.
     */
    async recordBatchProgress(
      batchId: string,
      { status, attemptId, at, isFinal }: { status: BatchStatus; attemptId: number; at: Date; isFinal: boolean },
    ): Promise<BatchProgress | undefined> {
      const progress = await this.countBatchProgress(batchId);
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

    /** Records that the execution of a staged batch has started, before a worker picks it up. */
    async recordBatchStarted(batchId: string): Promise<void> {
      await db
        .updateTable('batches')
        .set({ status: 'running', started_at: sql<Date>`now()` })
        .where('batch_id', '=', batchId)
        .where('status', '=', 'staged')
        .execute();
    },

    /** Lists batches with a number below `before`, newest first. Pages neither repeat nor skip a batch. */
    async listBatches(
      { statuses }: { statuses?: readonly BatchStatus[] | undefined },
      { before, limit }: { before?: number | undefined; limit: number },
    ): Promise<BatchRecord[]> {
      const rows = await db
        .selectFrom('batches')
        .selectAll()
        .$if(statuses !== undefined, (query) => query.where('status', 'in', statuses!))
        .$if(before !== undefined, (query) => query.where('number', '<', before!))
        .orderBy('number', 'desc')
        .limit(limit)
        .execute();
      return rows.map(toBatchRecord);
    },

    /** The progress of a batch, or undefined when the batch does not exist. */
    async countBatchProgress(batchId: string): Promise<BatchProgress | undefined> {
      const batch = await db
        .selectFrom('batches')
        .select(['operation', 'items_per_chunk', 'total'])
        .where('batch_id', '=', batchId)
        .executeTakeFirst();
      if (!batch) return undefined;
      const last = await findLastAttempt(db, batchId);
      const { succeeded, failed, recent } = await runLongTransaction(db, (tx) => countItems(tx, last.attempt_id));
      const seconds = Math.min(RATE_WINDOW_SECONDS, (Date.now() - (last.opened_at?.getTime() ?? 0)) / 1000);
      return {
        operation: batch.operation,
        itemsPerChunk: batch.items_per_chunk,
        total: batch.total,
        succeeded: last.succeeded_before + succeeded,
        failed,
        attempt: last.first_run_id === null ? 0 : last.attempt,
        chunks: last.chunk_count,
        ...(recent > 0 && { itemsPerSecond: Math.round((recent / Math.max(seconds, 1)) * 10) / 10 }),
      };
    },

    /**
     * The progress of the last attempt of each of these batches. `idleSeconds` is the time since the last progress, or
     * since the attempt was opened.
     */
    async readBatchStats(batchIds: readonly string[]): Promise<BatchStats[]> {
      const { rows } = await sql<BatchStats>`
        select operation, total, succeeded_before + counted.succeeded as succeeded, counted.failed as failed,
          last.chunk_count as chunks, counted.done as "chunksDone", counted.given_up as "chunksGivenUp",
          extract(epoch from now() - greatest(coalesce(opened_at, created_at), counted.changed_at))::float8 as "idleSeconds"
        from batches
        cross join lateral (
          select * from batch_attempts where batch_attempts.batch_id = batches.batch_id order by attempt desc limit 1
        ) last
        cross join lateral (
          select coalesce(sum(succeeded), 0)::int as succeeded, coalesce(sum(failed), 0)::int as failed,
            (count(*) filter (where outcome = 'done'))::int as done,
            (count(*) filter (where outcome = 'given_up'))::int as given_up, max(changed_at) as changed_at
          from batch_chunks where batch_chunks.attempt_id = last.attempt_id
        ) counted
        where batches.batch_id = any(${batchIds})`.execute(db);
      return rows;
    },

    /** The failed items of the last attempt in line order, starting after `after`. */
    async listBatchFailures(
      batchId: string,
      { after = { chunkIndex: 0, itemIndex: -1 }, limit }: { after?: FailurePosition; limit: number },
    ): Promise<(BatchFailure & { position: FailurePosition })[]> {
      const { attempt_id } = await findLastAttempt(db, batchId);
      const { rows } = await sql<FailedItemRow>`
        select chunk_index, item_index, staged, failure_reason from batch_chunks
        cross join lateral (${failedItemsSql}) as failed_item
        where attempt_id = ${attempt_id} and failed > 0 
          and (chunk_index, item_index) > (${after.chunkIndex}::int, ${after.itemIndex}::int)
          and chunk_index >= ${after.chunkIndex}
        order by chunk_index, item_index limit ${limit}`.execute(db);
      return rows.map(({ staged: [line, item], ...row }) => ({
        line,
        item,
        reason: row.failure_reason,
        position: { chunkIndex: row.chunk_index, itemIndex: row.item_index },
      }));
    },
  };
}

/** A batch in a list. Its counts are as of `progressAt`. */
export interface BatchRecord {
  batchId: string;
  /** Sort key of lists. Later batches have higher numbers. */
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

export interface BatchStats {
  operation: string;
  /** Items of the batch, over all attempts. */
  total: number;
  succeeded: number;
  failed: number;
  /** Chunks of the last attempt. */
  chunks: number;
  chunksDone: number;
  chunksGivenUp: number;
  idleSeconds: number;
}

/** A row of `failedItemsSql`. */
interface FailedItemRow {
  chunk_index: number;
  item_index: number;
  staged: [line: number, item: unknown];
  failure_reason: Reason;
}

interface BatchContent {
  total: number;
  chunks: number;
  hash: string;
}

/** A later execution of the batch has taken over. */
export class RunSupersededError extends Error {}

/**
 * The failed items of a batch_chunks row: items with a recorded failure, and unfinished items of a chunk that was given
 * up. `item_index` is the item's position in the chunk.
 */
const failedItemsSql = sql`
  select (ordinal - 1)::int as item_index, staged,
    case when recorded.index is null then batch_chunks.reason
      else json_build_object('type', recorded.type, 'message', recorded.message) end as failure_reason
  from json_array_elements(items) with ordinality as element (staged, ordinal)
  left join (
    select (failure ->> 0)::int as index, failure ->> 1 as type, failure ->> 2 as message
    from json_array_elements(failures) as failure
  ) recorded on recorded.index = ordinal - 1
  where recorded.index is not null or (outcome = 'given_up' and ordinal > processed_count)`;

/** Copies the failed items of one attempt into the chunks of another. */
async function copyFailedItems(
  tx: Transaction<Tables>,
  from: number,
  to: number,
  itemsPerChunk: number,
): Promise<void> {
  await sql`
    insert into batch_chunks (attempt_id, chunk_index, items, item_count)
    select ${to}, next_chunk, json_agg(staged order by chunk_index, item_index), count(*)
    from (
      select chunk_index, item_index, staged,
        (row_number() over (order by chunk_index, item_index) - 1) / ${itemsPerChunk}::int as next_chunk
      from batch_chunks cross join lateral (${failedItemsSql}) as failed_item
      where attempt_id = ${from} and failed > 0
    ) as numbered
    group by next_chunk`.execute(tx);
}

async function copyChunks(
  client: pg.PoolClient,
  attemptId: number,
  chunks: AsyncIterable<StagedItem[]>,
): Promise<BatchContent> {
  const content = { total: 0, chunks: 0, hash: '' };
  const hash = createHash('sha256');
  async function* rows() {
    for await (const chunk of chunks) {
      const items = chunkToJson(chunk);
      hash.update(items);
      // In COPY's text format only backslashes need escaping here: JSON has no raw tabs or newlines.
      yield `${attemptId}\t${content.chunks}\t${items.replaceAll('\\', '\\\\')}\t${chunk.length}\n`;
      content.chunks += 1;
      content.total += chunk.length;
    }
  }
  const copy = client.query(copyFrom('copy batch_chunks (attempt_id, chunk_index, items, item_count) from stdin'));
  await pipeline(Readable.from(rows(), { highWaterMark: 2 }), copy);
  content.hash = hash.digest('hex');
  return content;
}

async function hashChunks(chunks: AsyncIterable<StagedItem[]>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunkToJson(chunk));
  return hash.digest('hex');
}

const chunkToJson = (chunk: StagedItem[]) =>
  `[${chunk.map(({ line, item }) => `[${line},${JSON.stringify(item)}]`).join(',')}]`;

async function findBatchContent(db: Kysely<Tables>, batchId: string) {
  return await db
    .selectFrom('batches')
    .select(['operation', 'items_per_chunk', 'total', 'content_hash'])
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
}

function compareWithExisting(
  known: NonNullable<Awaited<ReturnType<typeof findBatchContent>>>,
  { operation, itemsPerChunk }: NewBatch,
  hash: string,
): StageBatchOutcome {
  const isSame =
    known.operation === operation && known.items_per_chunk === itemsPerChunk && known.content_hash === hash;
  return isSame ? { status: 'existing', total: known.total } : { status: 'taken' };
}

async function findLastAttempt(db: Kysely<Tables>, batchId: string) {
  return await db
    .selectFrom('batch_attempts')
    .selectAll()
    .where('batch_id', '=', batchId)
    .orderBy('attempt', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
}

async function countItems(db: Kysely<Tables>, attemptId: number) {
  const { rows } = await sql<{ succeeded: number; failed: number; recent: number }>`
    select coalesce(sum(succeeded), 0)::int as succeeded, coalesce(sum(failed), 0)::int as failed,
      coalesce(sum(succeeded + failed) filter (where changed_at > now() - make_interval(secs => ${RATE_WINDOW_SECONDS})), 0)::int as recent
    from batch_chunks where attempt_id = ${attemptId}`.execute(db);
  return rows[0]!;
}

const selectChunk = (db: Kysely<Tables>, { attemptId, chunkIndex }: ChunkKey) =>
  db.selectFrom('batch_chunks').where('attempt_id', '=', attemptId).where('chunk_index', '=', chunkIndex);

/**
 * Records the result of the first `count` items of a chunk. @returns false when the chunk was already done or given up.
 */
async function recordChunkResult(
  db: Kysely<Tables>,
  { attemptId, chunkIndex }: ChunkKey,
  state: { outcome: 'done' | null; processed_count?: number },
  count: number,
  failures: ItemFailure[],
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('batch_chunks')
    .set({
      ...state,
      succeeded: count - failures.length,
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

async function giveUpUnfinishedChunks(
  tx: Transaction<Tables>,
  attemptId: number,
  range: { first: number; count: number } | undefined,
  reason: Reason,
): Promise<void> {
  let open = tx
    .updateTable('batch_chunks')
    .set({
      outcome: 'given_up',
      failed: sql<number>`item_count - succeeded`,
      reason: JSON.stringify(reason),
      changed_at: sql<Date>`clock_timestamp()`,
    })
    .where('attempt_id', '=', attemptId)
    .where('outcome', 'is', null);
  if (range) open = open.where('chunk_index', '>=', range.first).where('chunk_index', '<', range.first + range.count);
  await open.execute();
}

/** An operation that returns invalid indexes would corrupt the counts permanently. */
function assertValidFailureIndexes(failures: ItemFailure[], itemCount: number): void {
  const indexes = new Set(failures.map(({ index }) => index));
  const areItems = [...indexes].every((index) => Number.isInteger(index) && index >= 0 && index < itemCount);
  if (indexes.size !== failures.length || !areItems)
    throw new Error('the operation returned an item index twice or outside of the chunk');
}

async function runLongTransaction<T>(db: Kysely<Tables>, run: (tx: Transaction<Tables>) => Promise<T>): Promise<T> {
  return await db.transaction().execute(async (tx) => {
    await setLocal(tx, 'statement_timeout', LONG_STATEMENT_TIMEOUT_MS);
    return await run(tx);
  });
}

/** Changes a setting until the end of the transaction. */
async function setLocal(tx: Transaction<Tables>, name: string, value: string): Promise<void> {
  await sql`select set_config(${name}, ${value}, true)`.execute(tx);
}

const toStagedItem = ([line, item]: [number, unknown]): StagedItem => ({ line, item });

/** PostgreSQL must be able to extract the reasons from JSON as text, or `failedItemsSql` fails for the whole batch. */
const toStoredFailure = ({ index, reason }: ItemFailure): [number, string, string] => [
  index,
  toWellFormedText(reason.type),
  toWellFormedText(reason.message),
];

const isUniqueViolation = (error: unknown) => error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION;
