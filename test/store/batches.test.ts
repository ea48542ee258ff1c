import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunSupersededError, type OpenAttempt } from '../../src/store/batches/attempts.js';
import type { FailurePosition } from '../../src/store/batches/failed-items.js';
import type { ItemFailure, ChunkKey } from '../../src/store/batches/chunks.js';
import type { StagedItem } from '../../src/store/batches/staging.js';
import { openStore, type Store } from '../../src/store/index.js';
import { waitUntil } from '../support/processes.js';
import { createMany, splitIntoChunks, stageTestBatch, chunksOf } from '../support/shop/batches.js';
import { createDatabase } from '../support/database/database.js';

const MAX_CONNECTIONS = 10;

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: MAX_CONNECTIONS, onIdleError: () => undefined });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

/** A promise and the function that resolves it. */
function createGate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

const REJECTION = { type: 'Refused', message: 'no' };
const rejectionsAt = (...places: number[]): ItemFailure[] => places.map((index) => ({ index, reason: REJECTION }));
const linesOf = (items: { line: number }[]) => items.map(({ line }) => line);

/** Resolves when `count` connections run a COPY. */
const waitForCopies = (count: number) =>
  waitUntil(
    async () => {
      const { rows } = await sql`
        select from pg_stat_progress_copy where datname = current_database()`.execute(store.db);
      return rows.length === count || undefined;
    },
    { description: `${count} uploads being under way`, timeoutMs: 10_000, intervalMs: 10 },
  );

/** Resolves when `count` transactions wait for a lock. */
const waitForBlockedTransactions = (count: number) =>
  waitUntil(
    async () => {
      const { rows } = await sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(store.db);
      return rows.length >= count || undefined;
    },
    { description: `${count} transactions waiting`, timeoutMs: 10_000, intervalMs: 10 },
  );

/** Counts the rows of a batch, and chunk rows without an attempt. */
async function countRows(batchId: string): Promise<{ batches: number; attempts: number; orphans: number }> {
  const { rows } = await sql<{ batches: number; attempts: number; orphans: number }>`
    select
      (select count(*)::int from batches where batch_id = ${batchId}) as batches,
      (select count(*)::int from batch_attempts where batch_id = ${batchId}) as attempts,
      (select count(*)::int from batch_chunks where attempt_id not in (select attempt_id from batch_attempts)) as orphans`.execute(
    store.db,
  );
  return rows[0]!;
}
const NO_ROWS = { batches: 0, attempts: 0, orphans: 0 };
const ONE_BATCH = { batches: 1, attempts: 1, orphans: 0 };

/** Opens an attempt and expects it to have chunks. */
async function openAttempt(batchId: string, runId: string): Promise<OpenAttempt> {
  const attempt = await store.openAttempt(batchId, runId);
  expect(attempt?.chunks).toBeGreaterThan(0);
  return attempt!;
}

/** The stored items of an attempt, chunk by chunk. */
async function storedChunks(attemptId: number): Promise<StagedItem[][]> {
  const rows = await store.db
    .selectFrom('batch_chunks')
    .select(['chunk_index', 'items', 'item_count'])
    .where('attempt_id', '=', attemptId)
    .orderBy('chunk_index')
    .execute();
  expect(rows.map(({ chunk_index }) => chunk_index)).toEqual(createMany(rows.length, (index) => index));
  expect(rows.map(({ items }) => items.length)).toEqual(rows.map(({ item_count }) => item_count));
  return rows.map(({ items }) => items.map(([line, item]) => ({ line, item })));
}

type ApplyChunk = Parameters<Store['applyChunk']>[1];

/** Applies a chunk and holds its transaction open until `goOn` is called. */
async function holdChunkOpen(
  key: ChunkKey,
  apply: ApplyChunk = async () => [],
): Promise<{ goOn: () => Promise<void> }> {
  const [begun, gate] = [createGate(), createGate()];
  const applied = store.applyChunk(key, async (tx, items) => {
    begun.open();
    await gate.passed;
    return await apply(tx, items);
  });
  await Promise.race([begun.passed, applied]);
  return {
    async goOn() {
      gate.open();
      await applied;
    },
  };
}

const makeNumberedItems = (count: number) => createMany(count, (index) => ({ n: index + 1 }));

describe('stageBatch', () => {
  const makeBatch = (overrides: { operation?: string; itemsPerChunk?: number } = {}) => ({
    batchId: randomUUID(),
    operation: 'restock',
    itemsPerChunk: 2,
    ...overrides,
  });

  test('stores the pages of a batch as the chunks of a first attempt that no run has opened', async () => {
    const batch = makeBatch({ itemsPerChunk: 3 });

    expect(await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(7), 3))).toEqual({
      status: 'staged',
      total: 7,
    });

    expect(await store.countBatchProgress(batch.batchId)).toEqual({
      operation: 'restock',
      itemsPerChunk: 3,
      total: 7,
      succeeded: 0,
      failed: 0,
      attempt: 0,
      chunks: 3,
    });
    const { attemptId } = await openAttempt(batch.batchId, 'run');
    expect((await storedChunks(attemptId)).map(linesOf)).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
  });

  test('gives later batches higher numbers', async () => {
    const batchIds = [];
    for (let count = 0; count < 3; count += 1)
      batchIds.push(await stageTestBatch(store, { items: makeNumberedItems(1) }));
    const found = await Promise.all(batchIds.map((batchId) => store.openAttempt(batchId, 'run')));

    expect(found.map((attempt) => attempt!.batchNumber)).toEqual(
      found.map((attempt) => attempt!.batchNumber).toSorted((a, b) => a - b),
    );
    expect(new Set(found.map((attempt) => attempt!.batchNumber)).size).toBe(3);
  });

  test.each([0, 1, 2, 500])('throws and stores nothing if the upload breaks off after %i pages', async (count) => {
    const batch = makeBatch();
    const failure = new Error('the body broke off');
    async function* pages() {
      for await (const page of splitIntoChunks(makeNumberedItems(count * 2), 2)) yield page;
      throw failure;
    }

    await expect(store.stageBatch(batch, pages())).rejects.toBe(failure);

    expect(await countRows(batch.batchId)).toEqual(NO_ROWS);
    expect(await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(3), 2))).toEqual({
      status: 'staged',
      total: 3,
    });
  });

  test('leaks no connections when many uploads break off', async () => {
    const failure = new Error('the body broke off');
    async function* pages() {
      yield* splitIntoChunks(makeNumberedItems(2), 2);
      throw failure;
    }
    for (let count = 0; count < MAX_CONNECTIONS + 1; count += 1) {
      await expect(store.stageBatch(makeBatch(), pages())).rejects.toBe(failure);
    }
    const sharing = createMany(MAX_CONNECTIONS, () =>
      store.stageBatch(makeBatch(), splitIntoChunks(makeNumberedItems(4), 2)),
    );
    expect(await Promise.all(sharing)).toEqual(createMany(MAX_CONNECTIONS, () => ({ status: 'staged', total: 4 })));
  });

  test('throws and stores nothing when the database closes the connection, and succeeds on retry', async () => {
    const batch = makeBatch();
    const gate = createGate();
    async function* pages() {
      yield* splitIntoChunks(makeNumberedItems(2), 2);
      await gate.passed;
      yield* splitIntoChunks(makeNumberedItems(2), 2);
    }
    const staged = store.stageBatch(batch, pages()).catch((error: unknown) => String(error));
    await waitForCopies(1);
    await sql`select pg_terminate_backend(pid) from pg_stat_progress_copy where datname = current_database()`.execute(
      store.db,
    );
    gate.open();

    expect(await staged).toMatch(/connection|terminat|EPIPE|ECONNRESET/i);
    expect(await countRows(batch.batchId)).toEqual(NO_ROWS);
    expect(await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(2), 2))).toMatchObject({ status: 'staged' });
  });

  test('returns the existing batch for the same id and content', async () => {
    const batch = makeBatch();
    await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2));

    expect(await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2))).toEqual({
      status: 'existing',
      total: 5,
    });
    expect(await countRows(batch.batchId)).toEqual(ONE_BATCH);
  });

  test.each<[string, { operation?: string; itemsPerChunk?: number }, unknown[]]>([
    ['another operation', { operation: 'price-update' }, makeNumberedItems(5)],
    ['another number of items per chunk', { itemsPerChunk: 6 }, makeNumberedItems(5)],
    ['one item less', {}, makeNumberedItems(4)],
    ['one item more', {}, makeNumberedItems(6)],
    ['another item', {}, [{ n: 9 }, ...makeNumberedItems(5).slice(1)]],
    ['another item order', {}, makeNumberedItems(5).reverse()],
  ])('returns "taken" for a used id with %s and keeps the first batch', async (_description, change, items) => {
    const batch = makeBatch({ itemsPerChunk: 5 });
    await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 5));
    const other = { ...batch, ...change };

    expect(await store.stageBatch(other, splitIntoChunks(items, other.itemsPerChunk))).toEqual({ status: 'taken' });
    expect(await countRows(batch.batchId)).toEqual(ONE_BATCH);
    expect(await store.countBatchProgress(batch.batchId)).toMatchObject({
      operation: 'restock',
      itemsPerChunk: 5,
      total: 5,
    });
  });

  test('returns "taken" for the same items on other lines, because failures would name wrong lines', async () => {
    const batch = makeBatch();
    await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(2), 2));
    async function* delayedChunks(): AsyncGenerator<StagedItem[]> {
      for await (const page of splitIntoChunks(makeNumberedItems(2), 2))
        yield page.map(({ line, item }) => ({ line: line + 1, item }));
    }
    expect(await store.stageBatch(batch, delayedChunks())).toEqual({ status: 'taken' });
  });

  test('throws if a repeated upload breaks off, and keeps the batch', async () => {
    const batch = makeBatch();
    await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2));
    const failure = new Error('the body broke off');
    async function* pages() {
      yield* splitIntoChunks(makeNumberedItems(4), 2);
      throw failure;
    }
    await expect(store.stageBatch(batch, pages())).rejects.toBe(failure);
    expect(await countRows(batch.batchId)).toEqual(ONE_BATCH);
    expect(await store.countBatchProgress(batch.batchId)).toMatchObject({ total: 5, attempt: 0 });
  });

  describe('two concurrent uploads with one id', () => {
    /** Starts two uploads so that both run before either is stored. */
    async function stageBoth(first: unknown[], second: unknown[], batchId: string = randomUUID()) {
      const gate = createGate();
      async function* pages(items: unknown[]) {
        for await (const page of splitIntoChunks(items, 2)) {
          yield page;
          await gate.passed;
        }
      }
      const batch = { ...makeBatch(), batchId };
      const both = [first, second].map((items) => store.stageBatch(batch, pages(items)));
      await waitForCopies(2);
      gate.open();
      return { batchId, outcomes: (await Promise.all(both)).map(({ status }) => status) };
    }

    test('store one batch and report it as existing to the other, for the same content', async () => {
      for (let count = 0; count < 10; count += 1) {
        const { batchId, outcomes } = await stageBoth(makeNumberedItems(5), makeNumberedItems(5));

        expect(outcomes.toSorted()).toEqual(['existing', 'staged']);
        expect(await countRows(batchId)).toEqual(ONE_BATCH);
        const { attemptId } = await openAttempt(batchId, 'run');
        expect((await storedChunks(attemptId)).flat()).toHaveLength(5);
      }
    });

    test('store one batch and report the id as taken to the other, for different content', async () => {
      for (let count = 0; count < 10; count += 1) {
        const contents = [makeNumberedItems(3), makeNumberedItems(5)];
        const { batchId, outcomes } = await stageBoth(contents[0]!, contents[1]!);

        expect(outcomes.toSorted()).toEqual(['staged', 'taken']);
        expect(await countRows(batchId)).toEqual(ONE_BATCH);
        const { attemptId } = await openAttempt(batchId, 'run');
        expect((await storedChunks(attemptId)).flat().map(({ item }) => item)).toEqual(
          contents[outcomes.indexOf('staged')],
        );
      }
    });

    /** Blocks the upload that has claimed the id before its commit, until it is released. */
    async function pauseBeforeCommit() {
      const [held, gate] = [createGate(), createGate()];
      const lock = store.db.transaction().execute(async (tx) => {
        await sql`lock table batch_attempts in share mode`.execute(tx);
        held.open();
        await gate.passed;
      });
      await held.passed;
      return async () => {
        gate.open();
        await lock;
      };
    }

    test('wait for the commit of the first upload', async () => {
      const batch = makeBatch();
      const release = await pauseBeforeCommit();
      const first = store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2));
      await waitForBlockedTransactions(1);
      const [same, other] = [makeNumberedItems(5), makeNumberedItems(4)].map((items) =>
        store.stageBatch(batch, splitIntoChunks(items, 2)),
      );
      await waitForBlockedTransactions(3);
      await release();

      expect(await first).toEqual({ status: 'staged', total: 5 });
      expect(await same).toEqual({ status: 'existing', total: 5 });
      expect(await other).toEqual({ status: 'taken' });
      expect(await countRows(batch.batchId)).toEqual(ONE_BATCH);
    });

    test('store the second upload if the first one fails', async () => {
      const batch = makeBatch();
      const release = await pauseBeforeCommit();
      const first = store
        .stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2))
        .catch((error: unknown) => String(error));
      await waitForBlockedTransactions(1);
      const second = store.stageBatch(batch, splitIntoChunks(makeNumberedItems(4), 2));
      await waitForBlockedTransactions(2);
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into batch_attempts%'`.execute(
        store.db,
      );
      expect(await first).toMatch(/connection|terminat|EPIPE|ECONNRESET/i);
      await release();

      expect(await second).toEqual({ status: 'staged', total: 4 });
      expect(await countRows(batch.batchId)).toEqual(ONE_BATCH);
    });
  });

  describe('the content of items', () => {
    /** Stages items and reads them as an operation receives them. */
    async function storeAndRead(items: unknown[], itemsPerChunk: number): Promise<StagedItem[]> {
      const batchId = await stageTestBatch(store, { items, itemsPerChunk });
      const { attemptId, chunks } = await openAttempt(batchId, 'run');
      const seen: StagedItem[] = [];
      for (let chunkIndex = 0; chunkIndex < chunks; chunkIndex += 1) {
        await store.applyChunk({ attemptId, chunkIndex }, async (_tx, given) => {
          seen.push(...given);
          return [];
        });
      }
      return seen;
    }
    const toStagedItems = (items: unknown[]) => items.map((item, index) => ({ line: index + 1, item }));

    const awkward = [
      '\\',
      '\\\\',
      '\\.',
      '\\N',
      '\\n',
      '\\t',
      '\\x41',
      '\\u0041',
      'a\\',
      '\\\n',
      '"',
      '\\"',
      `'`,
      `''`,
      '$$',
      '\t',
      '\n',
      '\r',
      '\r\n',
      '\n\\.\n',
      '\b\f\v',
      '\u2028',
      '\u2029',
      '\u0000',
      '\u0001',
      '\u007f',
      '\ufeff',
      'ä',
      'ß',
      '漢字',
      '\u0301',
      '😀',
      '👩‍👩‍👧',
      '\ud800',
      '\udc00x',
      '',
      ' ',
      '{}',
      'null',
      '__proto__',
    ];

    test('survives a round trip with characters that are special in COPY or JSON', async () => {
      const items = [...awkward.map((text) => ({ text })), ...awkward.map((text) => ({ [text]: [text] }))];

      expect(await storeAndRead(items, 7)).toEqual(toStagedItems(items));
    });

    test('survives a round trip for any JSON, each item on its line', async () => {
      const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom(...awkward));
      const value = fc.letrec((tie) => ({
        value: fc.oneof(
          { maxDepth: 3 },
          text,
          fc.jsonValue(),
          fc.array(tie('value')),
          fc.dictionary(text, tie('value'), { noNullPrototype: true }),
        ),
      })).value;
      await fc.assert(
        fc.asyncProperty(
          fc.array(value, { minLength: 1, maxLength: 20 }),
          fc.integer({ min: 1, max: 8 }),
          async (items, itemsPerChunk) => {
            const sent = JSON.parse(JSON.stringify(items)) as unknown[];
            expect(await storeAndRead(items, itemsPerChunk)).toEqual(toStagedItems(sent));
          },
        ),
        { numRuns: 60 },
      );
    });
  });
});

describe('applyTask', () => {
  /** Stages a batch with one chunk and opens its attempt. */
  async function stageOneChunk(count = 3): Promise<{ batchId: string; key: ChunkKey }> {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(count) });
    const { attemptId } = await openAttempt(batchId, 'run');
    return { batchId, key: { attemptId, chunkIndex: 0 } };
  }
  const writeNotification = async (tx: Parameters<ApplyChunk>[0], batchId: string) => {
    await tx.insertInto('notifications').values({ key: randomUUID(), cart_id: batchId, kind: 'applied' }).execute();
  };
  const countNotifications = async (batchId: string) => (await store.listCartNotifications(batchId)).length;

  test('stores the effect together with the outcome and does nothing when repeated', async () => {
    const { batchId, key } = await stageOneChunk();
    let calls = 0;
    const apply: ApplyChunk = async (tx) => {
      calls += 1;
      await writeNotification(tx, batchId);
      return rejectionsAt(1);
    };
    await store.applyChunk(key, apply);
    await store.applyChunk(key, apply);

    expect([calls, await countNotifications(batchId)]).toEqual([1, 1]);
    expect(await chunksOf(store, batchId)).toEqual([{ outcome: 'done' }]);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 2, failed: 1 });
  });

  test('applies a chunk once when called concurrently', async () => {
    const { batchId, key } = await stageOneChunk();
    let calls = 0;
    const gate = createGate();
    const all = createMany(5, () =>
      store.applyChunk(key, async (tx) => {
        calls += 1;
        await writeNotification(tx, batchId);
        await gate.passed;
        return [];
      }),
    );
    await waitForBlockedTransactions(4);
    gate.open();
    await Promise.all(all);

    expect([calls, await countNotifications(batchId)]).toEqual([1, 1]);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 3, failed: 0 });
  });

  test('rolls back if applying throws, and lets a waiting call apply the chunk', async () => {
    const { batchId, key } = await stageOneChunk();
    const first = await holdChunkOpen(key, async (tx) => {
      await writeNotification(tx, batchId);
      throw new Error('no luck');
    });
    const second = store.applyChunk(key, async (tx) => {
      expect(await countNotifications(batchId)).toBe(0);
      await writeNotification(tx, batchId);
      return [];
    });
    await waitForBlockedTransactions(1);
    await expect(first.goOn()).rejects.toThrow('no luck');
    await second;

    expect(await countNotifications(batchId)).toBe(1);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 3, failed: 0 });
  });

  test('leaves the chunk open if applying throws', async () => {
    const { batchId, key } = await stageOneChunk();
    await expect(store.applyChunk(key, () => Promise.reject(new Error('no luck')))).rejects.toThrow('no luck');

    expect(await chunksOf(store, batchId)).toEqual([{ outcome: null }]);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0, failed: 0 });
  });

  test.each([[[0, 0]], [[3]], [[-1]], [[0.5]], [[0, 1, 2, 0]]])(
    'throws and stores nothing for impossible failure indexes %j',
    async (places) => {
      const { batchId, key } = await stageOneChunk(3);
      const applied = store.applyChunk(key, async (tx) => {
        await writeNotification(tx, batchId);
        return rejectionsAt(...places);
      });
      await expect(applied).rejects.toThrow(/items/);
      expect(await countNotifications(batchId)).toBe(0);
      expect(await chunksOf(store, batchId)).toEqual([{ outcome: null }]);
    },
  );

  test('applies nothing if there is no such chunk', async () => {
    const { key } = await stageOneChunk();
    const failIfApplied = () => Promise.reject(new Error('applied'));

    await store.applyChunk({ ...key, chunkIndex: 1 }, failIfApplied);
    await store.applyChunk({ attemptId: 2 ** 31 - 1, chunkIndex: 0 }, failIfApplied);
  });
});

describe('giveUpTasks', () => {
  async function openTestAttempt(chunkCount: number): Promise<{ batchId: string; attemptId: number }> {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(chunkCount * 2), itemsPerChunk: 2 });
    return { batchId, attemptId: (await openAttempt(batchId, 'run')).attemptId };
  }
  const outcomesOf = async (batchId: string) => (await chunksOf(store, batchId)).map(({ outcome }) => outcome);
  const REASON = { type: 'Stopped', message: 'it took too long' };

  test('counts the chunks in the range as failed and leaves the others', async () => {
    const { batchId, attemptId } = await openTestAttempt(5);
    await store.applyChunk({ attemptId, chunkIndex: 2 }, async () => rejectionsAt(0));
    await store.giveUpChunks(attemptId, { first: 1, count: 3 }, REASON);

    expect(await outcomesOf(batchId)).toEqual([null, 'given_up', 'done', 'given_up', null]);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 1, failed: 5 });
    expect(await store.listBatchFailures(batchId, { limit: 200 })).toMatchObject([
      ...[3, 4].map((line) => ({ line, reason: REASON })),
      { line: 5, reason: REJECTION },
      ...[7, 8].map((line) => ({ line, reason: REASON })),
    ]);
  });

  test('keeps the first reason when repeated', async () => {
    const { batchId, attemptId } = await openTestAttempt(1);
    await store.giveUpChunks(attemptId, { first: 0, count: 1 }, REASON);
    await store.giveUpChunks(attemptId, { first: 0, count: 1 }, { type: 'Later', message: 'late' });

    expect(await chunksOf(store, batchId)).toEqual([{ outcome: 'given_up', reason: 'Stopped' }]);
  });

  test('waits for a chunk that is being applied, which counts as done', async () => {
    const { batchId, attemptId } = await openTestAttempt(2);
    const applied = await holdChunkOpen({ attemptId, chunkIndex: 0 }, async () => rejectionsAt(1));
    const givenUp = store.giveUpChunks(attemptId, { first: 0, count: 2 }, REASON);
    await waitForBlockedTransactions(1);
    await Promise.all([applied.goOn(), givenUp]);

    expect(await outcomesOf(batchId)).toEqual(['done', 'given_up']);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 1, failed: 3 });
    expect(linesOf(await store.listBatchFailures(batchId, { limit: 200 }))).toEqual([2, 3, 4]);
  });

  test('gives up a chunk whose application throws', async () => {
    const { batchId, attemptId } = await openTestAttempt(1);
    const applied = await holdChunkOpen({ attemptId, chunkIndex: 0 }, () => Promise.reject(new Error('no luck')));
    const givenUp = store.giveUpChunks(attemptId, { first: 0, count: 1 }, REASON);
    await waitForBlockedTransactions(1);
    await expect(applied.goOn()).rejects.toThrow('no luck');
    await givenUp;

    expect(await outcomesOf(batchId)).toEqual(['given_up']);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0, failed: 2 });
  });

  test('makes a concurrent application wait and do nothing', async () => {
    const { batchId, attemptId } = await openTestAttempt(2);
    // The last chunk blocks giveUpTasks in the middle of its range.
    const last = await holdChunkOpen({ attemptId, chunkIndex: 1 });
    const givenUp = store.giveUpChunks(attemptId, { first: 0, count: 2 }, REASON);
    await waitForBlockedTransactions(1);
    let calls = 0;
    const first = store.applyChunk({ attemptId, chunkIndex: 0 }, async () => {
      calls += 1;
      return [];
    });
    await waitForBlockedTransactions(2);
    await Promise.all([last.goOn(), givenUp, first]);

    expect(calls).toBe(0);
    expect(await outcomesOf(batchId)).toEqual(['given_up', 'done']);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 2, failed: 2 });
  });

  test('counts each item once in a race with applyTask, and applies exactly the done chunks', async () => {
    const { batchId, attemptId } = await openTestAttempt(12);
    const applied = new Set<number>();
    const apply = (chunkIndex: number) =>
      store.applyChunk({ attemptId, chunkIndex }, async (tx) => {
        await tx
          .insertInto('notifications')
          .values({ key: randomUUID(), cart_id: batchId, kind: `${chunkIndex}` })
          .execute();
        applied.add(chunkIndex);
        return [];
      });
    await Promise.all(
      createMany(12, (chunkIndex) => {
        const both = [
          () => apply(chunkIndex),
          () => store.giveUpChunks(attemptId, { first: chunkIndex, count: 1 }, REASON),
        ];
        return Promise.all((chunkIndex % 2 ? both : both.toReversed()).map((run) => run()));
      }),
    );

    expect(await outcomesOf(batchId)).toEqual(
      createMany(12, (chunkIndex) => (applied.has(chunkIndex) ? 'done' : 'given_up')),
    );
    expect((await store.listCartNotifications(batchId)).map(Number).toSorted()).toEqual([...applied].toSorted());
    const succeeded = applied.size * 2;
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded, failed: 24 - succeeded });
  });
});

describe('noteProgress', () => {
  async function stageOneChunk(count: number): Promise<{ batchId: string; key: ChunkKey }> {
    const batchId = await stageTestBatch(store, {
      operation: 'call',
      items: makeNumberedItems(count),
      itemsPerChunk: count,
    });
    return { batchId, key: { attemptId: (await openAttempt(batchId, 'run')).attemptId, chunkIndex: 0 } };
  }

  test('continues from the recorded position with the failures so far', async () => {
    const { batchId, key } = await stageOneChunk(6);
    expect(await store.readChunk(key)).toMatchObject({ processedCount: 0, failures: [] });
    expect(await store.recordChunkProgress(key, { processedCount: 4, failures: rejectionsAt(1), isDone: false })).toBe(
      true,
    );

    expect(await store.readChunk(key)).toEqual({
      processedCount: 4,
      failures: rejectionsAt(1),
      items: makeNumberedItems(6).map((item, index) => ({ line: index + 1, item })),
    });
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 3, failed: 1 });
    expect(linesOf(await store.listBatchFailures(batchId, { limit: 10 }))).toEqual([2]);
  });

  test('records nothing for a chunk that is done or given up, which cannot be read either', async () => {
    const { batchId, key } = await stageOneChunk(4);
    await store.recordChunkProgress(key, { processedCount: 4, failures: rejectionsAt(3), isDone: true });

    expect(await store.recordChunkProgress(key, { processedCount: 2, failures: [], isDone: false })).toBe(false);
    expect(await store.readChunk(key)).toBeUndefined();
    await store.giveUpChunks(key.attemptId, { first: 0, count: 1 }, REJECTION);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 3, failed: 1 });

    const other = await stageOneChunk(4);
    await store.recordChunkProgress(other.key, { processedCount: 2, failures: [], isDone: false });
    await store.giveUpChunks(other.key.attemptId, { first: 0, count: 1 }, REJECTION);
    expect(await store.recordChunkProgress(other.key, { processedCount: 4, failures: [], isDone: true })).toBe(false);
    expect(await store.countBatchProgress(other.batchId)).toMatchObject({ succeeded: 2, failed: 2 });
  });

  test('returns nothing for an unknown chunk', async () => {
    const { key } = await stageOneChunk(1);
    expect(await store.readChunk({ ...key, chunkIndex: 7 })).toBeUndefined();
    expect(
      await store.recordChunkProgress({ ...key, chunkIndex: 7 }, { processedCount: 1, failures: [], isDone: true }),
    ).toBe(false);
  });

  test('replaces the failures of an earlier attempt with those of the next attempt', async () => {
    const { batchId, key } = await stageOneChunk(4);
    await store.recordChunkProgress(key, { processedCount: 2, failures: rejectionsAt(0, 1), isDone: false });
    await store.recordChunkProgress(key, { processedCount: 2, failures: [], isDone: false });
    await store.giveUpChunks(key.attemptId, { first: 0, count: 1 }, REJECTION);

    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 2, failed: 2 });
    expect(linesOf(await store.listBatchFailures(batchId, { limit: 10 }))).toEqual([3, 4]);
    const { attemptId } = await openAttempt(batchId, 'another run');
    expect((await storedChunks(attemptId)).map(linesOf)).toEqual([[3, 4]]);
  });
});

describe('openAttempt', () => {
  test('returns nothing for an unknown batch', async () => {
    expect(await store.openAttempt(randomUUID(), 'run')).toBeUndefined();
  });

  test('opens all items for a run and returns the same attempt when repeated', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(5), itemsPerChunk: 2 });
    const first = await store.openAttempt(batchId, 'run');

    expect(first).toEqual({
      operation: 'restock',
      attempt: 1,
      chunks: 3,
      batchNumber: expect.any(Number),
      attemptId: expect.any(Number),
    });
    await store.applyChunk({ attemptId: first!.attemptId, chunkIndex: 0 }, async () => rejectionsAt(0));
    expect(await store.openAttempt(batchId, 'run')).toEqual(first);
    expect(await chunksOf(store, batchId)).toEqual([{ outcome: 'done' }, { outcome: null }, { outcome: null }]);
  });

  test('opens failed and unprocessed items for another run, in full chunks with their lines kept', async () => {
    const batchId = await stageTestBatch(store, { operation: 'call', items: makeNumberedItems(14), itemsPerChunk: 4 });
    const { attemptId } = await openAttempt(batchId, 'run');
    await store.recordChunkProgress(
      { attemptId, chunkIndex: 0 },
      { processedCount: 4, failures: rejectionsAt(2), isDone: true },
    );
    await store.recordChunkProgress(
      { attemptId, chunkIndex: 1 },
      { processedCount: 2, failures: rejectionsAt(1), isDone: false },
    );
    await store.giveUpChunks(attemptId, { first: 2, count: 1 }, REJECTION);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 4, failed: 6, attempt: 1, chunks: 4 });

    const next = await openAttempt(batchId, 'another run');

    expect(next).toMatchObject({ operation: 'call', attempt: 2, chunks: 3 });
    const left = [3, 6, 7, 8, 9, 10, 11, 12, 13, 14];
    expect(await storedChunks(next.attemptId)).toEqual(
      [left.slice(0, 4), left.slice(4, 8), left.slice(8)].map((lines) =>
        lines.map((line) => ({ line, item: { n: line } })),
      ),
    );
    expect(await store.countBatchProgress(batchId)).toMatchObject({
      succeeded: 4,
      failed: 0,
      total: 14,
      attempt: 2,
      chunks: 3,
    });
    expect(await store.readChunk({ attemptId: next.attemptId, chunkIndex: 0 })).toMatchObject({
      processedCount: 0,
      failures: [],
    });
  });

  test('opens no chunks once every item has succeeded', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    const { attemptId } = await openAttempt(batchId, 'run');
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => []);

    for (const runId of ['another run', 'yet another run']) {
      expect(await store.openAttempt(batchId, runId)).toMatchObject({ attempt: 1, chunks: 0 });
    }
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 3, failed: 0, attempt: 1 });
  });

  test('gives every concurrent run an attempt and leaves open chunks only in the last one', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(5), itemsPerChunk: 2 });
    const startedAt = new Date();
    const attempts = await Promise.all(createMany(6, (index) => store.openAttempt(batchId, `run ${index}`, startedAt)));

    expect(attempts.map((attempt) => attempt!.attempt).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    for (const attempt of attempts) {
      const read = await Promise.all(
        createMany(attempt!.chunks, (chunkIndex) => store.readChunk({ attemptId: attempt!.attemptId, chunkIndex })),
      );
      const open = read.flatMap((chunk) => (chunk ? linesOf(chunk.items) : []));
      expect(open).toEqual(attempt!.attempt === 6 ? [1, 2, 3, 4, 5] : []);
    }
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0, failed: 0, attempt: 6 });
  });

  test('opens no item twice for two concurrent retries', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(6), itemsPerChunk: 2 });
    const { attemptId } = await openAttempt(batchId, 'run');
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => rejectionsAt(0));
    const startedAt = new Date();
    const both = await Promise.all(['b', 'c'].map((runId) => store.openAttempt(batchId, runId, startedAt)));
    const [second, third] = both.toSorted((a, b) => a!.attempt - b!.attempt);

    expect([second, third]).toMatchObject([
      { attempt: 2, chunks: 3 },
      { attempt: 3, chunks: 3 },
    ]);
    expect(await chunksOf(store, batchId)).toEqual(createMany(3, () => ({ outcome: null })));
    expect(await store.readChunk({ attemptId: second!.attemptId, chunkIndex: 0 })).toBeUndefined();
    expect((await storedChunks(third!.attemptId)).flat().map(({ line }) => line)).toEqual([1, 3, 4, 5, 6]);
  });

  test('opens one attempt for concurrent calls of the same run', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    await openAttempt(batchId, 'run');
    const startedAt = new Date();
    const both = await Promise.all(createMany(4, () => store.openAttempt(batchId, 'another run', startedAt)));

    expect(both).toEqual(createMany(4, () => both[0]));
    expect(both[0]).toMatchObject({ attempt: 2, chunks: 1 });
  });

  test('changes nothing when an earlier run repeats its call', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    const first = await store.openAttempt(batchId, 'run');
    const { attemptId } = await openAttempt(batchId, 'another run');

    expect(await store.openAttempt(batchId, 'run')).toEqual(first);
    expect(await store.readChunk({ attemptId, chunkIndex: 0 })).toMatchObject({ processedCount: 0 });
    expect(await store.countBatchProgress(batchId)).toMatchObject({ attempt: 2, failed: 0 });
  });

  test('rejects a run that was started before the current one and changes nothing', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    const secondsLater = (seconds: number) => new Date(Date.now() - 60_000 + seconds * 1_000);
    const { attemptId } = (await store.openAttempt(batchId, 'second', secondsLater(2)))!;
    for (const startedAt of [secondsLater(0), secondsLater(1)]) {
      await expect(store.openAttempt(batchId, 'first', startedAt)).rejects.toBeInstanceOf(RunSupersededError);
    }
    expect(await store.readChunk({ attemptId, chunkIndex: 0 })).toMatchObject({ processedCount: 0 });
    expect(await store.openAttempt(batchId, 'second', secondsLater(2))).toMatchObject({ attemptId, attempt: 1 });
    expect(await store.openAttempt(batchId, 'third', secondsLater(3))).toMatchObject({ attempt: 2, chunks: 1 });
    await expect(store.openAttempt(batchId, 'between', secondsLater(2.5))).rejects.toBeInstanceOf(RunSupersededError);
  });

  describe('chunks of an earlier run that are still being applied', () => {
    async function stageTwoChunks() {
      const batchId = await stageTestBatch(store, { items: makeNumberedItems(4), itemsPerChunk: 2 });
      const { attemptId } = await openAttempt(batchId, 'run');
      const applied: number[] = [];
      const recordItems: ApplyChunk = async (_tx, items) => {
        applied.push(...linesOf(items));
        return [];
      };
      const applyAll = async (attempt: { attemptId: number; chunks: number }) => {
        for (let chunkIndex = 0; chunkIndex < attempt.chunks; chunkIndex += 1)
          await store.applyChunk({ attemptId: attempt.attemptId, chunkIndex }, recordItems);
      };
      return { batchId, attemptId, applied, note: recordItems, applyAll };
    }

    test('make the new attempt wait, which then excludes their items', async () => {
      const { batchId, attemptId, applied, note: recordItems, applyAll } = await stageTwoChunks();
      const late = await holdChunkOpen({ attemptId, chunkIndex: 1 }, recordItems);
      const opening = openAttempt(batchId, 'another run');
      await waitForBlockedTransactions(1);
      await late.goOn();
      const next = await opening;
      expect((await storedChunks(next.attemptId)).map(linesOf)).toEqual([[1, 2]]);
      await applyAll(next);

      expect(applied).toEqual([3, 4, 1, 2]);
      expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 4, failed: 0 });
    });

    test('do nothing if they start while the new attempt is being opened', async () => {
      const { batchId, attemptId, applied, note: recordItems, applyAll } = await stageTwoChunks();
      const holdsUp = await holdChunkOpen({ attemptId, chunkIndex: 1 }, recordItems);
      const opening = openAttempt(batchId, 'another run');
      await waitForBlockedTransactions(1);
      const late = store.applyChunk({ attemptId, chunkIndex: 0 }, recordItems);
      await waitForBlockedTransactions(2);
      await Promise.all([holdsUp.goOn(), late]);
      await applyAll(await opening);

      expect(applied).toEqual([3, 4, 1, 2]);
      expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 4, failed: 0 });
    });

    test('do nothing if they start after the new attempt was opened', async () => {
      const { batchId, attemptId, applied, applyAll } = await stageTwoChunks();
      const next = await openAttempt(batchId, 'another run');
      await applyAll({ attemptId, chunks: 2 });
      expect(applied).toEqual([]);
      expect(
        await store.recordChunkProgress(
          { attemptId, chunkIndex: 0 },
          { processedCount: 2, failures: [], isDone: true },
        ),
      ).toBe(false);
      await applyAll(next);

      expect(applied).toEqual([1, 2, 3, 4]);
      expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 4, failed: 0 });
    });

    test('process no item twice in a race with the new attempt', async () => {
      for (let count = 0; count < 10; count += 1) {
        const { batchId, applied, note: recordItems, applyAll, attemptId } = await stageTwoChunks();
        const old = createMany(2, (chunkIndex) => store.applyChunk({ attemptId, chunkIndex }, recordItems));
        const fresh = store.openAttempt(batchId, 'another run').then((attempt) => applyAll(attempt!));
        await Promise.all([...old, fresh]);

        expect(applied.toSorted()).toEqual([1, 2, 3, 4]);
        expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 4, failed: 0 });
      }
    });
  });
});

describe('tallyBatch', () => {
  test('returns nothing for an unknown batch', async () => {
    expect(await store.countBatchProgress(randomUUID())).toBeUndefined();
  });

  test('adds up successes over all attempts and counts failures of the last attempt', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(6), itemsPerChunk: 3 });
    const seen: number[][] = [];
    const poll = async () => {
      const { attempt, chunks, succeeded, failed } = (await store.countBatchProgress(batchId))!;
      seen.push([attempt, chunks, succeeded, failed]);
    };
    await poll();
    const first = await openAttempt(batchId, 'run 1');
    await store.applyChunk({ attemptId: first.attemptId, chunkIndex: 0 }, async () => rejectionsAt(0, 2));
    await poll();
    const second = await openAttempt(batchId, 'run 2');
    await poll();
    await store.applyChunk({ attemptId: second.attemptId, chunkIndex: 0 }, async () => []);
    await store.applyChunk({ attemptId: second.attemptId, chunkIndex: 1 }, async () => rejectionsAt(0, 1));
    await poll();
    const third = await openAttempt(batchId, 'run 3');
    await store.applyChunk({ attemptId: third.attemptId, chunkIndex: 0 }, async () => []);
    await poll();

    expect(seen).toEqual([
      [0, 2, 0, 0],
      [1, 2, 1, 2],
      [2, 2, 1, 0],
      [2, 2, 4, 2],
      [3, 1, 6, 0],
    ]);
  });

  test('has a rate only while items were processed in the last seconds', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(20), itemsPerChunk: 20 });
    expect(await store.countBatchProgress(batchId)).not.toHaveProperty('itemsPerSecond');
    const { attemptId } = await openAttempt(batchId, 'run');
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => []);
    expect((await store.countBatchProgress(batchId))!.itemsPerSecond).toBeGreaterThan(0);

    const backdate = (seconds: number) => sql`
      update batch_chunks set changed_at = now() - make_interval(secs => ${seconds}) where attempt_id = ${attemptId}`;
    await sql`update batch_attempts set opened_at = now() - interval '1 minute' where attempt_id = ${attemptId}`.execute(
      store.db,
    );
    await backdate(5).execute(store.db);
    expect((await store.countBatchProgress(batchId))!.itemsPerSecond).toBe(2);
    await backdate(30).execute(store.db);
    expect(await store.countBatchProgress(batchId)).not.toHaveProperty('itemsPerSecond');
  });
});

describe('listFailures', () => {
  /** Reads all pages of the list, one after another. */
  async function pagesOfFailures(batchId: string, limit: number) {
    const pages = [];
    let after: FailurePosition | undefined;
    for (;;) {
      const page = await store.listBatchFailures(batchId, { limit, ...(after && { after }) });
      if (page.length === 0) return pages;
      pages.push(page);
      after = page.at(-1)!.position;
    }
  }

  test('is empty without failures', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    expect(await store.listBatchFailures(batchId, { limit: 10 })).toEqual([]);
    const { attemptId } = await openAttempt(batchId, 'run');
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => []);
    expect(await store.listBatchFailures(batchId, { limit: 10 })).toEqual([]);
  });

  test('lists failures of all kinds in the order of their lines, for any page size', async () => {
    const batchId = await stageTestBatch(store, { operation: 'call', items: makeNumberedItems(18), itemsPerChunk: 3 });
    const { attemptId } = await openAttempt(batchId, 'run');
    const key = (chunkIndex: number) => ({ attemptId, chunkIndex });
    const [other, stopped] = [
      { type: 'Other', message: 'by the way' },
      { type: 'Stopped', message: 'it took too long' },
    ];
    await store.recordChunkProgress(key(1), { processedCount: 2, failures: rejectionsAt(1), isDone: false });
    await store.giveUpChunks(attemptId, { first: 0, count: 2 }, stopped);
    await store.applyChunk(key(2), async () => [{ index: 2, reason: other }, ...rejectionsAt(0)]);
    await store.applyChunk(key(3), async () => []);
    await store.recordChunkProgress(key(4), { processedCount: 3, failures: rejectionsAt(0, 1, 2), isDone: true });
    await store.recordChunkProgress(key(5), { processedCount: 1, failures: rejectionsAt(0), isDone: false });

    const expected = [
      ...[1, 2, 3].map((line) => [line, stopped]),
      [5, REJECTION],
      [6, stopped],
      [7, REJECTION],
      [9, other],
      ...[13, 14, 15].map((line) => [line, REJECTION]),
      [16, REJECTION],
    ];
    for (let limit = 1; limit <= expected.length + 1; limit += 1) {
      const pages = await pagesOfFailures(batchId, limit);
      const found = pages.flat();
      expect(found.map(({ line, reason }) => [line, reason])).toEqual(expected);
      expect(found.map(({ item }) => item)).toEqual(found.map(({ line }) => ({ n: line })));
      expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
    }
    expect((await store.countBatchProgress(batchId))!.failed).toBe(expected.length);
  });

  test('lists no failures of earlier attempts once a retry has started', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    const { attemptId } = await openAttempt(batchId, 'run');
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => rejectionsAt(0, 1, 2));
    expect(await store.listBatchFailures(batchId, { limit: 10 })).toHaveLength(3);
    await openAttempt(batchId, 'another run');
    expect(await store.listBatchFailures(batchId, { limit: 10 })).toEqual([]);
  });

  test.each([
    ['a\0b', 'a\ufffdb'],
    ['lone \ud800', 'lone \ufffd'],
    ['\\u0000', '\\u0000'],
    ['"quoted"\n\\', '"quoted"\n\\'],
    ['😀', '😀'],
  ])('stores the failure message %j as %j, and its items can be retried', async (message, shown) => {
    const item = { text: message };
    const batchId = await stageTestBatch(store, { operation: 'call', items: [item, item, item], itemsPerChunk: 2 });
    const { attemptId } = await openAttempt(batchId, 'run');
    const failures = [{ index: 0, reason: { type: message, message } }];
    await store.recordChunkProgress({ attemptId, chunkIndex: 0 }, { processedCount: 1, failures, isDone: false });
    await store.applyChunk({ attemptId, chunkIndex: 1 }, async () => failures);
    await store.giveUpChunks(attemptId, { first: 0, count: 1 }, { type: 'Stopped', message });

    const reason = { type: shown, message: shown };
    expect(await store.listBatchFailures(batchId, { limit: 10 })).toMatchObject([
      { line: 1, item, reason },
      { line: 2, item, reason: { type: 'Stopped', message } },
      { line: 3, item, reason },
    ]);
    const next = await openAttempt(batchId, 'another run');
    expect((await storedChunks(next.attemptId)).flat()).toEqual([1, 2, 3].map((line) => ({ line, item })));
  });
});

describe('random sequences of attempts', () => {
  /** The outcome of one chunk of an attempt, with indexes that are limited to its size. */
  type Fate =
    | { kind: 'applied'; failing: number[] }
    | { kind: 'recorded'; processedCount: number; failing: number[]; givenUp: boolean }
    | { kind: 'given up' | 'never run' };

  const failing = fc.uniqueArray(fc.nat({ max: 6 }), { maxLength: 4 });
  const fate: fc.Arbitrary<Fate> = fc.oneof(
    fc.record({ kind: fc.constant('applied' as const), failing }),
    fc.record({
      kind: fc.constant('recorded' as const),
      processedCount: fc.nat({ max: 7 }),
      failing,
      givenUp: fc.boolean(),
    }),
    fc.record({ kind: fc.constantFrom('given up' as const, 'never run' as const) }),
  );
  const scenario = fc.record({
    count: fc.integer({ min: 1, max: 25 }),
    itemsPerChunk: fc.integer({ min: 1, max: 7 }),
    attempts: fc.array(fc.array(fate, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 }),
  });

  test('let each item succeed at most once, with counts and lists that agree', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ count, itemsPerChunk, attempts }) => {
        const batchId = await stageTestBatch(store, {
          operation: 'call',
          items: makeNumberedItems(count),
          itemsPerChunk,
        });
        let left = createMany(count, (index) => index + 1);
        for (const [nth, fates] of attempts.entries()) {
          const attempt = (await store.openAttempt(batchId, `run ${nth}`))!;
          if (left.length === 0) {
            expect(attempt.chunks).toBe(0);
            continue;
          }
          const cut = createMany(Math.ceil(left.length / itemsPerChunk), (n) =>
            left.slice(n * itemsPerChunk, (n + 1) * itemsPerChunk),
          );
          expect(attempt).toMatchObject({ attempt: nth + 1, chunks: cut.length });
          expect((await storedChunks(attempt.attemptId)).map(linesOf)).toEqual(cut);

          const failed: [number, string][] = [];
          const open: number[] = [];
          for (const [chunkIndex, lines] of cut.entries()) {
            const key = { attemptId: attempt.attemptId, chunkIndex };
            const fate = fates[chunkIndex % fates.length]!;
            const wrong = 'failing' in fate ? fate.failing.filter((place) => place < lines.length).toSorted() : [];
            const giveUp = () =>
              store.giveUpChunks(attempt.attemptId, { first: chunkIndex, count: 1 }, { type: 'Stopped', message: '' });
            if (fate.kind === 'applied') {
              await store.applyChunk(key, async () => rejectionsAt(...wrong));
              failed.push(...wrong.map((place): [number, string] => [lines[place]!, 'Refused']));
            } else if (fate.kind === 'recorded') {
              const processedCount = Math.min(fate.processedCount, lines.length);
              const isDone = processedCount === lines.length;
              const before = wrong.filter((place) => place < processedCount);
              await store.recordChunkProgress(key, { processedCount, failures: rejectionsAt(...before), isDone });
              failed.push(...before.map((place): [number, string] => [lines[place]!, 'Refused']));
              if (fate.givenUp) {
                await giveUp();
                failed.push(...lines.slice(processedCount).map((line): [number, string] => [line, 'Stopped']));
              } else open.push(...lines.slice(processedCount));
            } else if (fate.kind === 'given up') {
              await giveUp();
              failed.push(...lines.map((line): [number, string] => [line, 'Stopped']));
            } else open.push(...lines);
          }

          const listed = await store.listBatchFailures(batchId, { limit: 200 });
          expect(listed.map(({ line, reason }) => [line, reason.type])).toEqual(failed);
          const unfinished = failed.length + open.length;
          expect(await store.countBatchProgress(batchId)).toMatchObject({
            total: count,
            succeeded: count - unfinished,
            failed: failed.length,
            attempt: nth + 1,
          });
          left = [...failed.map(([line]) => line), ...open].toSorted((a, b) => a - b);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('progressOf', () => {
  const REASON = { type: 'Stopped', message: 'it took too long' };

  async function openPartlyProcessedBatch(): Promise<{ batchId: string; attemptId: number }> {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(10), itemsPerChunk: 2 });
    const { attemptId } = await openAttempt(batchId, 'first');
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => rejectionsAt(1));
    await store.giveUpChunks(attemptId, { first: 3, count: 2 }, REASON);
    return { batchId, attemptId };
  }

  test('counts every running batch and skips unknown ids', async () => {
    const { batchId } = await openPartlyProcessedBatch();
    const other = await stageTestBatch(store, {
      operation: 'price-update',
      items: makeNumberedItems(3),
      itemsPerChunk: 3,
    });

    const progress = await store.readBatchStats([batchId, randomUUID(), other]);

    expect(progress.sort((one, two) => two.total - one.total)).toEqual([
      {
        operation: 'restock',
        total: 10,
        succeeded: 1,
        failed: 5,
        chunks: 5,
        chunksDone: 1,
        chunksGivenUp: 2,
        idleSeconds: expect.any(Number),
      },
      {
        operation: 'price-update',
        total: 3,
        succeeded: 0,
        failed: 0,
        chunks: 1,
        chunksDone: 0,
        chunksGivenUp: 0,
        idleSeconds: expect.any(Number),
      },
    ]);
    expect(await store.readBatchStats([])).toEqual([]);
  });

  test('counts items over all runs, but chunks of the last run only', async () => {
    const { batchId } = await openPartlyProcessedBatch();
    await openAttempt(batchId, 'second');

    expect(await store.readBatchStats([batchId])).toMatchObject([
      { total: 10, succeeded: 1, failed: 0, chunksDone: 0, chunksGivenUp: 0 },
    ]);
  });

  test('measures idle time from the last finished chunk, or from the opening of the attempt', async () => {
    const { batchId, attemptId } = await openPartlyProcessedBatch();
    const readIdleSeconds = async () => (await store.readBatchStats([batchId]))[0]!.idleSeconds;
    const past = sql`now() - interval '1 hour'`;
    await sql`update batch_attempts set opened_at = now() - interval '2 hours' where attempt_id = ${attemptId}`.execute(
      store.db,
    );
    await sql`update batch_chunks set changed_at = ${past} where attempt_id = ${attemptId} and outcome is not null`.execute(
      store.db,
    );
    expect(Math.round((await readIdleSeconds()) / 60)).toBe(60);

    await store.applyChunk({ attemptId, chunkIndex: 1 }, async () => []);
    expect(await readIdleSeconds()).toBeLessThan(60);

    await sql`update batch_chunks set changed_at = null where attempt_id = ${attemptId}`.execute(store.db);
    expect(Math.round((await readIdleSeconds()) / 60)).toBe(120);
  });
});
