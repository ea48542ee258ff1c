import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createBatchActivities } from '../../src/activities/batches.js';
import { defineOperation, type ExternalOperation } from '../../src/batch-operations/operation.js';
import { openStore, type Store } from '../../src/store/index.js';
import { waitUntil } from '../support/processes.js';
import { createActivityEnvironment, runActivity } from '../support/workers/activity-environment.js';
import { makeItems, stageTestBatch } from '../support/shop/batches.js';
import { createDatabase } from '../support/database/database.js';

type PartnerCall = Parameters<ExternalOperation['apply']>[1] & { key: string };

describe('a chunk of an operation that calls a partner', () => {
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let store: Store;

  beforeAll(async () => {
    database = await createDatabase();
    store = openStore({ databaseUrl: database.url, maxConnections: 5, onIdleError: () => undefined });
  });
  afterAll(async () => {
    await store?.close();
    await database?.drop();
  });

  /** Stages a chunk of `count` items. `run` processes the chunk, and `respond` handles each partner call. */
  async function stageChunkOf(
    count: number,
    respond: (call: PartnerCall) => Promise<void> | void,
    { callsAtOnce: concurrentCalls = 10 } = {},
  ) {
    const calls: PartnerCall[] = [];
    const operation = defineOperation({
      kind: 'external',
      name: 'call',
      concurrentCalls: concurrentCalls,
      itemsPerChunk: 5_000,
      itemSchema: z.strictObject({ key: z.string() }),
      async apply({ key }, call) {
        calls.push({ ...call, key });
        await respond({ ...call, key });
      },
    });
    const { processBatchChunk } = createBatchActivities({ store, operations: new Map([['call', operation]]) });
    const batchId = await stageTestBatch(store, { operation: 'call', items: makeItems(count), itemsPerChunk: 5_000 });
    const attempt = (await store.openAttempt(batchId, 'run'))!;
    const task = { ...attempt, batchId, chunkIndex: 0 };
    return { calls, batchId, run: (env = createActivityEnvironment()) => runActivity(processBatchChunk, task, env) };
  }

  const calledKeys = (calls: PartnerCall[]) => calls.map(({ key }) => key);

  test('calls the partner once for each item, each with its own idempotency key', async () => {
    const { calls, batchId, run } = await stageChunkOf(250, () => undefined);

    await run();

    expect(calledKeys(calls)).toEqual(makeItems(250).map(({ key }) => key));
    expect(calls.map(({ idempotencyKey }) => idempotencyKey)).toEqual(
      makeItems(250).map((_item, index) => `batch:${batchId}:${index + 1}`),
    );
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 250, failed: 0 });
    await run();
    expect(calls).toHaveLength(250);
  });

  test('a retry continues from the recorded position with the same idempotency keys', async () => {
    let isUnavailable = true;
    const { calls, batchId, run } = await stageChunkOf(250, ({ key }) => {
      if (isUnavailable && key === 'item-0150') throw new Error('away');
    });

    await expect(run()).rejects.toThrow('away');
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 100, failed: 0 });
    isUnavailable = false;
    await run();

    const times = new Map<string, number>();
    for (const { idempotencyKey } of calls) times.set(idempotencyKey, (times.get(idempotencyKey) ?? 0) + 1);
    expect(times.size).toBe(250);
    expect(makeItems(100).every((_item, index) => times.get(`batch:${batchId}:${index + 1}`) === 1)).toBe(true);
    expect(times.get(`batch:${batchId}:151`)).toBe(2);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 250, failed: 0 });
  });

  test('lists failed items in line order and truncates long failure messages to 500 characters', async () => {
    const { batchId, run } = await stageChunkOf(120, ({ key }) => {
      if (/0$/.test(key)) throw ApplicationFailure.nonRetryable(`${'x'.repeat(499)}\u{1F600}`, 'Rejected');
    });

    await run();

    const failures = await store.listBatchFailures(batchId, { limit: 200 });
    expect(failures.map(({ line }) => line)).toEqual(Array.from({ length: 12 }, (_, n) => n * 10 + 1));
    expect(failures[0]!.reason).toEqual({ type: 'Rejected', message: `${'x'.repeat(499)}…` });
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 108, failed: 12 });
  });

  test('never makes more concurrent calls than the operation allows', async () => {
    let open = 0;
    let most = 0;
    const { run } = await stageChunkOf(
      60,
      async () => {
        most = Math.max(most, (open += 1));
        await new Promise((resolve) => setImmediate(resolve));
        open -= 1;
      },
      { callsAtOnce: 3 },
    );

    await run();

    expect(most).toBe(3);
  });

  test('sends heartbeats with the number of processed items during a long call', async () => {
    let goOn: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const { run } = await stageChunkOf(150, ({ key }) => (key === 'item-0120' ? gate : undefined));
    const env = createActivityEnvironment();
    const beats: unknown[] = [];
    env.on('heartbeat', (details) => beats.push(details));
    const running = run(env);

    await waitUntil(() => beats.length > 0 || undefined, { description: 'a heartbeat', timeoutMs: 10_000 });
    goOn();
    await running;

    expect(beats[0]).toEqual({ processedCount: 100 });
  });

  test('a cancelled chunk activity stops making calls, aborts open calls and keeps recorded results', async () => {
    const { calls, batchId, run } = await stageChunkOf(
      250,
      ({ key, cancellation }) =>
        key < 'item-0100'
          ? undefined
          : new Promise((_resolve, reject) => {
              cancellation.addEventListener('abort', () => reject(new Error('cut off')));
            }),
      { callsAtOnce: 4 },
    );
    const env = createActivityEnvironment();
    const running = run(env);
    await waitUntil(() => calls.length === 104 || undefined, { description: 'open calls', timeoutMs: 10_000 });

    env.cancel();

    await expect(running).rejects.toBeInstanceOf(CancelledFailure);
    expect(calls).toHaveLength(104);
    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 100, failed: 0 });
  });

  test('drops the later results of a chunk that is given up during its calls', async () => {
    let giveUp: () => Promise<void> = async () => undefined;
    const { batchId, run } = await stageChunkOf(250, async ({ key }) => {
      if (key === 'item-0100') await giveUp();
    });
    const { attemptId } = (await store.openAttempt(batchId, 'run'))!;
    giveUp = () => store.giveUpChunks(attemptId, { first: 0, count: 1 }, { type: 'Given', message: 'up' });

    await run();

    expect(await store.countBatchProgress(batchId)).toMatchObject({ succeeded: 100, failed: 150 });
    const [first] = await store.listBatchFailures(batchId, { limit: 1 });
    expect(first).toMatchObject({ line: 101, reason: { type: 'Given' } });
  });
});
