import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import type { StagedItem } from '../../../src/store/batches/staging.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { createGate, useBatchStore } from '../../support/database/batch-store.js';
import { startCommitProxy } from '../../support/database/commit-proxy.js';
import { lockChunks } from '../../support/database/database-lock.js';
import { waitUntil } from '../../support/processes.js';

const DAY_MS = 86_400_000;
const dayAgo = () => new Date(Date.now() - DAY_MS);

/** An item of this length fills a part. */
const PART_LENGTH = 2 ** 20;

const batchStore = useBatchStore();
const { countRows, openAttempt, storedChunks } = batchStore;
let store: Store;
beforeAll(() => void ({ store } = batchStore));

const makeBatch = () => ({ batchId: randomUUID(), operation: 'restock', itemsPerChunk: 1 });

/** Yields chunks with one item each. Each chunk fills a part. */
async function* makeParts(count: number, from = 0): AsyncGenerator<StagedItem[]> {
  for (let line = from + 1; line <= from + count; line += 1)
    yield [{ line, item: { text: String(line).repeat(PART_LENGTH) } }];
}

/** Starts an upload that stores two parts, and then waits for its client until `resume` is called. */
async function startPausedUpload({ batch = makeBatch(), uploadStore = store } = {}) {
  const gate = createGate();
  async function* parts() {
    yield* makeParts(2);
    await gate.passed;
    yield* makeParts(2, 2);
  }
  const staged = uploadStore.stageBatch(batch, parts());
  staged.catch(() => undefined);
  const upload = await waitForTwoParts(batch.batchId);
  const resume = async () => {
    gate.open();
    return await staged;
  };
  return { batch, attemptId: upload.attempt_id, resume };
}

/** Waits until the database has two parts of an upload. */
const waitForTwoParts = (batchId: string) =>
  waitUntil(
    async () => {
      const row = await store.db
        .selectFrom('batch_uploads')
        .selectAll()
        .where('batch_id', '=', batchId)
        .executeTakeFirst();
      return row && (await storedChunks(row.attempt_id)).length === 2 ? row : undefined;
    },
    { description: 'two stored parts', timeoutMs: 15_000, intervalMs: 10 },
  );

const NO_ROWS = { batches: 0, attempts: 0, uploads: 0, orphans: 0 };
/** The items of a failed upload are deleted after its error was returned. */
const DELETION = { timeout: 15_000 };

const makeOld = (attemptId: number) =>
  sql`update batch_uploads set last_part_at = now() - interval '25 hours' where attempt_id = ${attemptId}`.execute(
    store.db,
  );

async function countChunks(attemptId: number): Promise<number> {
  return (await storedChunks(attemptId)).length;
}

describe('an upload in progress', () => {
  test('holds no transaction while it waits for its client, so vacuum removes rows that were deleted meanwhile', async () => {
    const { resume } = await startPausedUpload();
    const { rows } = await sql`
      select state, xact_start, backend_xmin from pg_stat_activity
      where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
        and (xact_start is not null or backend_xmin is not null)`.execute(store.db);
    expect(rows).toEqual([]);

    await store.addNotification({ key: 'deleted', cartId: 'cart', kind: 'abandoned' });
    await sql`delete from notifications`.execute(store.db);
    await sql`vacuum notifications`.execute(store.db);
    const { rows: sizes } = await sql`select pg_relation_size('notifications')::int as bytes`.execute(store.db);
    expect(sizes).toEqual([{ bytes: 0 }]);

    expect(await resume()).toEqual({ status: 'staged', total: 4 });
  });

  test('stores each part in a transaction of its own', async () => {
    const batch = makeBatch();
    await store.stageBatch(batch, makeParts(5));
    const { attemptId } = await openAttempt(batch.batchId, 'run');
    const { rows } = await sql`
      select count(distinct xmin::text)::int as transactions from batch_chunks where attempt_id = ${attemptId}`.execute(
      store.db,
    );
    expect(rows).toEqual([{ transactions: 5 }]);
  });

  test('is not a batch until its last transaction', async () => {
    const { batch, attemptId, resume } = await startPausedUpload();
    const { batchId } = batch;

    expect(await countRows(batchId)).toEqual({ batches: 0, attempts: 0, uploads: 1, orphans: 0 });
    expect(await store.countBatchProgress(batchId)).toBeUndefined();
    expect(await store.openAttempt(batchId, 'run')).toBeUndefined();
    expect((await store.listBatches({}, { limit: 100 })).map((listed) => listed.batchId)).not.toContain(batchId);

    await resume();
    expect(await countRows(batchId)).toEqual({ batches: 1, attempts: 1, uploads: 0, orphans: 0 });
    expect(await store.openAttempt(batchId, 'run')).toMatchObject({ attemptId, chunks: 4 });
    expect((await storedChunks(attemptId)).flat().map(({ line }) => line)).toEqual([1, 2, 3, 4]);
  });

  test('does not hinder another upload with the same id, and then returns "existing"', async () => {
    const { batch, attemptId, resume } = await startPausedUpload();

    expect(await store.stageBatch(batch, makeParts(4))).toEqual({ status: 'staged', total: 4 });

    expect(await resume()).toEqual({ status: 'existing', total: 4 });
    const published = { batches: 1, attempts: 1, uploads: 0, orphans: 0 };
    await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(published);
    expect(await countChunks(attemptId)).toBe(0);
  });

  test('keeps its items when the database commits the publication and the connection breaks', async () => {
    const proxy = await startCommitProxy(batchStore.database.url);
    const cut = openStore({ databaseUrl: proxy.url, maxConnections: 2, onIdleError: () => undefined });
    const batch = makeBatch();
    const committed = proxy.withholdNextCommit('insert into "batches"');
    const staged = cut.stageBatch(batch, makeParts(2)).catch((error: unknown) => error);
    await committed;
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and state = 'idle' and query = 'commit' and pid <> pg_backend_pid()`.execute(
      store.db,
    );

    expect(await staged).toBeInstanceOf(Error);
    await cut.close();
    await proxy.close();
    expect(await store.stageBatch(batch, makeParts(2))).toEqual({ status: 'existing', total: 2 });
    const { attemptId } = await openAttempt(batch.batchId, 'run');
    expect(await countChunks(attemptId)).toBe(2);
  });
});

test('an upload that fails returns its error before its items are deleted', async () => {
  const batch = makeBatch();
  async function* parts() {
    yield* makeParts(2);
    await failing.passed;
    throw new Error('invalid line');
  }
  const failing = createGate();
  let error: unknown;
  const staged = store.stageBatch(batch, parts()).catch((reason: unknown) => (error = reason));
  await waitForTwoParts(batch.batchId);
  const lock = await lockChunks(batchStore.database.url);
  failing.open();
  await lock.waitForBlocked();
  const errorDuringDeletion = error;
  await lock.release();
  await staged;

  expect(errorDuringDeletion).toEqual(new Error('invalid line'));
  await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(NO_ROWS);
});

describe('deleteAbandonedUploads', () => {
  test('deletes the items of uploads without a part for a day, and keeps younger uploads and batches', async () => {
    const [old, young, published] = [
      await startPausedUpload(),
      await startPausedUpload(),
      await startPausedUpload(),
    ] as const;
    await published.resume();
    await makeOld(old.attemptId);

    expect(await store.deleteAbandonedUploads(dayAgo())).toBe(1);

    expect(await countChunks(old.attemptId)).toBe(0);
    expect(await countChunks(young.attemptId)).toBe(2);
    expect(await countChunks(published.attemptId)).toBe(4);
    expect(await young.resume()).toEqual({ status: 'staged', total: 4 });
    expect(await store.deleteAbandonedUploads(dayAgo())).toBe(0);
    await expect(old.resume()).rejects.toThrow('the upload was abandoned');
    expect(await countRows(old.batch.batchId)).toEqual(NO_ROWS);
  });

  test('an upload that continues during the deletion stores no further item', async () => {
    const { batch, attemptId, resume } = await startPausedUpload();
    await makeOld(attemptId);
    await expect(store.deleteAbandonedUploads(dayAgo(), AbortSignal.abort(new Error('stopped')))).rejects.toThrow(
      'stopped',
    );
    expect(await countChunks(attemptId)).toBe(2);

    await expect(resume()).rejects.toThrow('the upload was abandoned');

    await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(NO_ROWS);
    expect(await countChunks(attemptId)).toBe(0);
  });

  test('continues a deletion that was interrupted, without waiting for another day', async () => {
    const { batch, attemptId } = await startPausedUpload();
    await sql`update batch_uploads set abandoned_at = now() where attempt_id = ${attemptId}`.execute(store.db);

    expect(await store.deleteAbandonedUploads(dayAgo())).toBe(1);

    expect(await countChunks(attemptId)).toBe(0);
    expect(await store.stageBatch(batch, makeParts(1))).toEqual({ status: 'staged', total: 1 });
  });
});
