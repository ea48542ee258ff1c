import type { Client } from '@temporalio/client';
import { optionalTsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { Gauge, Registry } from 'prom-client';
import type { Operations } from '../../batch-operations/index.js';
import type { Store } from '../../store/index.js';
import { hasWorkflows, TASK_QUEUES } from '../../temporal/task-queues.js';
import { batchIdOf } from '../../workflows/batch/contract.js';
import { ORDER_WORKFLOW_TYPE } from '../../workflows/order/contract.js';
import type { MetricsPage } from './listener.js';

/** How long a result is cached for all scrapes. */
const MAX_AGE_MS = 2_000;

/** Time limit of requests to Temporal. Below Prometheus's default scrape timeout of 10 s. */
const DEADLINE_MS = 5_000;

/** Time limit of a whole part. Requests to Temporal have ended before it. */
const LATE_MS = DEADLINE_MS + 1_000;

/** Counts the chunks of at most 100 running batches, oldest first. */
const MAX_BATCHES = 100;

/** The server's maximum page size. */
const PAGE_SIZE = 1_000;

/**
 * A store result is cached for this multiple of its query time, so that these queries use at most a twentieth of the
 * time.
 */
const REST = 20;

const WORKFLOW_TYPES = [ORDER_WORKFLOW_TYPE, 'cart', 'approval', 'batch', 'batchShard'];

const { TASK_QUEUE_TYPE_WORKFLOW: workflow, TASK_QUEUE_TYPE_ACTIVITY: activity } =
  proto.temporal.api.enums.v1.TaskQueueType;
const TASK_TYPES = { workflow, activity };

interface World {
  client: Client;
  store: Pick<Store, 'progressOf'>;
  operations: Operations;
}

/** Measures one part of the page. Must return complete results or throw. */
type Part = (world: World) => Promise<Measured[]>;

interface Measured {
  name: string;
  help: string;
  values: { labels: Record<string, string>; value: number }[];
}

const PARTS: Record<string, Part> = { workflows, orders, approvals, batches, task_queues: taskQueues };

/**
 * Business metrics from Temporal and the store, read on demand. Every API process returns the same values, so
 * Prometheus must scrape only one of them. A part that fails is omitted and reported in `shop_business_scrape_errors`.
 */
export function businessMetrics({ client, store, operations }: World): MetricsPage {
  const world = {
    client,
    operations,
    store: { progressOf: withRest((ids: readonly string[]) => store.progressOf(ids)) },
  };
  let current: Promise<string> | undefined;
  return {
    contentType: Registry.PROMETHEUS_CONTENT_TYPE,
    metrics() {
      current ??= look(world).finally(() => setTimeout(() => (current = undefined), MAX_AGE_MS).unref());
      return current;
    },
  };
}

async function look(world: World): Promise<string> {
  const registry = new Registry();
  const errors: Measured = {
    name: 'shop_business_scrape_errors',
    help: 'Whether a part of this page could not be told just now',
    values: [],
  };
  await Promise.all(
    Object.entries(PARTS).map(async ([part, measure]) => {
      const told = await within(() => measure(world), world.client).catch(() => undefined);
      for (const measured of told ?? []) expose(registry, measured);
      errors.values.push({ labels: { part }, value: told ? 0 : 1 });
    }),
  );
  expose(registry, errors);
  return await registry.metrics();
}

function expose(registry: Registry, { name, help, values }: Measured): void {
  const labelNames = Object.keys(values[0]?.labels ?? {});
  const gauge = new Gauge({ name, help, labelNames, registers: [registry] });
  for (const { labels, value } of values) gauge.set(labels, value);
}

/** @throws when `run` takes too long. */
async function within<T>(run: () => Promise<T>, client: Client): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it took too long')), LATE_MS);
  });
  try {
    return await Promise.race([client.withDeadline(Date.now() + DEADLINE_MS, run), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function workflows({ client }: World): Promise<Measured[]> {
  const values = WORKFLOW_TYPES.map(async (type) => ({
    labels: { workflow_type: type },
    value: await running(client, `WorkflowType = '${type}'`),
  }));
  return [{ name: 'shop_workflows_running', help: 'Open workflows', values: await all(values) }];
}

async function orders({ client }: World): Promise<Measured[]> {
  const inStatus = (status: string) => `WorkflowType = '${ORDER_WORKFLOW_TYPE}' and OrderStatus = '${status}'`;
  const [stuck, overdue] = await all([
    running(client, inStatus('compensation_stuck')),
    running(client, inStatus('delivery_overdue')),
  ]);
  return [
    single('shop_compensations_parked', 'Orders with a compensation that used up its attempts', stuck),
    single('shop_deliveries_overdue', 'Orders whose delivery waits for a decision of an operator', overdue),
  ];
}

async function approvals({ client }: World): Promise<Measured[]> {
  const pending = `WorkflowType = 'approval' and ApprovalStatus = 'pending'`;
  const [waiting, overdue] = await all([
    running(client, pending),
    running(client, `${pending} and ApprovalDueAt < '${new Date().toISOString()}'`),
  ]);
  return [
    single('shop_approvals_waiting', 'Approvals that nobody has decided', waiting),
    single('shop_approvals_overdue', 'Of these, those that the first who were asked let pass', overdue),
  ];
}

async function batches({ client, store, operations }: World): Promise<Measured[]> {
  const inStatus = (status: string) => `WorkflowType = 'batch' and BatchStatus = '${status}'`;
  const [atWork, paused, ids] = await all([
    running(client, inStatus('running')),
    running(client, inStatus('paused')),
    oldestBatches(client, `${inStatus('running')} and ExecutionStatus = 'Running'`),
  ]);
  const progress = await store.progressOf(ids);
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
      name: 'shop_batch_tasks',
      help: 'Tasks of running batches, of their current round',
      values: byState({
        done: ({ tasksDone }) => tasksDone,
        failed: ({ tasksGivenUp }) => tasksGivenUp,
        open: ({ tasks, tasksDone, tasksGivenUp }) => tasks - tasksDone - tasksGivenUp,
      }),
    },
    single(
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
async function oldestBatches({ workflowService, options: { namespace } }: Client, query: string): Promise<string[]> {
  let ids: string[] = [];
  let nextPageToken: Uint8Array = new Uint8Array();
  do {
    const page = await workflowService.listWorkflowExecutions({ namespace, query, pageSize: PAGE_SIZE, nextPageToken });
    const more = (page.executions ?? []).map(({ execution }) => batchIdOf(execution?.workflowId ?? ''));
    ids = [...ids, ...more].slice(-MAX_BATCHES);
    nextPageToken = page.nextPageToken ?? new Uint8Array();
  } while (nextPageToken.length > 0);
  return ids;
}

/** Caches the last result or failure of `run` for the time that REST sets. */
function withRest<Argument, Result>(run: (argument: Argument) => Promise<Result>): typeof run {
  let last: { answer: Promise<Result>; servesUntil: number } | undefined;
  return async (argument) => {
    if (last && performance.now() < last.servesUntil) return await last.answer;
    const began = performance.now();
    const asked = { answer: run(argument), servesUntil: Infinity };
    last = asked;
    return await asked.answer.finally(() => {
      const ended = performance.now();
      asked.servesUntil = ended + REST * (ended - began);
    });
  };
}

async function taskQueues({ client }: World): Promise<Measured[]> {
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
  const queues = await all(looks);
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
async function all<T extends readonly unknown[]>(
  promises: [...T],
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

const single = (name: string, help: string, value: number): Measured => ({
  name,
  help,
  values: [{ labels: {}, value }],
});

/** Counts open workflows. `query` contains only constants, so nothing needs escaping. */
async function running(client: Client, query: string): Promise<number> {
  const { count } = await client.workflow.count(`${query} and ExecutionStatus = 'Running'`);
  return count;
}
