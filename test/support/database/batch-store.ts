import { sql } from 'kysely';
import { afterAll, beforeAll, expect } from 'vitest';
import type { OpenAttempt } from '../../../src/store/batches/attempts.js';
import type { ChunkKey, ItemFailure } from '../../../src/store/batches/chunks.js';
import type { StagedItem } from '../../../src/store/batches/staging.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { waitUntil } from '../processes.js';
import { createMany } from '../create-many.js';
import { stageTestBatch } from '../shop/batches.js';
import { createDatabase } from './database.js';

export const MAX_CONNECTIONS = 10;

/** Returns a promise and the function that resolves the promise. */
export function createGate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

export const REJECTION = { type: 'Rejected', message: 'no' };
/** Returns one failure for each given position in a chunk. */
export const rejectionsAt = (...positions: number[]): ItemFailure[] =>
  positions.map((index) => ({ index, reason: REJECTION }));
export const linesOf = (items: { line: number }[]) => items.map(({ line }) => line);

/** Makes items in the form of an upload: `{"n": 1}`, `{"n": 2}`, … */
export const makeNumberedItems = (count: number) => createMany(count, (index) => ({ n: index + 1 }));

export type ApplyChunk = Parameters<Store['applyChunk']>[1];

type TestDatabase = Awaited<ReturnType<typeof createDatabase>>;

/** Waits until `count` uploads are in progress, or were cut off and not deleted yet. @throws after 15 seconds. */
export const waitForUploads = (store: Store, count: number) =>
  waitUntil(
    async () =>
      (await store.db.selectFrom('batch_uploads').select('attempt_id').execute()).length === count || undefined,
    { description: `${count} uploads in progress`, timeoutMs: 15_000, intervalMs: 10 },
  );

/** Counts the rows of a batch and of its uploads, and the chunks that belong to no attempt and no upload (`orphans`). */
export async function countBatchRows(store: Store, batchId: string) {
  const { rows } = await sql<{ batches: number; attempts: number; uploads: number; orphans: number }>`
    select
      (select count(*)::int from batches where batch_id = ${batchId}) as batches,
      (select count(*)::int from batch_attempts where batch_id = ${batchId}) as attempts,
      (select count(*)::int from batch_uploads where batch_id = ${batchId}) as uploads,
      (select count(*)::int from batch_chunks
        where attempt_id not in (select attempt_id from batch_attempts union all select attempt_id from batch_uploads)
      ) as orphans`.execute(store.db);
  return rows[0]!;
}

/** A store in a separate database, with helper functions for batch tests. */
export class BatchStore {
  database!: TestDatabase;
  store!: Store;

  /** Waits until `count` uploads are in progress. @throws after 15 seconds. */
  readonly waitForUploads = (count: number) => waitForUploads(this.store, count);

  /** Waits until at least `count` transactions wait for a lock. @throws after ten seconds. */
  readonly waitForBlockedTransactions = (count: number) =>
    waitUntil(
      async () => {
        const { rows } = await sql`
          select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(
          this.store.db,
        );
        return rows.length >= count || undefined;
      },
      { description: `${count} blocked transactions`, timeoutMs: 10_000, intervalMs: 10 },
    );

  /** Counts the rows of a batch and of its uploads, and the chunks that belong to no attempt and no upload (`orphans`). */
  readonly countRows = (batchId: string) => countBatchRows(this.store, batchId);

  /** Opens an attempt. The test fails if the attempt has no chunks. */
  readonly openAttempt = async (batchId: string, runId: string): Promise<OpenAttempt> => {
    const attempt = await this.store.openAttempt(batchId, runId);
    expect(attempt?.chunks).toBeGreaterThan(0);
    return attempt!;
  };

  /** Stages a batch and opens its first attempt. */
  readonly openStagedBatch = async (
    batch: Parameters<typeof stageTestBatch>[1],
  ): Promise<{ batchId: string; attemptId: number }> => {
    const batchId = await stageTestBatch(this.store, batch);
    const { attemptId } = await this.openAttempt(batchId, 'run');
    return { batchId, attemptId };
  };

  /** Returns the stored items of an attempt, one list per chunk. */
  readonly storedChunks = async (attemptId: number): Promise<StagedItem[][]> => {
    const rows = await this.store.db
      .selectFrom('batch_chunks')
      .select(['chunk_index', 'items', 'item_count'])
      .where('attempt_id', '=', attemptId)
      .orderBy('chunk_index')
      .execute();
    expect(rows.map(({ chunk_index }) => chunk_index)).toEqual(createMany(rows.length, (index) => index));
    expect(rows.map(({ items }) => items.length)).toEqual(rows.map(({ item_count }) => item_count));
    return rows.map(({ items }) => items.map(([line, item]) => ({ line, item })));
  };

  /** Applies a chunk and holds its transaction open until `resume` is called. */
  readonly holdChunkOpen = async (
    key: ChunkKey,
    apply: ApplyChunk = async () => [],
  ): Promise<{ resume: () => Promise<void> }> => {
    const [begun, gate] = [createGate(), createGate()];
    const applied = this.store.applyChunk(key, async (tx, items) => {
      begun.open();
      await gate.passed;
      return await apply(tx, items);
    });
    await Promise.race([begun.passed, applied]);
    return {
      async resume() {
        gate.open();
        await applied;
      },
    };
  };
}

/** Registers the hooks that create and drop the database of a test file. Tests can use the store after `beforeAll`. */
export function useBatchStore(): BatchStore {
  const batchStore = new BatchStore();
  beforeAll(async () => {
    batchStore.database = await createDatabase();
    batchStore.store = openStore({
      databaseUrl: batchStore.database.url,
      maxConnections: MAX_CONNECTIONS,
      onIdleError: () => undefined,
    });
  });
  afterAll(async () => {
    await batchStore.store.close();
    await batchStore.database.drop();
  });
  return batchStore;
}
