import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, type TemporalFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../../dev/wait.js';
import {
  batchQuery,
  BATCH_TASK_QUEUE,
  paceSignal,
  pauseSignal,
  resumeSignal,
} from '../../../src/workflows/batch/contract.js';
import type { batchShard } from '../../../src/workflows/batch/workflow.js';
import {
  keys,
  pendingOnce,
  run,
  stage,
  tasksOf,
  TestOperations,
  writtenBy,
  type BatchHandle,
} from '../../support/batches.js';
import { historyOf } from '../../support/history.js';
import { aProduct, openShop, type Shop } from '../../support/shop.js';
import { describeWithTimeSkipping, startTimeSkipping } from '../../support/time-skipping.js';

/** How a run ended, if not well. */
async function failureOf(handle: Pick<BatchHandle, 'result'>): Promise<TemporalFailure | undefined> {
  const error: unknown = await handle.result().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  return (error as WorkflowFailedError).cause as TemporalFailure | undefined;
}

describeWithTimeSkipping('a batch', () => {
  let server: Awaited<ReturnType<typeof startTimeSkipping>>;
  let shop: Shop;
  const tests = new TestOperations();

  beforeAll(async () => {
    server = await startTimeSkipping();
    shop = await openShop(server, { queues: ['batches'], operations: tests.operations });
  });
  afterAll(() => shop?.close());

  const stockOf = async (sku: string) => (await shop.store.findProducts([sku])).get(sku)?.available;
  const failuresOf = (batchId: string) => shop.store.listFailures(batchId, { limit: 200 });

  test('when all items can be done, then it completes, each is done once, and no history holds an item', async () => {
    const { sku } = await aProduct(shop.store, { available: 5 });
    const batchId = await stage(shop.store, { items: Array.from({ length: 25 }, () => ({ sku, quantity: 2 })) });

    const handle = await run(shop.client, batchId);

    expect(await handle.result()).toMatchObject({
      ...{
        batchId,
        status: 'completed',
        operation: 'restock',
        total: 25,
        succeeded: 25,
        failed: 0,
        round: 1,
        tasks: 3,
      },
    });
    expect(await handle.query(batchQuery)).toEqual(await handle.result());
    expect(await stockOf(sku)).toBe(5 + 25 * 2);
    expect(await tasksOf(shop.store, batchId)).toEqual(Array(3).fill({ outcome: 'done' }));
    expect(JSON.stringify(await handle.fetchHistory())).not.toContain(sku);
    const scheduled = (await historyOf(handle)).filter(({ type }) => type === 'ActivityTaskScheduled');
    expect(scheduled.map(({ name }) => name)).toEqual([
      'openBatch',
      ...Array<string>(3).fill('runBatchTask'),
      'closeBatch',
    ]);
  });

  test('when some items fail, then they are listed with their reasons and the others are done', async () => {
    const { sku } = await aProduct(shop.store, { available: 999_999_990 });
    const batchId = await stage(shop.store, {
      items: [
        { sku, quantity: 4 },
        { sku: 'NOT-THERE', quantity: 1 },
        { sku, quantity: 7 },
        { sku, quantity: 6 },
      ],
      itemsPerTask: 3,
    });

    expect(await (await run(shop.client, batchId)).result()).toMatchObject({
      ...{ status: 'completed_with_failures', total: 4, succeeded: 2, failed: 2 },
    });
    expect(await stockOf(sku)).toBe(1_000_000_000);
    expect(await failuresOf(batchId)).toMatchObject([
      { line: 2, item: { sku: 'NOT-THERE', quantity: 1 }, reason: { type: 'UnknownSku' } },
      { line: 3, item: { sku, quantity: 7 }, reason: { type: 'StockLimit' } },
    ]);
  });

  test('when a task fails each time, then its items count as failed with its reason, and a retry does them alone', async () => {
    const items = keys(6);
    const batchId = await stage(shop.store, { operation: 'write', items, itemsPerTask: 2 });
    tests.trouble('item-0003', 'passing');

    const handle = await run(shop.client, batchId);
    expect(await handle.result()).toMatchObject({ status: 'completed_with_failures', succeeded: 4, failed: 2 });
    expect(await tasksOf(shop.store, batchId)).toEqual([
      { outcome: 'done' },
      { outcome: 'given_up', reason: 'Error' },
      { outcome: 'done' },
    ]);
    expect(await failuresOf(batchId)).toMatchObject([
      { line: 3, item: { key: 'item-0002' }, reason: { type: 'Error', message: 'no luck with item-0003' } },
      { line: 4, item: { key: 'item-0003' } },
    ]);

    tests.mend();
    expect(await (await run(shop.client, batchId)).result()).toMatchObject({
      ...{ status: 'completed', total: 6, succeeded: 6, failed: 0, round: 2, tasks: 1 },
    });
    expect(await writtenBy(shop.store, batchId)).toEqual(items.map(({ key }) => key));
    expect(await failuresOf(batchId)).toEqual([]);
  });

  test('when everything has succeeded, then another run does nothing', async () => {
    const batchId = await stage(shop.store, { operation: 'write', items: keys(3) });
    await (await run(shop.client, batchId)).result();

    const again = await run(shop.client, batchId);

    expect(await again.result()).toMatchObject({ status: 'completed', succeeded: 3, round: 1 });
    expect(await writtenBy(shop.store, batchId)).toHaveLength(3);
    expect((await historyOf(again)).some(({ name }) => name === 'runBatchTask')).toBe(false);
  });

  test('when it is paused for a day, then nothing is done meanwhile, and after it each item is', async () => {
    const items = keys(30, 'paused');
    const batchId = await stage(shop.store, { operation: 'call', items });
    tests.close();
    const handle = await run(shop.client, batchId);
    await waitUntil(() => tests.called.includes('paused-0010') || undefined, { what: 'work', deadlineMs: 20_000 });

    await handle.signal(pauseSignal);
    await pendingOnce(handle, (pending) => pending === 0);
    tests.letThrough();
    const before = tests.called.length;
    await server.env.sleep('1 day');

    expect(await handle.query(batchQuery)).toMatchObject({ status: 'paused', total: 30, succeeded: 0, failed: 0 });
    expect(tests.called).toHaveLength(before);
    await handle.signal(resumeSignal);
    expect(await handle.result()).toMatchObject({ status: 'completed', succeeded: 30 });
    expect([...new Set(tests.called.filter((key) => key.startsWith('paused')))].sort()).toEqual(
      items.map(({ key }) => key),
    );
  });

  test('when a worker does not know the operation, then the tasks wait for one that does, and count as failed at last', async () => {
    const batchId = await stage(shop.store, { operation: 'unheard-of', items: keys(2) });

    expect(await (await run(shop.client, batchId)).result()).toMatchObject({
      ...{ status: 'completed_with_failures', succeeded: 0, failed: 2 },
    });
    expect(await tasksOf(shop.store, batchId)).toEqual([{ outcome: 'given_up', reason: 'UnknownOperation' }]);
  });

  test.each<[string, unknown]>([
    ['is missing', undefined],
    ['is null', null],
    ['is a number', 7],
    ['names no batch', {}],
    ['names another batch', { batchId: 'another' }],
    ['has an unknown field', { batchId: 'this', items: [] }],
  ])('when the input %s, then it fails as InvalidInput and nothing is done', async (_what, input) => {
    const batchId = await stage(shop.store, { operation: 'write', items: keys(1) });
    const given = (input as { items?: unknown } | null)?.items ? { ...(input as object), batchId } : input;

    const failure = await failureOf(await run(shop.client, batchId, given));

    expect(failure?.cause).toMatchObject({ type: 'InvalidInput' });
    expect(await writtenBy(shop.store, batchId)).toEqual([]);
  });

  test('when it is started under another workflow id, then it fails as InvalidInput: it might run twice', async () => {
    const batchId = await stage(shop.store, { operation: 'write', items: keys(1) });
    const handle = await shop.client.workflow.start('batch', {
      ...{ workflowId: batchId, taskQueue: BATCH_TASK_QUEUE, args: [{ batchId }] },
    });

    const failure = await failureOf(handle);

    expect(failure?.cause).toMatchObject({ type: 'InvalidInput' });
    expect(await shop.store.tallyBatch(batchId)).toMatchObject({ round: 0 });
  });

  test('when a run that was started later is at work, then an earlier one that comes late fails as Superseded', async () => {
    const batchId = await stage(shop.store, { operation: 'write', items: keys(1) });
    const future = new Date('2900-01-01');
    const { roundId } = (await shop.store.openRound(batchId, 'later', future))!;

    const failure = await failureOf(await run(shop.client, batchId));

    expect(failure?.cause).toMatchObject({ type: 'Superseded' });
    expect((await shop.store.openRound(batchId, 'later', future))?.roundId).toBe(roundId);
  });

  test('when another run takes over meanwhile, then it does not say that all is done', async () => {
    const batchId = await stage(shop.store, { operation: 'call', items: keys(3, 'taken') });
    tests.close();
    const handle = await run(shop.client, batchId);
    await waitUntil(() => tests.called.includes('taken-0000') || undefined, { what: 'work', deadlineMs: 20_000 });
    await shop.store.openRound(batchId, 'another', new Date('2900-01-01'));
    tests.letThrough();

    expect(await failureOf(handle)).toMatchObject({ type: 'Superseded' });
  });

  test('when nothing was uploaded under the id, then it fails as BatchNotFound', async () => {
    expect((await failureOf(await run(shop.client, 'never-uploaded')))?.cause).toMatchObject({ type: 'BatchNotFound' });
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['half a shard', { batchId: 'b', number: 1, operation: 'write', roundId: 1, round: 1, range: {}, pace: {} }],
  ])('when a shard is started by hand with %s, then it fails as InvalidInput', async (_what, input) => {
    const handle = await shop.client.workflow.start<typeof batchShard>('batchShard', {
      ...{ workflowId: `shard-${Math.random()}`, taskQueue: BATCH_TASK_QUEUE },
      args: [input as Parameters<typeof batchShard>[0]],
    });

    const failure = await failureOf(handle as unknown as BatchHandle);

    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'InvalidInput' });
  });

  test('when signals carry nonsense, then the batch and its shards go on', async () => {
    const batchId = await stage(shop.store, { operation: 'call', items: keys(5, 'nonsense') });
    tests.close();
    const roundId = (await shop.store.openRound(batchId, 'somebody'))!.roundId;
    const shard = await shop.client.workflow.start<typeof batchShard>('batchShard', {
      ...{ workflowId: `shard:${batchId}`, taskQueue: BATCH_TASK_QUEUE },
      args: [
        {
          ...{ batchId, number: 1, operation: 'call', roundId, round: 1, range: { first: 0, count: 1 } },
          pace: { sequence: 0, paused: false },
        },
      ],
    });
    for (const nonsense of [undefined, null, 7, 'x', {}, { sequence: 'x', paused: 1 }]) {
      await shard.signal(paceSignal, nonsense as never);
    }
    await shard.signal('unheard-of', 1);
    tests.letThrough();

    await shard.result();

    expect(await shop.store.tallyBatch(batchId)).toMatchObject({ succeeded: 5 });
  });

  test('when old news arrives late, then the newer word holds', async () => {
    const batchId = await stage(shop.store, { operation: 'write', items: keys(1) });
    const { roundId } = (await shop.store.openRound(batchId, 'somebody'))!;
    const shard = await shop.client.workflow.start<typeof batchShard>('batchShard', {
      ...{ workflowId: `shard:${batchId}`, taskQueue: BATCH_TASK_QUEUE },
      args: [
        {
          ...{ batchId, number: 1, operation: 'write', roundId, round: 1, range: { first: 0, count: 1 } },
          pace: { sequence: 4, paused: true },
        },
      ],
    });
    await shard.signal(paceSignal, { sequence: 3, paused: false });
    const heard = async () => {
      const types = (await historyOf(shard)).map(({ type }) => type);
      return types.lastIndexOf('WorkflowTaskCompleted') > types.indexOf('WorkflowExecutionSignaled') || undefined;
    };
    await waitUntil(heard, { what: 'the signal heard', deadlineMs: 20_000 });
    expect(await writtenBy(shop.store, batchId)).toEqual([]);

    await shard.signal(paceSignal, { sequence: 5, paused: false });
    await shard.result();

    expect(await writtenBy(shop.store, batchId)).toHaveLength(1);
  });
});
