import type { Client } from '@temporalio/client';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createBusinessMetrics } from '../../../src/observability/metrics/business/business-metrics.js';
import type { CollectorContext } from '../../../src/observability/metrics/business/collector.js';
import { operations } from '../../../src/batch-operations/index.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { createUnreachableBackends } from '../../support/api/unreachable-backends.js';
import { waitUntil } from '../../support/processes.js';

const backends = await createUnreachableBackends();
afterAll(() => backends.close());

const samplesOf = (text: string) => text.split('\n').filter((line) => line && !line.startsWith('#'));

const ALERT_SAMPLES = [
  'shop_compensations_stuck 1',
  'shop_deliveries_overdue 2',
  'shop_orders_unreconciled 3',
  'shop_approvals_overdue 4',
  'shop_batch_idle_seconds 5',
];

function createFakeStore(overrides: Partial<CollectorContext['store']> = {}): CollectorContext['store'] {
  return {
    countOrdersForOperators: async () => ({ stuckCompensations: 1, overdueDeliveries: 2 }),
    countUnreconciledOrders: async () => 3,
    countOverdueApprovals: async () => 4,
    countPendingApprovals: async () => 6,
    readBatchIdleSeconds: async () => [1, 5],
    readBatchStats: async () => [],
    ...overrides,
  };
}

/** A fake Temporal client that records its calls. `count` answers a count of workflows. */
function createFakeTemporalClient({ count = async () => ({ count: 7 }) }: { count?: () => Promise<object> } = {}) {
  const calls = { count: 0, list: 0, describe: 0 };
  const record = <T>(call: keyof typeof calls, run: () => Promise<T>) => {
    calls[call] += 1;
    return run();
  };
  const client = {
    options: { namespace: 'default' },
    withDeadline: (_deadline: number, run: () => unknown) => run(),
    workflow: { count: () => record('count', count) },
    workflowService: {
      listWorkflowExecutions: () => record('list', async () => ({})),
      describeTaskQueue: () => record('describe', async () => ({})),
    },
  } as unknown as Client;
  return { client, calls };
}

const createPage = (client: Client, store = createFakeStore()) => createBusinessMetrics({ client, store, operations });

/** Scrapes the page until all reads that the first scrape started have ended. */
async function scrapeTwice(page: ReturnType<typeof createBusinessMetrics>): Promise<string[]> {
  await page.metrics();
  await page.settled!();
  return samplesOf(await page.metrics());
}

test('every source reports an error when Temporal and the database are unavailable', async () => {
  const samples = await scrapeTwice(createBusinessMetrics({ ...backends, operations }));
  const sources = [
    'approvals',
    'batch_progress',
    'batches',
    'open_batches',
    'orders',
    'pending_approvals',
    'task_queues',
    'unreconciled_orders',
    'workflows',
  ];
  expect(samples.filter((sample) => !/_(age|read)_seconds/.test(sample)).sort()).toEqual(
    sources.map((source) => `shop_business_last_scrape_error{collector="${source}"} 1`),
  );
});

test('omits only the database metrics when the database is unavailable', async () => {
  const samples = await scrapeTwice(createPage(createFakeTemporalClient().client, backends.store));
  expect(samples).toContain('shop_workflows_running{workflow_type="order"} 7');
  expect(samples).toContain('shop_business_last_scrape_error{collector="batches"} 1');
  expect(samples).toContain('shop_business_last_scrape_error{collector="task_queues"} 0');
  expect(samples).toContain('shop_business_last_scrape_error{collector="unreconciled_orders"} 1');
  expect(samples.join('\n')).not.toMatch(/shop_batch_|shop_orders|shop_approvals|shop_compensations|shop_deliveries/);
});

test('a total that fails is marked, and every number that an alert uses stays', async () => {
  const failing = createFakeTemporalClient({ count: () => Promise.reject(new Error('visibility is down')) });
  const samples = await scrapeTwice(createPage(failing.client));
  expect(samples).toEqual(expect.arrayContaining(ALERT_SAMPLES));
  expect(samples).toContain('shop_business_last_scrape_error{collector="workflows"} 1');
  expect(samples.join('\n')).not.toContain('shop_workflows_running');
});

test('a total that does not answer delays no number that an alert uses', async () => {
  let answer: (result: object) => void = () => undefined;
  const silence = new Promise<object>((resolve) => (answer = resolve));
  const { client } = createFakeTemporalClient({ count: () => silence });
  const page = createPage(client);

  // Resolves although the counts of this client are not answered before the next line.
  const samples = samplesOf(await page.metrics());
  answer({ count: 7 });

  expect(samples).toEqual(expect.arrayContaining(ALERT_SAMPLES));
  expect(samples.join('\n')).not.toMatch(/shop_workflows_running|collector="workflows"/);
  await page.settled!();
  expect(samplesOf(await page.metrics())).toContain('shop_workflows_running{workflow_type="cart"} 7');
});

test('waits for the reads of totals before the process closes the connections', async () => {
  let answer: (result: object) => void = () => undefined;
  const silence = new Promise<object>((resolve) => (answer = resolve));
  const page = createPage(createFakeTemporalClient({ count: () => silence }).client);
  await page.metrics();
  let isSettled = false;
  const settled = page.settled!().then(() => (isSettled = true));
  await page.metrics();
  expect(isSettled).toBe(false);
  answer({ count: 7 });
  await settled;
  await waitUntil(() => isSettled || undefined, { description: 'the end of the reads', timeoutMs: 5_000 });
});

test('reads only the 100 oldest batches when more than 100 batches run', async () => {
  const { client } = createFakeTemporalClient();
  const pages = [['c3', 'c2', 'c1'], Array.from({ length: 99 }, (_, number) => `b${number}`), ['a']].map(
    (ids, page) => ({
      executions: ids.map((id) => ({ execution: { workflowId: batchWorkflowId(id) } })),
      nextPageToken: page < 2 ? new Uint8Array([page + 1]) : new Uint8Array(),
    }),
  );
  client.workflowService.listWorkflowExecutions = (async ({ nextPageToken }: { nextPageToken: Uint8Array }) =>
    pages[nextPageToken[0] ?? 0]) as never;
  const read: (readonly string[])[] = [];
  const store = createFakeStore({
    readBatchIdleSeconds: async (ids) => {
      read.push(ids);
      return [];
    },
    readBatchStats: async (ids) => {
      read.push(ids);
      return [];
    },
  });
  await scrapeTwice(createPage(client, store));
  expect(read).toHaveLength(2);
  for (const ids of read) {
    expect(ids).toHaveLength(100);
    expect(ids[0]).toBe('b0');
    expect(ids.at(-1)).toBe('a');
  }
});

describe('the number of reads', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Three Prometheus servers scrape the page every 15 seconds. */
  async function scrapeFor(minutes: number, page: ReturnType<typeof createBusinessMetrics>): Promise<void> {
    for (let scrape = 0; scrape < minutes * 4; scrape += 1) {
      await Promise.all([page.metrics(), page.metrics(), page.metrics()]);
      await page.settled!();
      vi.advanceTimersByTime(15_000);
    }
  }

  test('three scrapers cause one read per scrape interval for alerts, and one read per minute for totals', async () => {
    const { client, calls } = createFakeTemporalClient();
    await scrapeFor(10, createPage(client));
    // 11 task queues and types, the list of running batches (with and without items), 5 + 2 counts of workflows.
    expect(calls).toEqual({ describe: 40 * 11, list: 40 + 10, count: 10 * 7 });
  });

  test('a slow total is read for at most a twentieth of the time', async () => {
    const readAt: number[] = [];
    const store = createFakeStore({
      countPendingApprovals: async () => {
        readAt.push(performance.now());
        vi.advanceTimersByTime(9_000);
        return 6;
      },
    });
    await scrapeFor(10, createPage(createFakeTemporalClient().client, store));
    const pauses = readAt.slice(1).map((at, index) => at - readAt[index]! - 9_000);
    expect(pauses.length).toBeGreaterThan(0);
    for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(20 * 9_000);
  });

  test('a failed read is repeated after the usual pause, however long it took', async () => {
    let reads = 0;
    const store = createFakeStore({
      countOverdueApprovals: async () => {
        reads += 1;
        vi.advanceTimersByTime(4_000);
        throw new Error('canceling statement due to statement timeout');
      },
    });
    const page = createPage(createFakeTemporalClient().client, store);
    await page.metrics();
    vi.advanceTimersByTime(5_001);
    await page.metrics();
    expect(reads).toBe(2);
  });

  test('shows the age of each source, and leaves out a total that was read more than five minutes ago', async () => {
    let answer: (count: number) => void = () => undefined;
    const silence = new Promise<number>((resolve) => (answer = resolve));
    const counts = [Promise.resolve(6), silence];
    const store = createFakeStore({ countPendingApprovals: () => counts.shift()! });
    const page = createPage(createFakeTemporalClient().client, store);
    const isTotal = (sample: string) => sample.startsWith('shop_approvals_pending');
    expect((await scrapeTwice(page)).filter(isTotal)).toEqual(['shop_approvals_pending 6']);

    vi.advanceTimersByTime(301_000);
    const samples = samplesOf(await page.metrics());
    expect(samples.filter(isTotal)).toEqual([]);
    expect(samples).toContain('shop_business_age_seconds{collector="pending_approvals"} 301');
    expect(samples).toContain('shop_business_age_seconds{collector="orders"} 0');
    answer(6);
    await page.settled!();
  });
});
