import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeAll, describe, expect, test } from 'vitest';
import { RunSupersededError } from '../../../src/store/batches/attempts.js';
import type { FailurePosition } from '../../../src/store/batches/failed-items.js';
import type { Store } from '../../../src/store/index.js';
import {
  linesOf,
  makeNumberedItems,
  REJECTION,
  rejectionsAt,
  useBatchStore,
  type ApplyChunk,
} from '../../support/database/batch-store.js';
import { createMany } from '../../support/create-many.js';
import { chunksOf, stageTestBatch } from '../../support/shop/batches.js';

const batchStore = useBatchStore();
const { waitForBlockedTransactions, openAttempt, openStagedBatch, storedChunks, holdChunkOpen } = batchStore;
let store: Store;
beforeAll(() => void ({ store } = batchStore));

describe('openAttempt', () => {
  test('opens no attempt for an unknown batch', async () => {
    expect(await store.openAttempt(randomUUID(), 'run')).toBeUndefined();
  });

  test('opens an attempt with all items for a run, and a repeated call returns the same attempt', async () => {
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

  test('another run gets the failed and unprocessed items in full chunks, with their line numbers', async () => {
    const { batchId, attemptId } = await openStagedBatch({
      operation: 'call',
      items: makeNumberedItems(14),
      itemsPerChunk: 4,
    });
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

  test('another run gets no chunks when every item has already succeeded', async () => {
    const { batchId, attemptId } = await openStagedBatch({ items: makeNumberedItems(3) });
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => []);

    for (const runId of ['another run', 'yet another run']) {
      expect(await store.openAttempt(batchId, runId)).toMatchObject({ attempt: 1, chunks: 0 });
    }
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 3, failed: 0, attempt: 1 });
  });

  test('every concurrent run gets an attempt, and only the last attempt has open chunks', async () => {
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

  test('after two concurrent retries, each unfinished item is open only in the last attempt', async () => {
    const { batchId, attemptId } = await openStagedBatch({ items: makeNumberedItems(6), itemsPerChunk: 2 });
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

  test('returns the earlier attempt and changes nothing when an earlier run calls openAttempt again', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    const first = await store.openAttempt(batchId, 'run');
    const { attemptId } = await openAttempt(batchId, 'another run');

    expect(await store.openAttempt(batchId, 'run')).toEqual(first);
    expect(await store.readChunk({ attemptId, chunkIndex: 0 })).toMatchObject({ processedCount: 0 });
    expect(await store.countBatchProgress(batchId)).toMatchObject({ attempt: 2, failed: 0 });
  });

  test('rejects a run that started before the current run, and changes nothing', async () => {
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

  describe('chunks of an earlier run', () => {
    async function stageTwoChunks() {
      const { batchId, attemptId } = await openStagedBatch({ items: makeNumberedItems(4), itemsPerChunk: 2 });
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

    test('a new attempt waits for chunks that an earlier run is applying, and excludes their items', async () => {
      const { batchId, attemptId, applied, note: recordItems, applyAll } = await stageTwoChunks();
      const late = await holdChunkOpen({ attemptId, chunkIndex: 1 }, recordItems);
      const opening = openAttempt(batchId, 'another run');
      await waitForBlockedTransactions(1);
      await late.resume();
      const next = await opening;
      expect((await storedChunks(next.attemptId)).map(linesOf)).toEqual([[1, 2]]);
      await applyAll(next);

      expect(applied).toEqual([3, 4, 1, 2]);
      expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 4, failed: 0 });
    });

    test('does not apply a chunk of an earlier run that starts while a new attempt is being opened', async () => {
      const { batchId, attemptId, applied, note: recordItems, applyAll } = await stageTwoChunks();
      const holdsUp = await holdChunkOpen({ attemptId, chunkIndex: 1 }, recordItems);
      const opening = openAttempt(batchId, 'another run');
      await waitForBlockedTransactions(1);
      const late = store.applyChunk({ attemptId, chunkIndex: 0 }, recordItems);
      await waitForBlockedTransactions(2);
      await Promise.all([holdsUp.resume(), late]);
      await applyAll(await opening);

      expect(applied).toEqual([3, 4, 1, 2]);
      expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 4, failed: 0 });
    });

    test('does not apply a chunk of an earlier run that starts after a new attempt was opened', async () => {
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

    test('when an earlier run races a new attempt, each item is processed once', async () => {
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

describe('countBatchProgress', () => {
  test('returns no progress for an unknown batch', async () => {
    expect(await store.countBatchProgress(randomUUID())).toBeUndefined();
  });

  test('counts the successes of all attempts, but only the failures of the last attempt', async () => {
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

  test('reports a processing rate only when items were processed in the last seconds', async () => {
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

describe('listBatchFailures', () => {
  /** Reads all pages of the failure list. */
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

  test('returns an empty list when no item failed', async () => {
    const batchId = await stageTestBatch(store, { items: makeNumberedItems(3) });
    expect(await store.listBatchFailures(batchId, { limit: 10 })).toEqual([]);
    const { attemptId } = await openAttempt(batchId, 'run');
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => []);
    expect(await store.listBatchFailures(batchId, { limit: 10 })).toEqual([]);
  });

  test('lists all kinds of failures in line order, for any page size', async () => {
    const { batchId, attemptId } = await openStagedBatch({
      operation: 'call',
      items: makeNumberedItems(18),
      itemsPerChunk: 3,
    });
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
    const { batchId, attemptId } = await openStagedBatch({ items: makeNumberedItems(3) });
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
  ])('stores the failure message %j as %j, and a retry opens the failed items', async (message, shown) => {
    const item = { text: message };
    const { batchId, attemptId } = await openStagedBatch({
      operation: 'call',
      items: [item, item, item],
      itemsPerChunk: 2,
    });
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

describe('the counts and the idle time of a batch', () => {
  const REASON = { type: 'Stopped', message: 'it took too long' };

  async function openPartlyProcessedBatch(): Promise<{ batchId: string; attemptId: number }> {
    const { batchId, attemptId } = await openStagedBatch({ items: makeNumberedItems(10), itemsPerChunk: 2 });
    await store.applyChunk({ attemptId, chunkIndex: 0 }, async () => rejectionsAt(1));
    await store.giveUpChunks(attemptId, { first: 3, count: 2 }, REASON);
    return { batchId, attemptId };
  }

  test('returns the counts of each requested batch and skips unknown batch ids', async () => {
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
      },
      {
        operation: 'price-update',
        total: 3,
        succeeded: 0,
        failed: 0,
        chunks: 1,
        chunksDone: 0,
        chunksGivenUp: 0,
      },
    ]);
    expect(await store.readBatchStats([])).toEqual([]);
    expect(await store.readBatchIdleSeconds([])).toEqual([]);
  });

  test('counts the items of all runs, but only the chunks of the last run', async () => {
    const { batchId } = await openPartlyProcessedBatch();
    await openAttempt(batchId, 'second');

    expect(await store.readBatchStats([batchId])).toMatchObject([
      { total: 10, succeeded: 1, failed: 0, chunksDone: 0, chunksGivenUp: 0 },
    ]);
  });

  test('measures the idle time since the last finished chunk, or since the attempt was opened if no chunk has finished', async () => {
    const { batchId, attemptId } = await openPartlyProcessedBatch();
    const readIdleSeconds = async () => (await store.readBatchIdleSeconds([randomUUID(), batchId]))[0]!;
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
