import type { Client } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { Gauge, Registry } from 'prom-client';
import type { Operations } from '../../batch-operations/index.js';
import type { Store } from '../../store/index.js';
import { hasWorkflows, TASK_QUEUES } from '../../temporal/task-queues.js';
import { batchIdOf } from '../../workflows/batch/contract.js';
import { ORDER_WORKFLOW_TYPE } from '../../workflows/order/contract.js';
import type { MetricsPage } from './metrics-server.js';

/** How long a result is cached for all scrapes. */
const CACHE_MS = 2_000;

/** Time limit of requests to Temporal. Below Prometheus's default scrape timeout of 10 s. */
const TEMPORAL_TIMEOUT_MS = 5_000;

/** Time limit of a whole part. Requests to Temporal have ended before it. */
const COLLECTOR_TIMEOUT_MS = TEMPORAL_TIMEOUT_MS + 1_000;

/** Counts the chunks of at most 100 running batches, oldest first. */
const MAX_COUNTED_BATCHES = 100;

/** The server's maximum page size. */
const PAGE_SIZE = 1_000;

/**
 * A store result is cached for this multiple of its query time, so that these queries use at most a twentieth of the
 * time.
 */
const CACHE_TIME_FACTOR = 20;

const WORKFLOW_TYPES = [ORDER_WORKFLOW_TYPE, 'cart', 'approval', 'batch', 'batchShard'];

const { TASK_QUEUE_TYPE_WORKFLOW: workflow, TASK_QUEUE_TYPE_ACTIVITY: activity } =
  proto.temporal.api.enums.v1.TaskQueueType;
const TASK_TYPES = { workflow, activity };

interface CollectorContext {
  client: Client;
  store: Pick<Store, 'readBatchStats'>;
  operations: Operations;
}

/** Measures one part of the page. Must return complete results or throw. */
type Collector = (context: CollectorContext) => Promise<GaugeFamily[]>;

interface GaugeFamily {
  name: string;
  help: string;
  values: { labels: Record<string, string>; value: number }[];
}

const COLLECTORS: Record<string, Collector> = {
  collectWorkflows,
  collectOrders,
  collectApprovals,
  collectBatches,
  task_queues: collectTaskQueues,
};

/**
 * Business metrics from Temporal and the store, read on demand. Every API process returns the same values, so
 * Prometheus must scrape only one of them. A part that fails is omitted and reported in `shop_business_last_scrape_error`.
 */
export function createBusinessMetrics({ client, store, operations }: CollectorContext): MetricsPage {
  const context = {
    client,
    operations,
    store: { readBatchStats: cacheByQueryTime((ids: readonly string[]) => store.readBatchStats(ids)) },
  };
  let current: Promise<string> | undefined;
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    metrics() {
      current ??= collectMetrics(context).finally(() => setTimeout(() => (current = undefined), CACHE_MS).unref());
      return current;
    },
  };
}

async function collectMetrics(context: CollectorContext): Promise<string> {
  const registry = new Registry();
  const errors: GaugeFamily = {
    name: 'shop_business_last_scrape_error',
    help: 'Whether a part of this page could not be families just now',
    values: [],
  };
  await Promise.all(
    Object.entries(COLLECTORS).map(async ([part, measure]) => {
      const families = await withTimeout(() => measure(context), context.client).catch(() => undefined);
      for (const measured of families ?? []) registerGauge(registry, measured);
      errors.values.push({ labels: { part }, value: families ? 0 : 1 });
    }),
  );
  registerGauge(registry, errors);
  return await registry.metrics();
}

function registerGauge(registry: Registry, { name, help, values }: GaugeFamily): void {
  const labelNames = Object.keys(values[0]?.labels ?? {});
  const gauge = new Gauge({ name, help, labelNames, registers: [registry] });
  for (const { labels, value } of values) gauge.set(labels, value);
}

/** @throws when `run` takes too long. */
async function withTimeout<T>(run: () => Promise<T>, client: Client): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it took too long')), COLLECTOR_TIMEOUT_MS);
  });
  try {
    return await Promise.race([client.withDeadline(Date.now() + TEMPORAL_TIMEOUT_MS, run), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function collectWorkflows({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const values = WORKFLOW_TYPES.map(async (type) => ({
    labels: { workflow_type: type },
    value: await countOpenWorkflows(client, `WorkflowType = '${type}'`),
  }));
  return [{ name: 'shop_workflows_running', help: 'Open workflows', values: await waitForAll(values) }];
}

async function collectOrders({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const inStatus = (status: string) => `WorkflowType = '${ORDER_WORKFLOW_TYPE}' and OrderStatus = '${status}'`;
  const [stuck, overdue] = await waitForAll([
    countOpenWorkflows(client, inStatus('compensation_stuck')),
    countOpenWorkflows(client, inStatus('delivery_overdue')),
  ]);
  return [
    unlabelledGauge('shop_compensations_stuck', 'Orders with a compensation that used up its attempts', stuck),
    unlabelledGauge('shop_deliveries_overdue', 'Orders whose delivery waits for a decision of an operator', overdue),
  ];
}

async function collectApprovals({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const pending = `WorkflowType = 'approval' and ApprovalStatus = 'pending'`;
  const [waiting, overdue] = await waitForAll([
    countOpenWorkflows(client, pending),
    countOpenWorkflows(client, `${pending} and ApprovalDueAt < '${new Date().toISOString()}'`),
  ]);
  return [
    unlabelledGauge('shop_approvals_pending', 'Approvals that nobody has decided', waiting),
    unlabelledGauge('shop_approvals_overdue', 'Of these, those that the first who were asked let pass', overdue),
  ];
}

async function collectBatches({ client, store, operations }: CollectorContext): Promise<GaugeFamily[]> {
  const inStatus = (status: string) => `WorkflowType = 'batch' and BatchStatus = '${status}'`;
  const [atWork, paused, ids] = await waitForAll([
    countOpenWorkflows(client, inStatus('running')),
    countOpenWorkflows(client, inStatus('paused')),
    listOldestBatchIds(client, `${inStatus('running')} and ExecutionStatus = 'Running'`),
  ]);
  const progress = await store.readBatchStats(ids);
  const sum = (operation: string, count: (of: (typeof progress)[number]) => number) =>
    progress.filter((of) => of.operation === operation).reduce((total, of) => total + count(of), 0);
  const byState = (counts: Record<string, (of: (typeof progress)[number]) => number>) =>
    [...operations.keys()].flatMap((operation) =>
      Object.entries(counts).map(([state, count]) => ({ labels: { operation, state }, value: sum(operation, count) })),
    );
  return [
    {
      name: 'shop_batches_open',
      help: 'Open batches',
      values: [
        { labels: { status: 'running' }, value: atWork },
        { labels: { status: 'paused' }, value: paused },
      ],
    },
    {
      name: 'shop_batch_items',
      help: 'Items of running batches',
      values: byState({
        succeeded: ({ succeeded }) => succeeded,
        failed: ({ failed }) => failed,
        open: ({ total, succeeded, failed }) => total - succeeded - failed,
      }),
    },
    {
      name: 'shop_batch_chunks',
      help: 'Chunks of running batches, of their current round',
      values: byState({
        done: ({ chunksDone }) => chunksDone,
        failed: ({ chunksGivenUp }) => chunksGivenUp,
        open: ({ chunks, chunksDone, chunksGivenUp }) => chunks - chunksDone - chunksGivenUp,
      }),
    },
    unlabelledGauge(
      'shop_batch_idle_seconds',
      'How long nothing has been done of the running batch that stands still the longest',
      Math.max(0, ...progress.map(({ idleSeconds }) => idleSeconds)),
    ),
  ];
}

/**
 * The ids of the oldest batches, because stalled batches are old. The server always lists the newest first, so this
 * reads all pages.
 */
async function listOldestBatchIds(
  { workflowService, options: { namespace } }: Client,
  query: string,
): Promise<string[]> {
  let ids: string[] = [];
  let nextPageToken: Uint8Array = new Uint8Array();
  do {
    const page = await workflowService.listWorkflowExecutions({ namespace, query, pageSize: PAGE_SIZE, nextPageToken });
    const more = (page.executions ?? []).map(({ execution }) => batchIdOf(execution?.workflowId ?? ''));
    ids = [...ids, ...more].slice(-MAX_COUNTED_BATCHES);
    nextPageToken = page.nextPageToken ?? new Uint8Array();
  } while (nextPageToken.length > 0);
  return ids;
}

/** Caches the last result or failure of `run` for the time that REST sets. */
function cacheByQueryTime<Argument, Result>(run: (argument: Argument) => Promise<Result>): typeof run {
  let last: { answer: Promise<Result>; servesUntil: number } | undefined;
  return async (argument) => {
    if (last && performance.now() < last.servesUntil) return await last.answer;
    const began = performance.now();
    const asked = { answer: run(argument), servesUntil: Infinity };
    last = asked;
    return await asked.answer.finally(() => {
      const ended = performance.now();
      asked.servesUntil = ended + CACHE_TIME_FACTOR * (ended - began);
    });
  };
}

async function collectTaskQueues({ client }: CollectorContext): Promise<GaugeFamily[]> {
  const looks = TASK_QUEUES.flatMap((taskQueue) =>
    Object.entries(TASK_TYPES)
      .filter(([type]) => type === 'activity' || hasWorkflows(taskQueue))
      .map(async ([type, taskQueueType]) => {
        const { stats } = await client.workflowService.describeTaskQueue({
          namespace: client.options.namespace,
          taskQueue: { name: taskQueue },
          taskQueueType,
          reportStats: true,
        });
        return {
          labels: { task_queue: taskQueue, task_type: type },
          backlog: Number(stats?.approximateBacklogCount ?? 0),
          age: (optionalTsToMs(stats?.approximateBacklogAge) ?? 0) / 1000,
        };
      }),
  );
  const queues = await waitForAll(looks);
  return [
    {
      name: 'shop_task_queue_approximate_backlog',
      help: 'Tasks that wait for a worker',
      values: queues.map(({ labels, backlog: value }) => ({ labels, value })),
    },
    {
      name: 'shop_task_queue_approximate_backlog_age_seconds',
      help: 'How long the oldest of them has waited',
      values: queues.map(({ labels, age: value }) => ({ labels, value })),
    },
  ];
}

/**
 * Like `Promise.all`, but rejects only after all promises have settled, because the caller may then close the
 * connection.
 */
async function waitForAll<T extends readonly unknown[]>(
  promises: [...T],
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

const unlabelledGauge = (name: string, help: string, value: number): GaugeFamily => ({
  name,
  help,
  values: [{ labels: {}, value }],
});

/** Counts open workflows. `query` contains only constants, so nothing needs escaping. */
async function countOpenWorkflows(client: Client, query: string): Promise<number> {
  const { count } = await client.workflow.count(`${query} and ExecutionStatus = 'Running'`);
  return count;
}
