import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { BatchFailure, BatchStatus, BatchTally } from '../schemas/batch.js';
import type { Reason } from '../schemas/reason.js';
import { wellFormed } from '../temporal/payloads/text.js';
import type { Schema } from './schema.js';

/** Limit for statements that touch all chunks of a batch. They take about a second per few hundred thousand items. */
const LONG_STATEMENT_MS = String(10 * 60_000);

/** Window over which the rate is measured. */
const RATE_SECONDS = 10;

const UNIQUE_VIOLATION = '23505';

/** One item of an upload, with its 1-based line number. */
export interface StagedItem<Item = unknown> {
  line: number;
  item: Item;
}

export interface NewBatch {
  batchId: string;
  operation: string;
  itemsPerTask: number;
}

/** `existing`: the batch exists with the same content. `taken`: the batch exists with other content. */
export type StageOutcome = { status: 'staged' | 'existing'; total: number } | { status: 'taken' };

/** The work of one execution of a batch. */
export interface OpenRound {
  operation: string;
  /** Number of the batch. Later batches have higher numbers. */
  number: number;
  roundId: number;
  /** 1 for the first attempt of the batch, plus 1 for each retry. */
  round: number;
  tasks: number;
}

/** Identifies one chunk. */
export interface TaskKey {
  roundId: number;
  task: number;
}

/** Why an item of a chunk failed. `index` is the item's position in the chunk. */
export interface ItemFailure {
  index: number;
  reason: Reason;
}

/** State of a chunk whose items run one by one. All items before `position` are done. */
export interface TaskState {
  items: StagedItem[];
  position: number;
  failures: ItemFailure[];
}

/** A position in the list of failures: a chunk, and an item within the chunk. */
export interface FailurePlace {
  task: number;
  index: number;
}

export function createBatches(db: Kysely<Schema>, pool: pg.Pool) {
  return {
    /**
     * Stores a batch with all its items in one transaction. Every page except the last must have `itemsPerTask` items.
     * If `pages` throws, nothing is stored and the error is rethrown. Holds a few pages in memory at a time.
     */
    async stageBatch(batch: NewBatch, pages: AsyncIterable<StagedItem[]>): Promise<StageOutcome> {
      const known = await findContent(db, batch.batchId);
      if (known) return sameOrTaken(known, batch, await digest(pages));
      const client = await pool.connect();
      let content: Content | undefined;
      try {
        await client.query(`begin; set local statement_timeout = 0`);
        const { rows } = await client.query<{ id: number }>(
          `select nextval(pg_get_serial_sequence('batch_rounds', 'round_id'))::int as id`,
        );
        content = await copyTasks(client, rows[0]!.id, pages);
        await client.query(
          `insert into batches (batch_id, operation, items_per_task, total, content_hash) values ($1, $2, $3, $4, $5)`,
          [batch.batchId, batch.operation, batch.itemsPerTask, content.total, content.hash],
        );
        await client.query(
          `insert into batch_rounds (round_id, batch_id, round, tasks, succeeded_before) values ($1, $2, 1, $3, 0)`,
          [rows[0]!.id, batch.batchId, content.tasks],
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
        const first = isUniqueViolation(error) ? await findContent(db, batch.batchId) : undefined;
        if (!first || !content) throw error;
        return sameOrTaken(first, batch, content.hash);
      }
    },

    /**
     * Returns the work of an execution: all items at first, later the items that failed or never ran. Repeated calls of
     * the same execution return the same work, also after a reset. Gives up the unfinished chunks of an earlier
     * execution, whose late writes then have no effect. Records that the batch is running.
     *
     * @param runId the first run id of the execution, which a reset keeps.
     * @returns undefined when the batch does not exist; no tasks when nothing is left to do.
     * @throws RunSuperseded when a later execution has already opened the batch.
     */
    async openRound(batchId: string, runId: string, startedAt = new Date()): Promise<OpenRound | undefined> {
      return await longTransaction(db, async (tx) => {
        const batch = await tx
          .selectFrom('batches')
          .select(['operation', 'number', 'items_per_task'])
          .where('batch_id', '=', batchId)
          .forUpdate()
          .executeTakeFirst();
        if (!batch) return undefined;
        const { operation, number } = batch;
        const last = await lastRound(tx, batchId);
        const recordRunning = async () => {
          await tx
            .updateTable('batches')
            .set({ status: 'running', started_at: startedAt, closed_at: null })
            .where('batch_id', '=', batchId)
            .execute();
        };
        const answer = ({ round_id: roundId, round, tasks }: Pick<typeof last, 'round_id' | 'round' | 'tasks'>) => ({
          operation,
          number,
          roundId,
          round,
          tasks,
        });
        const own = await tx
          .selectFrom('batch_rounds')
          .select(['round_id', 'round', 'tasks'])
          .where('batch_id', '=', batchId)
          .where('opened_by', '=', runId)
          .executeTakeFirst();
        if (own && own.round_id === last.round_id) await recordRunning();
        if (own) return answer(own);
        if (last.opened_at && startedAt < last.opened_at) throw new RunSuperseded();
        await recordRunning();
        const opened = { opened_by: runId, opened_at: startedAt };
        if (last.opened_by === null) {
          await tx.updateTable('batch_rounds').set(opened).where('round_id', '=', last.round_id).execute();
          return answer(last);
        }
        await giveUp(tx, last.round_id, undefined, {
          type: 'RunEnded',
          message: `run ${last.opened_by} ended before it`,
        });
        const { succeeded, failed } = await countOf(tx, last.round_id);
        if (failed === 0) return answer({ ...last, tasks: 0 });
        const next = await tx
          .insertInto('batch_rounds')
          .values({
            batch_id: batchId,
            round: last.round + 1,
            ...opened,
            tasks: Math.ceil(failed / batch.items_per_task),
            succeeded_before: last.succeeded_before + succeeded,
          })
          .returning(['round_id', 'round', 'tasks'])
          .executeTakeFirstOrThrow();
        await copyFailed(tx, last.round_id, next.round_id, batch.items_per_task);
        return answer(next);
      });
    },

    /**
     * Applies a chunk and marks it as done in one transaction, so that it is applied exactly once. Skips a chunk that
     * is already done or given up, and waits for a concurrent call for the same chunk.
     */
    async applyTask(
      key: TaskKey,
      apply: (tx: Transaction<Schema>, items: StagedItem[]) => Promise<ItemFailure[]>,
    ): Promise<void> {
      await db.transaction().execute(async (tx) => {
        // Cost setting for SSDs, so that the planner uses the index. With the default cost it scans large tables.
        await set(tx, 'random_page_cost', '1.1');
        const row = await tasks(tx, key).select(['items', 'outcome', 'item_count']).forUpdate().executeTakeFirst();
        if (row?.outcome !== null) return;
        const failures = await apply(tx, row.items.map(toItem));
        assertDistinct(failures, row.item_count);
        await mark(tx, key, { outcome: 'done' }, row.item_count, failures);
      });
    },

    /** The state of a chunk whose items run one by one, or undefined when the chunk is done or given up. */
    async readTask(key: TaskKey): Promise<TaskState | undefined> {
      const row = await tasks(db, key).select(['items', 'outcome', 'position', 'failures']).executeTakeFirst();
      if (row?.outcome !== null) return undefined;
      const failures = (row.failures ?? []).map(([index, type, message]) => ({ index, reason: { type, message } }));
      const { position } = row;
      return { items: row.items.map(toItem), position, failures };
    },

    /**
     * Records that the items before `position` are done. @returns false when the chunk was already done or given up.
     */
    async noteProgress(
      key: TaskKey,
      { position, failures, isDone }: { position: number; failures: ItemFailure[]; isDone: boolean },
    ): Promise<boolean> {
      return await mark(db, key, { outcome: isDone ? 'done' : null, position }, position, failures);
    },

    /**
     * Counts the unfinished items of these chunks as failed. Calls that still run for them then have no effect; a
     * transaction that holds a chunk's lock finishes first.
     */
    async giveUpTasks(roundId: number, range: { first: number; count: number }, reason: Reason): Promise<void> {
      await longTransaction(db, (tx) => giveUp(tx, roundId, range, reason));
    },

    async hasBatch(batchId: string): Promise<boolean> {
      return (await findContent(db, batchId)) !== undefined;
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
    async recordProgress(
      batchId: string,
      { status, roundId, at, isFinal }: { status: BatchStatus; roundId: number; at: Date; isFinal: boolean },
    ): Promise<BatchTally | undefined> {
      const tally = await this.tallyBatch(batchId);
      if (!tally) return undefined;
      await db
        .updateTable('batches')
        .set({
          status: status === 'completed' && tally.failed > 0 ? 'completed_with_failures' : status,
          succeeded: tally.succeeded,
          failed: tally.failed,
          items_per_second: tally.itemsPerSecond ?? null,
          progress_at: sql<Date>`now()`,
          closed_at: isFinal ? sql<Date>`now()` : null,
        })
        .where('batch_id', '=', batchId)
        .where(({ or, eb, lit }) => or([lit(isFinal), eb('closed_at', 'is', null), eb('closed_at', '<', at)]))
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom('batch_rounds').where('batch_id', '=', batchId).where('round_id', '>', roundId))),
        )
        .execute();
      return tally;
    },

    /** Records that the execution of a staged batch has started, before a worker picks it up. */
    async recordStarted(batchId: string): Promise<void> {
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
    async tallyBatch(batchId: string): Promise<BatchTally | undefined> {
      const batch = await db
        .selectFrom('batches')
        .select(['operation', 'items_per_task', 'total'])
        .where('batch_id', '=', batchId)
        .executeTakeFirst();
      if (!batch) return undefined;
      const round = await lastRound(db, batchId);
      const { succeeded, failed, recent } = await longTransaction(db, (tx) => countOf(tx, round.round_id));
      const seconds = Math.min(RATE_SECONDS, (Date.now() - (round.opened_at?.getTime() ?? 0)) / 1000);
      return {
        operation: batch.operation,
        itemsPerTask: batch.items_per_task,
        total: batch.total,
        succeeded: round.succeeded_before + succeeded,
        failed,
        round: round.opened_by === null ? 0 : round.round,
        tasks: round.tasks,
        ...(recent > 0 && { itemsPerSecond: Math.round((recent / Math.max(seconds, 1)) * 10) / 10 }),
      };
    },

    /**
     * The progress of the last attempt of each of these batches. `idleSeconds` is the time since the last progress, or
     * since the attempt was opened.
     */
    async progressOf(batchIds: readonly string[]): Promise<BatchProgress[]> {
      const { rows } = await sql<BatchProgress>`
        select operation, total, succeeded_before + counted.succeeded as succeeded, counted.failed as failed, last.tasks,
          counted.done as "tasksDone", counted.given_up as "tasksGivenUp",
          extract(epoch from now() - greatest(coalesce(opened_at, created_at), counted.changed_at))::float8 as "idleSeconds"
        from batches
        cross join lateral (
          select * from batch_rounds where batch_rounds.batch_id = batches.batch_id order by round desc limit 1
        ) last
        cross join lateral (
          select coalesce(sum(succeeded), 0)::int as succeeded, coalesce(sum(failed), 0)::int as failed,
            (count(*) filter (where outcome = 'done'))::int as done,
            (count(*) filter (where outcome = 'given_up'))::int as given_up, max(changed_at) as changed_at
          from batch_tasks where batch_tasks.round_id = last.round_id
        ) counted
        where batches.batch_id = any(${batchIds})`.execute(db);
      return rows;
    },

    /** The failed items of the last attempt in line order, starting after `after`. */
    async listFailures(
      batchId: string,
      { after = { task: 0, index: -1 }, limit }: { after?: FailurePlace; limit: number },
    ): Promise<(BatchFailure & { place: FailurePlace })[]> {
      const { round_id } = await lastRound(db, batchId);
      const { rows } = await sql<{ task: number; i: number; staged: [number, unknown]; why: Reason }>`
        select task, i, staged, why from batch_tasks
        cross join lateral (${failedIn}) as failed_item
        where round_id = ${round_id} and failed > 0 and (task, i) > (${after.task}::int, ${after.index}::int)
          and task >= ${after.task}
        order by task, i limit ${limit}`.execute(db);
      return rows.map(({ task, i, staged: [line, item], why }) => ({
        line,
        item,
        reason: why,
        place: { task, index: i },
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

function toBatchRecord(row: Selectable<Schema['batches']>): BatchRecord {
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

export interface BatchProgress {
  operation: string;
  /** Items of the batch, over all attempts. */
  total: number;
  succeeded: number;
  failed: number;
  /** Chunks of the last attempt. */
  tasks: number;
  tasksDone: number;
  tasksGivenUp: number;
  idleSeconds: number;
}

interface Content {
  total: number;
  tasks: number;
  hash: string;
}

/** A later execution of the batch has taken over. */
export class RunSuperseded extends Error {}

/**
 * The failed items of a batch_tasks row: items with a recorded failure, and unfinished items of a chunk that was given
 * up. `i` is the item's position in the chunk.
 */
const failedIn = sql`
  select (place - 1)::int as i, staged,
    case when told.index is null then batch_tasks.reason
      else json_build_object('type', told.type, 'message', told.message) end as why
  from json_array_elements(items) with ordinality as element (staged, place)
  left join (
    select (failure ->> 0)::int as index, failure ->> 1 as type, failure ->> 2 as message
    from json_array_elements(failures) as failure
  ) told on told.index = place - 1
  where told.index is not null or (outcome = 'given_up' and place > position)`;

/** Copies the failed items of one attempt into the chunks of another. */
async function copyFailed(tx: Transaction<Schema>, from: number, to: number, itemsPerTask: number): Promise<void> {
  await sql`
    insert into batch_tasks (round_id, task, items, item_count)
    select ${to}, page, json_agg(staged order by task, i), count(*)
    from (
      select task, i, staged, (row_number() over (order by task, i) - 1) / ${itemsPerTask}::int as page
      from batch_tasks cross join lateral (${failedIn}) as failed_item
      where round_id = ${from} and failed > 0
    ) as numbered
    group by page`.execute(tx);
}

async function copyTasks(client: pg.PoolClient, roundId: number, pages: AsyncIterable<StagedItem[]>): Promise<Content> {
  const content = { total: 0, tasks: 0, hash: '' };
  const hash = createHash('sha256');
  async function* rows() {
    for await (const page of pages) {
      const items = textOf(page);
      hash.update(items);
      // In COPY's text format only backslashes need escaping here: JSON has no raw tabs or newlines.
      yield `${roundId}\t${content.tasks}\t${items.replaceAll('\\', '\\\\')}\t${page.length}\n`;
      content.tasks += 1;
      content.total += page.length;
    }
  }
  const copy = client.query(copyFrom('copy batch_tasks (round_id, task, items, item_count) from stdin'));
  await pipeline(Readable.from(rows(), { highWaterMark: 2 }), copy);
  content.hash = hash.digest('hex');
  return content;
}

async function digest(pages: AsyncIterable<StagedItem[]>): Promise<string> {
  const hash = createHash('sha256');
  for await (const page of pages) hash.update(textOf(page));
  return hash.digest('hex');
}

const textOf = (page: StagedItem[]) =>
  `[${page.map(({ line, item }) => `[${line},${JSON.stringify(item)}]`).join(',')}]`;

async function findContent(db: Kysely<Schema>, batchId: string) {
  return await db
    .selectFrom('batches')
    .select(['operation', 'items_per_task', 'total', 'content_hash'])
    .where('batch_id', '=', batchId)
    .executeTakeFirst();
}

function sameOrTaken(
  known: NonNullable<Awaited<ReturnType<typeof findContent>>>,
  { operation, itemsPerTask }: NewBatch,
  hash: string,
): StageOutcome {
  const isSame = known.operation === operation && known.items_per_task === itemsPerTask && known.content_hash === hash;
  return isSame ? { status: 'existing', total: known.total } : { status: 'taken' };
}

async function lastRound(db: Kysely<Schema>, batchId: string) {
  return await db
    .selectFrom('batch_rounds')
    .selectAll()
    .where('batch_id', '=', batchId)
    .orderBy('round', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
}

async function countOf(db: Kysely<Schema>, roundId: number) {
  const { rows } = await sql<{ succeeded: number; failed: number; recent: number }>`
    select coalesce(sum(succeeded), 0)::int as succeeded, coalesce(sum(failed), 0)::int as failed,
      coalesce(sum(succeeded + failed) filter (where changed_at > now() - make_interval(secs => ${RATE_SECONDS})), 0)::int as recent
    from batch_tasks where round_id = ${roundId}`.execute(db);
  return rows[0]!;
}

const tasks = (db: Kysely<Schema>, { roundId, task }: TaskKey) =>
  db.selectFrom('batch_tasks').where('round_id', '=', roundId).where('task', '=', task);

/**
 * Records the result of the first `count` items of a chunk. @returns false when the chunk was already done or given up.
 */
async function mark(
  db: Kysely<Schema>,
  { roundId, task }: TaskKey,
  state: { outcome: 'done' | null; position?: number },
  count: number,
  failures: ItemFailure[],
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('batch_tasks')
    .set({
      ...state,
      succeeded: count - failures.length,
      failed: failures.length,
      failures: failures.length ? JSON.stringify(failures.map(toStored)) : null,
      changed_at: sql<Date>`clock_timestamp()`,
    })
    .where('round_id', '=', roundId)
    .where('task', '=', task)
    .where('outcome', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

async function giveUp(
  tx: Transaction<Schema>,
  roundId: number,
  range: { first: number; count: number } | undefined,
  reason: Reason,
): Promise<void> {
  let open = tx
    .updateTable('batch_tasks')
    .set({
      outcome: 'given_up',
      failed: sql<number>`item_count - succeeded`,
      reason: JSON.stringify(reason),
      changed_at: sql<Date>`clock_timestamp()`,
    })
    .where('round_id', '=', roundId)
    .where('outcome', 'is', null);
  if (range) open = open.where('task', '>=', range.first).where('task', '<', range.first + range.count);
  await open.execute();
}

/** An operation that returns invalid indexes would corrupt the counts permanently. */
function assertDistinct(failures: ItemFailure[], itemCount: number): void {
  const indexes = new Set(failures.map(({ index }) => index));
  const areItems = [...indexes].every((index) => Number.isInteger(index) && index >= 0 && index < itemCount);
  if (indexes.size !== failures.length || !areItems)
    throw new Error('the operation named items twice, or none of the task');
}

async function longTransaction<T>(db: Kysely<Schema>, run: (tx: Transaction<Schema>) => Promise<T>): Promise<T> {
  return await db.transaction().execute(async (tx) => {
    await set(tx, 'statement_timeout', LONG_STATEMENT_MS);
    return await run(tx);
  });
}

/** Changes a setting until the end of the transaction. */
async function set(tx: Transaction<Schema>, name: string, value: string): Promise<void> {
  await sql`select set_config(${name}, ${value}, true)`.execute(tx);
}

const toItem = ([line, item]: [number, unknown]): StagedItem => ({ line, item });

/** PostgreSQL must be able to extract the reasons from JSON as text, or `failedIn` fails for the whole batch. */
const toStored = ({ index, reason }: ItemFailure): [number, string, string] => [
  index,
  wellFormed(reason.type),
  wellFormed(reason.message),
];

const isUniqueViolation = (error: unknown) => error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION;
