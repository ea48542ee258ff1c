import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, type TemporalFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import {
  batchQuery,
  BATCH_TASK_QUEUE,
  batchWorkflowId,
  pauseStateSignal,
  pauseSignal,
  resumeSignal,
} from '../../../src/workflows/batch/contract.js';
import type { batch, batchShard } from '../../../src/workflows/batch/workflow.js';
import { waitUntil } from '../../support/processes.js';
import {
  makeItems,
  startBatch,
  stageTestBatch,
  chunksOf,
  TestOperations,
  writtenKeys,
  type BatchHandle,
} from '../../support/shop/batches.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { readStock, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { beforeAllAndRetries } from '../../support/temporal/before-all-and-retries.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../support/temporal/time-skipping-server.js';

/** Returns the failure of a run. */
async function waitForFailure(handle: Pick<BatchHandle, 'result'>): Promise<TemporalFailure | undefined> {
  const error: unknown = await handle.result().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  return (error as WorkflowFailedError).cause as TemporalFailure | undefined;
}

describeWithTimeSkipping('a batch (time-skipping server)', () => {
  let shop: Shop;
  let tests: TestOperations;

  beforeAllAndRetries(async () => {
    tests = new TestOperations();
    shop = await startShop(await startTimeSkippingServer(), { queues: ['batches'], operations: tests.operations });
    return shop.close;
  });

  const failuresOf = (batchId: string) => shop.store.listBatchFailures(batchId, { limit: 200 });

  test('a batch processes every item once and keeps the items out of the workflow history', async () => {
    const { sku } = await addProduct(shop.store, { available: 5 });
    const batchId = await stageTestBatch(shop.store, {
      items: Array.from({ length: 25 }, () => ({ sku, quantity: 2 })),
    });

    const handle = await startBatch(shop.client, batchId);

    expect(await handle.result()).toMatchObject({
      batchId,
      status: 'completed',
      operation: 'restock',
      total: 25,
      succeeded: 25,
      failed: 0,
      attempt: 1,
      chunks: 3,
    });
    expect(await handle.query(batchQuery)).toEqual(await handle.result());
    expect(await readStock(shop.store, sku)).toBe(5 + 25 * 2);
    expect(await chunksOf(shop.store, batchId)).toEqual(Array(3).fill({ outcome: 'done' }));
    expect(JSON.stringify(await handle.fetchHistory())).not.toContain(sku);
    const scheduled = (await fetchEventSummaries(handle)).filter(({ type }) => type === 'ActivityTaskScheduled');
    expect(scheduled.map(({ name }) => name)).toEqual([
      'openBatch',
      ...Array<string>(3).fill('processBatchChunk'),
      'closeBatch',
    ]);
  });

  test('a batch lists its failed items with their reasons and processes the other items', async () => {
    const { sku } = await addProduct(shop.store, { available: 999_999_990 });
    const batchId = await stageTestBatch(shop.store, {
      items: [
        { sku, quantity: 4 },
        { sku: 'NOT-THERE', quantity: 1 },
        { sku, quantity: 7 },
        { sku, quantity: 6 },
      ],
      itemsPerChunk: 3,
    });

    expect(await (await startBatch(shop.client, batchId)).result()).toMatchObject({
      status: 'completed_with_failures',
      total: 4,
      succeeded: 2,
      failed: 2,
    });
    expect(await readStock(shop.store, sku)).toBe(1_000_000_000);
    expect(await failuresOf(batchId)).toMatchObject([
      { line: 2, item: { sku: 'NOT-THERE', quantity: 1 }, reason: { type: 'UnknownSku' } },
      { line: 3, item: { sku, quantity: 7 }, reason: { type: 'StockLimit' } },
    ]);
  });

  test('the items of a failing chunk count as failed, and a retry of the batch processes only these items', async () => {
    const items = makeItems(6);
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items, itemsPerChunk: 2 });
    tests.failItem('item-0003', 'transient');

    const handle = await startBatch(shop.client, batchId);
    expect(await handle.result()).toMatchObject({ status: 'completed_with_failures', succeeded: 4, failed: 2 });
    expect(await chunksOf(shop.store, batchId)).toEqual([
      { outcome: 'done' },
      { outcome: 'given_up', reason: 'Error' },
      { outcome: 'done' },
    ]);
    expect(await failuresOf(batchId)).toMatchObject([
      { line: 3, item: { key: 'item-0002' }, reason: { type: 'Error', message: 'injected failure of item-0003' } },
      { line: 4, item: { key: 'item-0003' } },
    ]);

    tests.clearFailures();
    expect(await (await startBatch(shop.client, batchId)).result()).toMatchObject({
      status: 'completed',
      total: 6,
      succeeded: 6,
      failed: 0,
      attempt: 2,
      chunks: 1,
    });
    expect(await writtenKeys(shop.store, batchId)).toEqual(items.map(({ key }) => key));
    expect(await failuresOf(batchId)).toEqual([]);
  });

  test('another run of a batch whose items all succeeded processes nothing', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items: makeItems(3) });
    await (await startBatch(shop.client, batchId)).result();

    const again = await startBatch(shop.client, batchId);

    expect(await again.result()).toMatchObject({ status: 'completed', succeeded: 3, attempt: 1 });
    expect(await writtenKeys(shop.store, batchId)).toHaveLength(3);
    expect((await fetchEventSummaries(again)).some(({ name }) => name === 'processBatchChunk')).toBe(false);
  });

  test('a batch counts its items as failed with UnknownOperation if no worker knows the operation', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'unheard-of', items: makeItems(2) });

    expect(await (await startBatch(shop.client, batchId)).result()).toMatchObject({
      status: 'completed_with_failures',
      succeeded: 0,
      failed: 2,
    });
    expect(await chunksOf(shop.store, batchId)).toEqual([{ outcome: 'given_up', reason: 'UnknownOperation' }]);
  });

  test.each<[string, unknown]>([
    ['is missing', undefined],
    ['is null', null],
    ['is a number', 7],
    ['names no batch', {}],
    ['names another batch', { batchId: 'another' }],
    ['has an unknown field', { batchId: 'this', items: [] }],
  ])('a batch fails as InvalidInput and processes nothing if its input %s', async (_description, input) => {
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items: makeItems(1) });
    const given = (input as { items?: unknown } | null)?.items ? { ...(input as object), batchId } : input;

    const failure = await waitForFailure(await startBatch(shop.client, batchId, given));

    expect(failure?.cause).toMatchObject({ type: 'InvalidInput' });
    expect(await writtenKeys(shop.store, batchId)).toEqual([]);
  });

  test('a batch fails as InvalidInput if its workflow id does not match its batch id', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items: makeItems(1) });
    const handle = await shop.client.workflow.start('batch', {
      workflowId: batchId,
      taskQueue: BATCH_TASK_QUEUE,
      args: [{ batchId }],
    });

    const failure = await waitForFailure(handle);

    expect(failure?.cause).toMatchObject({ type: 'InvalidInput' });
    expect(await shop.store.countBatchProgress(batchId)).toMatchObject({ attempt: 0 });
  });

  test('a run fails as Superseded if a newer run has already opened the batch', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items: makeItems(1) });
    const future = new Date('2900-01-01');
    const { attemptId } = (await shop.store.openAttempt(batchId, 'later', future))!;

    const failure = await waitForFailure(await startBatch(shop.client, batchId));

    expect(failure?.cause).toMatchObject({ type: 'Superseded' });
    expect((await shop.store.openAttempt(batchId, 'later', future))?.attemptId).toBe(attemptId);
  });

  test('a running batch fails as Superseded when another run opens the batch', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'call', items: makeItems(3, 'taken') });
    tests.blockCalls();
    const handle = await startBatch(shop.client, batchId);
    await waitUntil(() => tests.calledKeys.includes('taken-0000') || undefined, {
      description: 'work',
      timeoutMs: 20_000,
    });
    await shop.store.openAttempt(batchId, 'another', new Date('2900-01-01'));
    tests.unblockCalls();

    expect(await waitForFailure(handle)).toMatchObject({ type: 'Superseded' });
  });

  test('a batch without an upload fails as BatchNotFound', async () => {
    expect((await waitForFailure(await startBatch(shop.client, 'never-uploaded')))?.cause).toMatchObject({
      type: 'BatchNotFound',
    });
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    [
      'an incomplete input',
      { batchId: 'b', batchNumber: 1, operation: 'write', attemptId: 1, attempt: 1, range: {}, pauseState: {} },
    ],
  ])('a shard that an operator starts with %s fails as InvalidInput', async (_description, input) => {
    const handle = await shop.client.workflow.start<typeof batchShard>('batchShard', {
      workflowId: `shard-${Math.random()}`,
      taskQueue: BATCH_TASK_QUEUE,
      args: [input as Parameters<typeof batchShard>[0]],
    });

    const failure = await waitForFailure(handle as unknown as BatchHandle);

    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'InvalidInput' });
  });

  test('a shard ignores malformed and unknown signals and completes', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'call', items: makeItems(5, 'nonsense') });
    tests.blockCalls();
    const attemptId = (await shop.store.openAttempt(batchId, 'somebody'))!.attemptId;
    const shard = await shop.client.workflow.start<typeof batchShard>('batchShard', {
      workflowId: `shard:${batchId}`,
      taskQueue: BATCH_TASK_QUEUE,
      args: [
        {
          batchId,
          batchNumber: 1,
          operation: 'call',
          attemptId: attemptId,
          attempt: 1,
          range: { first: 0, count: 1 },
          pauseState: { sequence: 0, paused: false },
        },
      ],
    });
    for (const nonsense of [undefined, null, 7, 'x', {}, { sequence: 'x', paused: 1 }]) {
      await shard.signal(pauseStateSignal, nonsense as never);
    }
    await shard.signal('unheard-of', 1);
    tests.unblockCalls();

    await shard.result();

    expect(await shop.store.countBatchProgress(batchId)).toMatchObject({ succeeded: 5 });
  });

  test('a shard ignores a pause state that is older than its current pause state', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items: makeItems(1) });
    const { attemptId } = (await shop.store.openAttempt(batchId, 'somebody'))!;
    const shard = await shop.client.workflow.start<typeof batchShard>('batchShard', {
      workflowId: `shard:${batchId}`,
      taskQueue: BATCH_TASK_QUEUE,
      args: [
        {
          batchId,
          batchNumber: 1,
          operation: 'write',
          attemptId,
          attempt: 1,
          range: { first: 0, count: 1 },
          pauseState: { sequence: 4, paused: true },
        },
      ],
    });
    await shard.signal(pauseStateSignal, { sequence: 3, paused: false });
    const hasSignal = async () => {
      const types = (await fetchEventSummaries(shard)).map(({ type }) => type);
      return types.lastIndexOf('WorkflowTaskCompleted') > types.indexOf('WorkflowExecutionSignaled') || undefined;
    };
    await waitUntil(hasSignal, { description: 'the signal in the history', timeoutMs: 20_000 });
    expect(await writtenKeys(shop.store, batchId)).toEqual([]);

    await shard.signal(pauseStateSignal, { sequence: 5, paused: false });
    await shard.result();

    expect(await writtenKeys(shop.store, batchId)).toHaveLength(1);
  });
});

describeWithTimeSkipping('a paused batch (time-skipping server)', () => {
  let server: Awaited<ReturnType<typeof startTimeSkippingServer>>;
  let shop: Shop;
  let tests: TestOperations;

  beforeAllAndRetries(async () => {
    tests = new TestOperations();
    server = await startTimeSkippingServer();
    shop = await startShop(server, { queues: ['batches'], operations: tests.operations });
    return shop.close;
  });

  test('a batch that is paused for a day processes no item during the pause and every item afterwards', async () => {
    const items = makeItems(30, 'paused');
    const batchId = await stageTestBatch(shop.store, { operation: 'call', items });
    // The batch is paused before its first chunk, because a pause of running chunks cancels their activities.
    // shards.test.ts tests such a pause on the dev server.
    const handle = await shop.client.workflow.signalWithStart<typeof batch>('batch', {
      workflowId: batchWorkflowId(batchId),
      taskQueue: BATCH_TASK_QUEUE,
      args: [{ batchId }],
      signal: pauseSignal,
    });
    const isPaused = async () => (await handle.query(batchQuery)).status === 'paused' || undefined;
    await waitUntil(isPaused, { description: 'the pause', timeoutMs: 20_000 });
    await server.env.sleep('1 day');

    expect(await handle.query(batchQuery)).toMatchObject({ status: 'paused', total: 30, succeeded: 0, failed: 0 });
    expect(tests.calledKeys).toEqual([]);
    // The end of a batch cancels a poll that is still running. So the chunks end only after the poll that follows the
    // resume, when the workflow waits for the next poll.
    tests.blockCalls();
    await handle.signal(resumeSignal);
    const hasPolled = async () => {
      const types = (await fetchEventSummaries(handle)).map(({ type }) => type);
      return types.lastIndexOf('TimerStarted') > types.lastIndexOf('WorkflowExecutionSignaled') || undefined;
    };
    await waitUntil(hasPolled, { description: 'the poll after the resume', timeoutMs: 20_000 });
    tests.unblockCalls();
    expect(await handle.result()).toMatchObject({ status: 'completed', succeeded: 30 });
    expect([...new Set(tests.calledKeys.filter((key) => key.startsWith('paused')))].sort()).toEqual(
      items.map(({ key }) => key),
    );
  });
});
