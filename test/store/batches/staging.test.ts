import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import type { StagedItem } from '../../../src/store/batches/staging.js';
import type { Store } from '../../../src/store/index.js';
import {
  createGate,
  linesOf,
  makeNumberedItems,
  MAX_CONNECTIONS,
  useBatchStore,
} from '../../support/database/batch-store.js';
import { lockChunks, terminateBlockedConnections } from '../../support/database/database-lock.js';
import { createMany } from '../../support/create-many.js';
import { splitIntoChunks, stageTestBatch } from '../../support/shop/batches.js';

const batchStore = useBatchStore();
const { waitForUploads, waitForBlockedTransactions, countRows, openAttempt, storedChunks } = batchStore;
let store: Store;
beforeAll(() => void ({ store } = batchStore));

const NO_ROWS = { batches: 0, attempts: 0, uploads: 0, orphans: 0 };
const ONE_BATCH = { batches: 1, attempts: 1, uploads: 0, orphans: 0 };
/** The items of a failed upload are deleted after its error was returned. */
const DELETION = { timeout: 15_000 };

describe('stageBatch', () => {
  const makeBatch = (overrides: { operation?: string; itemsPerChunk?: number } = {}) => ({
    batchId: randomUUID(),
    operation: 'restock',
    itemsPerChunk: 2,
    ...overrides,
  });

  test('stores each page of a batch as one chunk of an attempt that no run has opened yet', async () => {
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

  test('gives a later batch a higher batch number', async () => {
    const batchIds = [];
    for (let count = 0; count < 3; count += 1)
      batchIds.push(await stageTestBatch(store, { items: makeNumberedItems(1) }));
    const found = await Promise.all(batchIds.map((batchId) => store.openAttempt(batchId, 'run')));

    expect(found.map((attempt) => attempt!.batchNumber)).toEqual(
      found.map((attempt) => attempt!.batchNumber).toSorted((a, b) => a - b),
    );
    expect(new Set(found.map((attempt) => attempt!.batchNumber)).size).toBe(3);
  });

  test.each([0, 1, 2, 500])('throws and stores nothing when the upload fails after %i pages', async (count) => {
    const batch = makeBatch();
    const failure = new Error('the body broke off');
    async function* pages() {
      for await (const page of splitIntoChunks(makeNumberedItems(count * 2), 2)) yield page;
      throw failure;
    }

    await expect(store.stageBatch(batch, pages())).rejects.toBe(failure);

    await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(NO_ROWS);
    expect(await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(3), 2))).toEqual({
      status: 'staged',
      total: 3,
    });
  });

  test('leaks no database connections when many uploads fail', async () => {
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

  test('throws and stores nothing when the database closes the connection, and a retry succeeds', async () => {
    const batch = makeBatch();
    const lock = await lockChunks(batchStore.database.url);
    const staged = store
      .stageBatch(batch, splitIntoChunks(makeNumberedItems(4), 2))
      .catch((error: unknown) => String(error));
    await lock.waitForBlocked();
    await terminateBlockedConnections(batchStore.database.url);
    await lock.release();

    expect(await staged).toMatch(/connection|terminat|EPIPE|ECONNRESET/i);
    await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(NO_ROWS);
    expect(await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(2), 2))).toMatchObject({ status: 'staged' });
  });

  test('stageBatch returns "existing" for a used batch id with the same content', async () => {
    const batch = makeBatch();
    await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2));

    expect(await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2))).toEqual({
      status: 'existing',
      total: 5,
    });
    await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(ONE_BATCH);
  });

  test.each<[string, { operation?: string; itemsPerChunk?: number }, unknown[]]>([
    ['another operation', { operation: 'price-update' }, makeNumberedItems(5)],
    ['another number of items per chunk', { itemsPerChunk: 6 }, makeNumberedItems(5)],
    ['one item less', {}, makeNumberedItems(4)],
    ['one item more', {}, makeNumberedItems(6)],
    ['another item', {}, [{ n: 9 }, ...makeNumberedItems(5).slice(1)]],
    ['another item order', {}, makeNumberedItems(5).reverse()],
  ])(
    'stageBatch returns "taken" for a used batch id with %s, and keeps the first batch',
    async (_description, change, items) => {
      const batch = makeBatch({ itemsPerChunk: 5 });
      await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 5));
      const other = { ...batch, ...change };

      expect(await store.stageBatch(other, splitIntoChunks(items, other.itemsPerChunk))).toEqual({ status: 'taken' });
      await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(ONE_BATCH);
      expect(await store.countBatchProgress(batch.batchId)).toMatchObject({
        operation: 'restock',
        itemsPerChunk: 5,
        total: 5,
      });
    },
  );

  test('stageBatch returns "taken" for the same items with other line numbers, because failure reports contain line numbers', async () => {
    const batch = makeBatch();
    await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(2), 2));
    async function* delayedChunks(): AsyncGenerator<StagedItem[]> {
      for await (const page of splitIntoChunks(makeNumberedItems(2), 2))
        yield page.map(({ line, item }) => ({ line: line + 1, item }));
    }
    expect(await store.stageBatch(batch, delayedChunks())).toEqual({ status: 'taken' });
  });

  test('throws when a repeated upload fails midway, and keeps the stored batch', async () => {
    const batch = makeBatch();
    await store.stageBatch(batch, splitIntoChunks(makeNumberedItems(5), 2));
    const failure = new Error('the body broke off');
    async function* pages() {
      yield* splitIntoChunks(makeNumberedItems(4), 2);
      throw failure;
    }
    await expect(store.stageBatch(batch, pages())).rejects.toBe(failure);
    await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(ONE_BATCH);
    expect(await store.countBatchProgress(batch.batchId)).toMatchObject({ total: 5, attempt: 0 });
  });

  describe('two concurrent uploads with one id', () => {
    /** Starts two uploads. Neither upload can finish before both uploads run. */
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
      await waitForUploads(2);
      gate.open();
      return { batchId, outcomes: (await Promise.all(both)).map(({ status }) => status) };
    }

    test('of two concurrent uploads with the same id and content, one stores the batch and the other returns "existing"', async () => {
      for (let count = 0; count < 10; count += 1) {
        const { batchId, outcomes } = await stageBoth(makeNumberedItems(5), makeNumberedItems(5));

        expect(outcomes.toSorted()).toEqual(['existing', 'staged']);
        await expect.poll(() => countRows(batchId), DELETION).toEqual(ONE_BATCH);
        const { attemptId } = await openAttempt(batchId, 'run');
        expect((await storedChunks(attemptId)).flat()).toHaveLength(5);
      }
    });

    test('of two concurrent uploads with the same id and different content, one stores the batch and the other returns "taken"', async () => {
      for (let count = 0; count < 10; count += 1) {
        const contents = [makeNumberedItems(3), makeNumberedItems(5)];
        const { batchId, outcomes } = await stageBoth(contents[0]!, contents[1]!);

        expect(outcomes.toSorted()).toEqual(['staged', 'taken']);
        await expect.poll(() => countRows(batchId), DELETION).toEqual(ONE_BATCH);
        const { attemptId } = await openAttempt(batchId, 'run');
        expect((await storedChunks(attemptId)).flat().map(({ item }) => item)).toEqual(
          contents[outcomes.indexOf('staged')],
        );
      }
    });

    /**
     * Blocks the first upload after it has claimed the id and before it commits. @returns a function that unblocks it.
     */
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

    test('later uploads with the same id wait until the first upload commits', async () => {
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
      await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(ONE_BATCH);
    });

    test('the second of two concurrent uploads is stored when the first upload fails', async () => {
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
        where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into "batch_attempts"%'`.execute(
        store.db,
      );
      expect(await first).toMatch(/connection|terminat|EPIPE|ECONNRESET/i);
      await release();

      expect(await second).toEqual({ status: 'staged', total: 4 });
      await expect.poll(() => countRows(batch.batchId), DELETION).toEqual(ONE_BATCH);
    });
  });

  describe('the content of items', () => {
    /** Stages items and returns the items that an operation receives. */
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

    test('stores and reads items unchanged when they contain special characters of COPY or JSON', async () => {
      const items = [...awkward.map((text) => ({ text })), ...awkward.map((text) => ({ [text]: [text] }))];

      expect(await storeAndRead(items, 7)).toEqual(toStagedItems(items));
    });

    test('stores and reads any JSON items unchanged, each with its line number', async () => {
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
