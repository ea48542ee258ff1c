import type { Client } from '@temporalio/client';
import { afterAll, expect, test, vi } from 'vitest';
import { createBusinessMetrics } from '../../../src/observability/metrics/business/business-metrics.js';
import { operations } from '../../../src/batch-operations/index.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { createUnreachableBackends } from '../../support/api/unreachable-backends.js';

const backends = await createUnreachableBackends();
afterAll(() => backends.close());

const lines = (text: string) => text.split('\n').filter((line) => line && !line.startsWith('#'));

/** A fake Temporal client that counts the calls. Each call waits until the test calls `respond`. */
function createFakeTemporalClient() {
  let requests = 0;
  let respond: () => void = () => undefined;
  const responded = new Promise<void>((resolve) => (respond = resolve));
  const client = {
    options: { namespace: 'default' },
    withDeadline: (_deadline: number, run: () => unknown) => run(),
    workflow: {
      async count() {
        requests += 1;
        await responded;
        return { count: 7 };
      },
    },
    workflowService: {
      listWorkflowExecutions: async () => ({}),
      describeTaskQueue: async () => ({}),
    },
  } as unknown as Client;
  return { client, respond, requestCount: () => requests };
}

test('every collector reports an error when Temporal and the database are unavailable', async () => {
  const page = createBusinessMetrics({ ...backends, operations });
  const samples = lines(await page.metrics());
  expect(samples.sort()).toEqual(
    ['approvals', 'batches', 'orders', 'task_queues', 'workflows'].map(
      (collector) => `shop_business_last_scrape_error{collector="${collector}"} 1`,
    ),
  );
});

test('omits only the database metrics when the database is unavailable', async () => {
  const { client, respond } = createFakeTemporalClient();
  respond();
  const samples = lines(await createBusinessMetrics({ client, store: backends.store, operations }).metrics());
  expect(samples).toContain('shop_compensations_stuck 7');
  expect(samples).toContain('shop_business_last_scrape_error{collector="batches"} 1');
  expect(samples).toContain('shop_business_last_scrape_error{collector="task_queues"} 0');
  expect(samples.join('\n')).not.toContain('shop_batch');
});

test('reads only the 100 oldest batches when more than 100 batches run', async () => {
  const { client, respond } = createFakeTemporalClient();
  respond();
  const pages = [['c3', 'c2', 'c1'], Array.from({ length: 99 }, (_, number) => `b${number}`), ['a']].map(
    (ids, page) => ({
      executions: ids.map((id) => ({ execution: { workflowId: batchWorkflowId(id) } })),
      nextPageToken: page < 2 ? new Uint8Array([page + 1]) : new Uint8Array(),
    }),
  );
  client.workflowService.listWorkflowExecutions = (async ({ nextPageToken }: { nextPageToken: Uint8Array }) =>
    pages[nextPageToken[0] ?? 0]) as never;
  let lookedAt: readonly string[] = [];
  const progressOf = async (ids: readonly string[]) => {
    lookedAt = ids;
    return [];
  };
  await createBusinessMetrics({ client, store: { readBatchStats: progressOf }, operations }).metrics();
  expect(lookedAt).toHaveLength(100);
  expect(lookedAt.slice(0, 1)).toEqual(['b0']);
  expect(lookedAt.at(-1)).toBe('a');
});

test('the pause between database counts is twenty times the duration of a count, even after an error', async () => {
  vi.useFakeTimers();
  try {
    const { client, respond } = createFakeTemporalClient();
    respond();
    let requestCount = 0;
    const progressOf = async () => {
      requestCount += 1;
      vi.advanceTimersByTime(3_000);
      throw new Error('it took too long');
    };
    const page = createBusinessMetrics({ client, store: { readBatchStats: progressOf }, operations });
    for (const [seconds, times] of [
      [0, 1],
      [50, 1],
      [11, 2],
    ] as const) {
      vi.advanceTimersByTime(seconds * 1_000);
      await page.metrics();
      expect(requestCount).toBe(times);
    }
  } finally {
    vi.useRealTimers();
  }
});

test('queries Temporal once for simultaneous scrapes and for a scrape shortly afterwards', async () => {
  const { client, respond, requestCount } = createFakeTemporalClient();
  const page = createBusinessMetrics({ client, store: { readBatchStats: async () => [] }, operations });
  const looks = [page.metrics(), page.metrics()];
  respond();
  const [first, second] = await Promise.all(looks);
  const initialCount = requestCount();
  expect(await page.metrics()).toBe(first);
  expect(second).toBe(first);
  expect(initialCount).toBeGreaterThan(0);
  expect(requestCount()).toBe(initialCount);
});
