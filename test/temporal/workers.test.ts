import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { hasPoller } from '../../src/temporal/client/pollers.js';
import type { OrderInput, OrderResource } from '../../src/schemas/order.js';
import { TASK_QUEUES, type TaskQueue } from '../../src/temporal/task-queues.js';
import { readConcurrencyLimits, type ConcurrencyLimits } from '../../src/temporal/workers.js';
import { ORDER_TASK_QUEUE, orderQuery, orderWorkflowId } from '../../src/workflows/order/contract.js';
import type { order } from '../../src/workflows/order/workflow.js';
import { waitUntil } from '../support/processes.js';
import { startApi } from '../support/api/api.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../support/shop/shop.js';
import { startWorker, startSingleWorkerProcess } from '../support/workers/workers.js';

const DEADLINE_MS = 30_000;

const NO_LIMITS = {
  WORKER_TUNER: 'fixed',
  WORKER_TARGET_MEMORY: undefined,
  WORKER_TARGET_CPU: undefined,
  WORKER_MAX_CONCURRENT_ACTIVITIES: undefined,
  WORKER_MAX_CONCURRENT_WORKFLOW_TASKS: undefined,
} as const;

test('a resource-based worker uses the configured resource targets, or the defaults', () => {
  const configured = { WORKER_TUNER: 'resource-based', WORKER_TARGET_MEMORY: 0.5, WORKER_TARGET_CPU: 0.7 } as const;
  expect(readConcurrencyLimits({ ...NO_LIMITS, ...configured }).resourceTargets).toEqual({
    targetMemoryUsage: 0.5,
    targetCpuUsage: 0.7,
  });
  expect(readConcurrencyLimits({ ...NO_LIMITS, WORKER_TUNER: 'resource-based' }).resourceTargets).toEqual({
    targetMemoryUsage: 0.8,
    targetCpuUsage: 0.9,
  });
  expect(readConcurrencyLimits(NO_LIMITS).resourceTargets).toBeUndefined();
});

test('a worker uses the configured concurrency limits', () => {
  const configured = { WORKER_MAX_CONCURRENT_ACTIVITIES: 7, WORKER_MAX_CONCURRENT_WORKFLOW_TASKS: 5 };
  expect(readConcurrencyLimits({ ...NO_LIMITS, ...configured })).toMatchObject({ activities: 7, workflowTasks: 5 });
});

describeOnDevServer('the task queues and concurrency of a worker', () => {
  let server: DevServer;
  let shop: Shop;
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
  });
  afterAll(async () => {
    await shop.close();
  });

  /**
   * Creates a separate namespace, so that workers of other tests do not take its tasks. Its workers stop after the
   * test.
   */
  async function createNamespace() {
    const other = await server.openNamespace(`ns-${randomUUID()}`);
    return {
      client: other.client,
      work: async (options: Parameters<typeof startWorker>[2]) => {
        const worker = await startWorker(other, shop, options);
        ends.push(() => worker.stop());
        return worker;
      },
      async workInAProcess(env: Record<string, string>) {
        const worker = await startSingleWorkerProcess(
          { address: server.address, namespace: other.namespace },
          shop,
          env,
        );
        ends.push(() => worker.stop());
      },
      async place(overrides: Partial<OrderInput> = {}) {
        const input = makeOrder({ lines: [{ sku: (await addProduct(shop.store)).sku, quantity: 1 }], ...overrides });
        const handle = await other.client.workflow.start<typeof order>('order', {
          workflowId: orderWorkflowId(input.orderId),
          taskQueue: ORDER_TASK_QUEUE,
          args: [input],
        });
        const stage = (expected: string) =>
          waitUntil(async () => (await handle.query(orderQuery)).stage === expected || undefined, {
            description: `order ${input.orderId} reaching ${expected}`,
            timeoutMs: DEADLINE_MS,
            intervalMs: 100,
          });
        return { orderId: input.orderId, stage };
      },
    };
  }

  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const end of ends.splice(0)) await end();
  });

  test('workers poll only their own task queues, and together complete an order', async () => {
    const { client, work, place } = await createNamespace();
    const listPolledQueues = async () => {
      const looks = TASK_QUEUES.map(async (queue): Promise<TaskQueue[]> => {
        const kinds = await Promise.all([hasPoller(client, queue), hasPoller(client, queue, { kind: 'activity' })]);
        return kinds.includes(true) ? [queue] : [];
      });
      return (await Promise.all(looks)).flat();
    };

    await work({ taskQueues: ['orders'] });
    const { orderId, stage } = await place();
    await stage('charging_payment');
    expect(await listPolledQueues()).toEqual(['orders']);
    expect(shop.fakes.records(orderId).requests).toEqual([]);
    const api = await startApi({ client, store: shop.store });
    ends.push(() => api.close());
    const held = await api.waitForOrder(orderId, ({ waiting }) => waiting !== undefined, 'waits');
    expect(held.waiting).toEqual([{ step: 'chargePayment', taskQueue: 'payments', since: expect.any(String) }]);

    await work({ taskQueues: ['payments'] });
    await stage('awaiting_pickup');
    expect((await api.get<OrderResource>(`/v1/orders/${orderId}`)).body).not.toHaveProperty('waiting');
    expect(await listPolledQueues()).toEqual(['orders', 'payments']);
    expect(await hasPoller(client, 'payments')).toBe(false);
    expect(shop.fakes.records(orderId).charges).toHaveLength(1);
  });

  test.each<[string, ConcurrencyLimits]>([
    ['a fixed limit', { activities: 1 }],
    [
      'a resource-based tuner with a limit',
      { activities: 1, resourceTargets: { targetMemoryUsage: 1, targetCpuUsage: 1 } },
    ],
  ])('with %s of one activity, the worker makes one gateway call at a time', async (_by, concurrency) => {
    const { work, place } = await createNamespace();
    await work({ taskQueues: ['orders', 'payments'], concurrencyLimits: concurrency });
    const [one, other] = [makeOrder({ lines: [] }).orderId, makeOrder({ lines: [] }).orderId];
    const holds = { [one]: shop.fakes.hold('charge', one), [other]: shop.fakes.hold('charge', other) };

    const orders = [await place({ orderId: one }), await place({ orderId: other })];
    await Promise.all(orders.map(({ stage }) => stage('charging_payment')));
    const first = await Promise.race(Object.entries(holds).map(([id, hold]) => hold.arrived.then(() => id)));
    const last = first === one ? other : one;

    // Runs a step of another order first, so that the worker has had time for the second charge.
    const third = await place();
    await third.stage('charging_payment');
    expect(holds[last]!.counts.arrived).toBe(0);

    await holds[first]!.release();
    await holds[last]!.arrived;
    await holds[last]!.release();
    await Promise.all([...orders, third].map(({ stage }) => stage('awaiting_pickup')));
  });

  test('without a limit, the worker makes many concurrent gateway calls', async () => {
    const { work, place } = await createNamespace();
    await work({ taskQueues: ['orders', 'payments'] });
    const ids = Array.from({ length: 5 }, () => randomUUID());
    const holds = ids.map((orderId) => shop.fakes.hold('charge', orderId));

    const orders = await Promise.all(ids.map((orderId) => place({ orderId })));
    await Promise.all(holds.map((hold) => hold.arrived));

    await Promise.all(holds.map((hold) => hold.release()));
    await Promise.all(orders.map(({ stage }) => stage('awaiting_pickup')));
  });

  test('the rate limit for payments applies to all workers together', { timeout: 120_000 }, async () => {
    const { work, workInAProcess, place } = await createNamespace();
    const perSecond = 8;
    // All charges are scheduled before a payments worker runs, so only the rate limit can spread them over time.
    await work({ taskQueues: ['orders'] });
    const orders = await Promise.all(Array.from({ length: 32 }, () => place()));
    await Promise.all(orders.map(({ stage }) => stage('charging_payment')));

    // A worker process that inherited this invalid value would not start.
    vi.stubEnv('WORKER_TUNER', 'of-the-shell');
    const payments = { WORKER_TASK_QUEUES: 'payments', PAYMENTS_PER_SECOND: String(perSecond) };
    await Promise.all([workInAProcess(payments), workInAProcess(payments)]);
    await Promise.all(orders.map(({ stage }) => stage('awaiting_pickup')));

    const times = orders
      .flatMap(({ orderId }) =>
        shop.fakes
          .records(orderId)
          .requests.filter(({ path }) => path === '/payments/charges')
          .map(({ at }) => Date.parse(at)),
      )
      .sort((a, b) => a - b);
    expect(times).toHaveLength(orders.length);
    // The server allows two bursts of one second's worth of tasks: the initial burst, and one more because it rounds
    // up.
    const atLeastMs = ((orders.length - 2 * perSecond) / perSecond) * 1000;
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(atLeastMs);
  });
});
