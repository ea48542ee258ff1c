import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  batchQuery,
  BATCH_TASK_QUEUE,
  batchStatusAttribute,
  pauseSignal,
  resumeSignal,
} from '../../../src/workflows/batch/contract.js';
import type { batch as batchWorkflow, batchShard } from '../../../src/workflows/batch/workflow.js';
import {
  EVENTS_PER_ACTIVITY,
  EVENTS_PER_CHILD,
  EVENTS_PER_PROGRESS_POLL,
} from '../../support/api/generated-documents.js';
import { lockBatch } from '../../support/database/database-lock.js';
import { waitUntil } from '../../support/processes.js';
import {
  makeItems,
  startBatch,
  stageTestBatch,
  waitForBatchProgress,
  TestOperations,
  writtenKeys,
  type BatchHandle,
} from '../../support/shop/batches.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { fetchEventSummaries, waitForHandledCancellation } from '../../support/temporal/event-summaries.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { startWorker } from '../../support/workers/workers.js';
import { resetRun } from '../../support/temporal/resets.js';

/** Temporal's size limit for the history of one run. */
const MAX_BYTES = 50 * 1024 * 1024;

/** A batch of 1,001 chunks takes up to 67 s while other test files run. */
const LARGE_BATCH = { timeout: 120_000 };

describeOnDevServer('a batch (dev server)', () => {
  let server: DevServer;
  let shop: Shop;
  let worker: { stop: () => Promise<void> };
  const tests = new TestOperations();

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    worker = await startWorker(server, shop, {
      taskQueues: ['batches'],
      operations: tests.operations,
      batchConcurrentChunks: 50,
    });
  });
  afterAll(async () => {
    await worker?.stop();
    await shop?.close();
  });

  const childOf = ({ workflowId }: Pick<BatchHandle, 'workflowId'>, n: number | string) =>
    shop.client.workflow.getHandle<typeof batchShard>(`${workflowId}/${n}`);

  const stateOf = async (handle: Pick<WorkflowHandle, 'describe'>) => (await handle.describe()).status.name;

  async function isOpen(handle: Pick<WorkflowHandle, 'describe' | 'workflowId'>): Promise<void> {
    const poll = async () => ((await stateOf(handle).catch(() => undefined)) === 'RUNNING' ? true : undefined);
    await waitUntil(poll, { description: `${handle.workflowId} running`, timeoutMs: 20_000 });
  }

  /** Starts a batch of 1,001 chunks, blocks its partner calls, and waits until its two child workflows are open. */
  async function startBlockedBatch(prefix: string) {
    const items = makeItems(1_001, prefix);
    const batchId = await stageTestBatch(shop.store, { operation: 'call', items, itemsPerChunk: 1 });
    tests.blockCalls();
    const handle = await startBatch(shop.client, batchId);
    await Promise.all([isOpen(childOf(handle, 0)), isOpen(childOf(handle, 1))]);
    await waitUntil(() => tests.calledKeys.some((key) => key.startsWith(prefix)) || undefined, {
      description: 'work',
      timeoutMs: 20_000,
    });
    return { batchId, handle, items };
  }

  test(
    'a batch of 1,001 chunks has two children, whose history sizes allow batches of a million chunks',
    LARGE_BATCH,
    async () => {
      const items = makeItems(1_001, 'tree');
      const batchId = await stageTestBatch(shop.store, { operation: 'write', items, itemsPerChunk: 1 });

      const handle = await startBatch(shop.client, batchId);

      expect(await handle.result()).toMatchObject({ status: 'completed', succeeded: 1_001, chunks: 1_001 });
      expect(await writtenKeys(shop.store, batchId)).toEqual(items.map(({ key }) => key));
      const [parent, full, rest] = await Promise.all(
        [handle, childOf(handle, 0), childOf(handle, 1)].map(measureHistory),
      );
      expect([full!.activities, rest!.activities]).toEqual([1_000, 1]);
      // The parent runs one activity at the start, one at the end, and one for each progress poll.
      expect(parent!.activities).toBeLessThanOrEqual(2 + parent!.timers);
      expect(parent!.children).toBe(2);
      for (const { text } of [parent!, full!, rest!]) expect(text).not.toContain('tree-0');

      // A batch of a million chunks has a thousand children with 1,000 chunks each. docs/reference/limits.md uses these
      // numbers.
      expect(full!.events / 1_000).toBeLessThan(EVENTS_PER_ACTIVITY);
      expect(full!.bytes).toBeLessThan(MAX_BYTES / 20);
      const perChild = (parent!.events - parent!.timers * EVENTS_PER_PROGRESS_POLL) / parent!.children;
      expect(perChild).toBeLessThanOrEqual(EVENTS_PER_CHILD);
      expect((parent!.bytes / parent!.children) * 1_000 * 2).toBeLessThan(MAX_BYTES);
    },
  );

  /** Measures the history of a run: its size, its text and the number of events of some types. */
  async function measureHistory(handle: Pick<WorkflowHandle, 'describe' | 'fetchHistory'>) {
    const [{ historyLength, historySize }, events, history] = await Promise.all([
      handle.describe(),
      fetchEventSummaries(handle),
      handle.fetchHistory(),
    ]);
    const count = (type: string) => events.filter((event) => event.type === type).length;
    return {
      events: historyLength,
      bytes: historySize ?? NaN,
      text: JSON.stringify(history),
      activities: count('ActivityTaskScheduled'),
      children: count('ChildWorkflowExecutionStarted'),
      timers: count('TimerStarted'),
    };
  }

  test(
    'the items of a child terminated during a pause count as failed, and the batch completes the other items',
    LARGE_BATCH,
    async () => {
      const { batchId, handle, items } = await startBlockedBatch('paced');

      await handle.signal(pauseSignal);
      const readIdleSeconds = async () => {
        const children = await Promise.all([0, 1].map((n) => childOf(handle, n).describe()));
        return children.every(({ raw }) => (raw.pendingActivities ?? []).length === 0) || undefined;
      };
      await waitUntil(readIdleSeconds, { description: 'no activity in progress', timeoutMs: 20_000 });
      tests.unblockCalls();
      const { status, typedSearchAttributes } = await handle.describe();
      expect([status.name, typedSearchAttributes.get(batchStatusAttribute)]).toEqual(['RUNNING', 'paused']);
      expect(await handle.query(batchQuery)).toMatchObject({ status: 'paused' });
      await childOf(handle, 1).terminate('by an operator');
      expect(await shop.store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0 });
      await handle.signal(resumeSignal);

      expect(await handle.result()).toMatchObject({ status: 'completed_with_failures', succeeded: 1_000, failed: 1 });
      expect((await handle.describe()).typedSearchAttributes.get(batchStatusAttribute)).toBe('completed_with_failures');
      expect(await shop.store.listBatchFailures(batchId, { limit: 10 })).toMatchObject([
        { line: 1_001, item: items[1_000], reason: { type: 'TerminatedFailure' } },
      ]);
      const retried = await startBatch(shop.client, batchId);
      expect(await retried.result()).toMatchObject({ status: 'completed', succeeded: 1_001, attempt: 2, chunks: 1 });
    },
  );

  test('a terminated batch that is started again while its chunks still run applies every item once', async () => {
    const items = makeItems(40, 'fenced');
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items });
    tests.blockCalls();
    const first = await startBatch(shop.client, batchId);
    const isWriting = async () => (await countWriting()) > 0 || undefined;
    await waitUntil(isWriting, { description: 'a chunk within its transaction', timeoutMs: 20_000 });
    await first.terminate();
    const second = await startBatch(shop.client, batchId);
    tests.unblockCalls();

    expect(await second.result()).toMatchObject({ status: 'completed', succeeded: 40, failed: 0 });
    expect(await writtenKeys(shop.store, batchId)).toEqual(items.map(({ key }) => key));
  });

  /** Counts the open transactions of chunks whose calls the test blocks. */
  async function countWriting(): Promise<number> {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`.execute(
      shop.store.db,
    );
    return rows.length;
  }

  test(
    'a cancelled child counts its items as failed, and a retry of the cancelled batch processes all items',
    LARGE_BATCH,
    async () => {
      const { batchId, handle } = await startBlockedBatch('cancelled');

      await childOf(handle, 1).cancel();
      await waitForBatchProgress(
        shop.store,
        batchId,
        ({ failed }) => failed === 1,
        'the items of the child counted as failed',
      );
      expect(await stateOf(handle)).toBe('RUNNING');
      await handle.cancel();

      const error: unknown = await handle.result().catch((reason: unknown) => reason);
      expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
      expect([await stateOf(childOf(handle, 0)), await stateOf(childOf(handle, 1))]).toEqual([
        'CANCELLED',
        'CANCELLED',
      ]);
      expect(await handle.query(batchQuery)).toMatchObject({ status: 'cancelled', failed: 1 });
      expect(await shop.store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0, failed: 1 });
      tests.unblockCalls();
      const retried = await startBatch(shop.client, batchId);
      expect(await retried.result()).toMatchObject({ status: 'completed', succeeded: 1_001, attempt: 2 });
      expect(await stateOf(childOf(handle, '0.2'))).toBe('COMPLETED');
    },
  );

  test('a batch that is cancelled while it is being opened is recorded as cancelled', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items: makeItems(2) });
    const lock = await lockBatch(shop.databaseUrl, batchId);
    const handle = await startBatch(shop.client, batchId);
    await lock.waitForBlocked();
    await handle.cancel();
    await waitForHandledCancellation(handle);
    await lock.release();

    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    const statusOf = () =>
      shop.store.db.selectFrom('batches').select('status').where('batch_id', '=', batchId).executeTakeFirst();
    await waitUntil(async () => (await statusOf())?.status === 'cancelled' || undefined, {
      description: 'the recorded cancellation',
      timeoutMs: 10_000,
    });
    expect(await handle.query(batchQuery)).toMatchObject({ status: 'cancelled', total: 2, succeeded: 0, failed: 0 });
    expect(await writtenKeys(shop.store, batchId)).toEqual([]);
  });

  test(
    'a reset batch waits until the children of the previous run have closed, and processes every item once',
    LARGE_BATCH,
    async () => {
      const { handle } = await startBlockedBatch('reset');
      const { events } = await handle.fetchHistory();
      const firstChild = events!.findIndex((event) => event.startChildWorkflowExecutionInitiatedEventAttributes);
      const taskBefore = events!.slice(0, firstChild).findLast((event) => event.workflowTaskCompletedEventAttributes);
      const { workflowId, firstExecutionRunId: runId } = handle;
      await resetRun(shop.client, { workflowId, runId }, Number(taskBefore!.eventId));
      tests.unblockCalls();

      const again = shop.client.workflow.getHandle<typeof batchWorkflow>(handle.workflowId);
      expect(await again.result()).toMatchObject({ status: 'completed', succeeded: 1_001, failed: 0, attempt: 1 });
      expect((await again.describe()).runId).not.toBe(handle.firstExecutionRunId);
    },
  );

  test('a batch that is paused before its start processes no item until it is resumed', async () => {
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items: makeItems(3) });
    const handle = await shop.client.workflow.signalWithStart('batch', {
      workflowId: `batch:${batchId}`,
      taskQueue: BATCH_TASK_QUEUE,
      args: [{ batchId }],
      signal: pauseSignal,
    });
    await waitUntil(async () => (await handle.query(batchQuery)).chunks > 0 || undefined, {
      description: 'a progress poll',
      timeoutMs: 20_000,
    });

    expect(await handle.query(batchQuery)).toMatchObject({ status: 'paused', succeeded: 0 });
    await handle.signal(resumeSignal);
    await handle.result();
    expect(await writtenKeys(shop.store, batchId)).toHaveLength(3);
  });

  test('retries a failed partner call with the same idempotency key, and records a rejection as a failed item', async () => {
    const batchId = await stageTestBatch(shop.store, {
      operation: 'call',
      items: makeItems(4, 'called'),
      itemsPerChunk: 4,
    });
    tests.failItem('called-0001', 'permanent');
    tests.failItem('called-0003', 'transient', 2);
    const handle = await startBatch(shop.client, batchId);

    expect(await handle.result()).toMatchObject({ status: 'completed_with_failures', succeeded: 3, failed: 1 });
    expect(await shop.store.listBatchFailures(batchId, { limit: 9 })).toMatchObject([
      {
        line: 2,
        item: { key: 'called-0001' },
        reason: { type: 'InjectedRejection', message: 'called-0001 is rejected' },
      },
    ]);
    const used = tests.idempotencyKeys.filter((key) => key.includes(batchId));
    expect(used.length).toBeGreaterThan(4);
    expect([...new Set(used)].sort()).toEqual([1, 2, 3, 4].map((line) => `batch:${batchId}:${line}`));
    tests.clearFailures();
  });

  test('a batch that is resumed while no worker runs continues when a worker starts', async () => {
    const items = makeItems(30, 'unavailable');
    const batchId = await stageTestBatch(shop.store, { operation: 'call', items });
    tests.blockCalls();
    const handle = await startBatch(shop.client, batchId);
    await waitUntil(() => tests.calledKeys.includes('unavailable-0000') || undefined, {
      description: 'work',
      timeoutMs: 20_000,
    });
    await handle.signal(pauseSignal);
    await waitUntil(async () => ((await handle.describe()).raw.pendingActivities ?? []).length === 0 || undefined, {
      description: 'no activity in progress',
      timeoutMs: 20_000,
    });
    tests.unblockCalls();
    await worker.stop();
    await handle.signal(resumeSignal);
    expect(await shop.store.countBatchProgress(batchId)).toMatchObject({ succeeded: 0 });

    worker = await startWorker(server, shop, {
      taskQueues: ['batches'],
      operations: tests.operations,
      batchConcurrentChunks: 50,
    });

    expect(await handle.result()).toMatchObject({ status: 'completed', succeeded: 30 });
  });

  test('the query and the current details of a batch show the stored progress', async () => {
    const batchId = await stageTestBatch(shop.store, {
      operation: 'call',
      items: makeItems(60, 'shown'),
      itemsPerChunk: 1,
    });
    const handle = await startBatch(shop.client, batchId);
    await waitForBatchProgress(shop.store, batchId, ({ succeeded }) => succeeded > 0, 'progress');
    tests.blockCalls();
    await handle.signal(pauseSignal);
    const isUnchanged = async () => {
      const [seen, stored] = [await handle.query(batchQuery), await shop.store.countBatchProgress(batchId)];
      return seen.chunks > 0 && seen.succeeded === stored?.succeeded ? seen : undefined;
    };
    const seen = await waitUntil(isUnchanged, { description: 'a progress poll after the pause', timeoutMs: 20_000 });
    tests.unblockCalls();

    const metadata = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    expect(metadata.currentDetails).toContain(`${seen.succeeded} of 60 items`);
    expect(metadata.currentDetails).toContain('paused');
    await handle.signal(resumeSignal);
    await handle.result();
  });
});
