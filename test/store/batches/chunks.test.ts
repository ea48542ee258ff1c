import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ChunkKey } from '../../../src/store/batches/chunks.js';
import type { Store } from '../../../src/store/index.js';
import {
  createGate,
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

describe('applyChunk', () => {
  /** Stages a batch with one chunk and opens its attempt. */
  async function stageOneChunk(count = 3): Promise<{ batchId: string; key: ChunkKey }> {
    const { batchId, attemptId } = await openStagedBatch({ items: makeNumberedItems(count) });
    return { batchId, key: { attemptId, chunkIndex: 0 } };
  }
  const writeNotification = async (tx: Parameters<ApplyChunk>[0], batchId: string) => {
    await tx.insertInto('notifications').values({ key: randomUUID(), cart_id: batchId, kind: 'applied' }).execute();
  };
  const countNotifications = async (batchId: string) => (await store.listCartNotifications(batchId)).length;

  test('stores the effect and the outcome of a chunk once, even when the call is repeated', async () => {
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

  test('concurrent calls of applyChunk apply a chunk once', async () => {
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

  test('applyChunk rolls back when its callback throws, and then a waiting call applies the chunk', async () => {
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
    await expect(first.resume()).rejects.toThrow('no luck');
    await second;

    expect(await countNotifications(batchId)).toBe(1);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 3, failed: 0 });
  });

  test('leaves the chunk open when the callback of applyChunk throws', async () => {
    const { batchId, key } = await stageOneChunk();
    await expect(store.applyChunk(key, () => Promise.reject(new Error('no luck')))).rejects.toThrow('no luck');

    expect(await chunksOf(store, batchId)).toEqual([{ outcome: null }]);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0, failed: 0 });
  });

  test.each([[[0, 0]], [[3]], [[-1]], [[0.5]], [[0, 1, 2, 0]]])(
    'throws and stores nothing for the invalid failure indexes %j',
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

  test('applies nothing for an unknown chunk', async () => {
    const { key } = await stageOneChunk();
    const failIfApplied = () => Promise.reject(new Error('applied'));

    await store.applyChunk({ ...key, chunkIndex: 1 }, failIfApplied);
    await store.applyChunk({ attemptId: 2 ** 31 - 1, chunkIndex: 0 }, failIfApplied);
  });
});

describe('giveUpChunks', () => {
  const openTestAttempt = (chunkCount: number) =>
    openStagedBatch({ items: makeNumberedItems(chunkCount * 2), itemsPerChunk: 2 });
  const outcomesOf = async (batchId: string) => (await chunksOf(store, batchId)).map(({ outcome }) => outcome);
  const REASON = { type: 'Stopped', message: 'it took too long' };

  test('gives up the open chunks in the range and does not change other chunks', async () => {
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

  test('keeps the first reason when a chunk is given up again', async () => {
    const { batchId, attemptId } = await openTestAttempt(1);
    await store.giveUpChunks(attemptId, { first: 0, count: 1 }, REASON);
    await store.giveUpChunks(attemptId, { first: 0, count: 1 }, { type: 'Later', message: 'late' });

    expect(await chunksOf(store, batchId)).toEqual([{ outcome: 'given_up', reason: 'Stopped' }]);
  });

  test('giveUpChunks waits for a chunk that is being applied, and the chunk counts as done', async () => {
    const { batchId, attemptId } = await openTestAttempt(2);
    const applied = await holdChunkOpen({ attemptId, chunkIndex: 0 }, async () => rejectionsAt(1));
    const givenUp = store.giveUpChunks(attemptId, { first: 0, count: 2 }, REASON);
    await waitForBlockedTransactions(1);
    await Promise.all([applied.resume(), givenUp]);

    expect(await outcomesOf(batchId)).toEqual(['done', 'given_up']);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 1, failed: 3 });
    expect(linesOf(await store.listBatchFailures(batchId, { limit: 200 }))).toEqual([2, 3, 4]);
  });

  test('gives up a chunk after a concurrent applyChunk throws', async () => {
    const { batchId, attemptId } = await openTestAttempt(1);
    const applied = await holdChunkOpen({ attemptId, chunkIndex: 0 }, () => Promise.reject(new Error('no luck')));
    const givenUp = store.giveUpChunks(attemptId, { first: 0, count: 1 }, REASON);
    await waitForBlockedTransactions(1);
    await expect(applied.resume()).rejects.toThrow('no luck');
    await givenUp;

    expect(await outcomesOf(batchId)).toEqual(['given_up']);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0, failed: 2 });
  });

  test('a concurrent applyChunk waits for giveUpChunks and then applies nothing', async () => {
    const { batchId, attemptId } = await openTestAttempt(2);
    // giveUpChunks locks chunk 0 and then waits for chunk 1, which is still being applied.
    const last = await holdChunkOpen({ attemptId, chunkIndex: 1 });
    const givenUp = store.giveUpChunks(attemptId, { first: 0, count: 2 }, REASON);
    await waitForBlockedTransactions(1);
    let calls = 0;
    const first = store.applyChunk({ attemptId, chunkIndex: 0 }, async () => {
      calls += 1;
      return [];
    });
    await waitForBlockedTransactions(2);
    await Promise.all([last.resume(), givenUp, first]);

    expect(calls).toBe(0);
    expect(await outcomesOf(batchId)).toEqual(['given_up', 'done']);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 2, failed: 2 });
  });

  test('when giveUpChunks and applyChunk race, each item counts once and exactly the done chunks are applied', async () => {
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

describe('recordChunkProgress', () => {
  async function stageOneChunk(count: number): Promise<{ batchId: string; key: ChunkKey }> {
    const items = makeNumberedItems(count);
    const { batchId, attemptId } = await openStagedBatch({ operation: 'call', items, itemsPerChunk: count });
    return { batchId, key: { attemptId, chunkIndex: 0 } };
  }

  test('readChunk returns the recorded position and the recorded failures of a chunk', async () => {
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

  test('records no progress for a chunk that is done or given up', async () => {
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

  test('reads and records nothing for an unknown chunk', async () => {
    const { key } = await stageOneChunk(1);
    expect(await store.readChunk({ ...key, chunkIndex: 7 })).toBeUndefined();
    expect(
      await store.recordChunkProgress({ ...key, chunkIndex: 7 }, { processedCount: 1, failures: [], isDone: true }),
    ).toBe(false);
  });

  test('newly recorded progress of a chunk replaces the failures that were recorded earlier', async () => {
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

describe('random sequences of attempts', () => {
  /**
   * The simulated outcome of one chunk. `failing` contains item indexes; indexes beyond the end of the chunk are
   * ignored.
   */
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

  test(
    'in random sequences of attempts, each item succeeds at most once, and counts and lists agree',
    { timeout: 120_000 },
    async () => {
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
                store.giveUpChunks(
                  attempt.attemptId,
                  { first: chunkIndex, count: 1 },
                  { type: 'Stopped', message: '' },
                );
              if (fate.kind === 'applied') {
                await store.applyChunk(key, async () => rejectionsAt(...wrong));
                failed.push(...wrong.map((place): [number, string] => [lines[place]!, 'Rejected']));
              } else if (fate.kind === 'recorded') {
                const processedCount = Math.min(fate.processedCount, lines.length);
                const isDone = processedCount === lines.length;
                const before = wrong.filter((place) => place < processedCount);
                await store.recordChunkProgress(key, { processedCount, failures: rejectionsAt(...before), isDone });
                failed.push(...before.map((place): [number, string] => [lines[place]!, 'Rejected']));
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
    },
  );
});
