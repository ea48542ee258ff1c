import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { projectRoot, waitUntil } from '../../support/processes.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';

const HOOK_TIMEOUT_MS = 120_000;
const TASK_QUEUE = 'failing-orders';

const ORDER = (body: string) => `
  import { condition, defineQuery, defineSignal, defineUpdate, setHandler, sleep } from '@temporalio/workflow';
  export async function order() {
    let signals = 0;
    setHandler(defineQuery('order'), () => ({ signals }));
    setHandler(defineUpdate('cancelOrder'), () => ({ signals }));
    setHandler(defineSignal('wake'), () => void (signals += 1));
    ${body}
  }`;

const WAITS = ORDER("await sleep('1 day');");
const CHANGED = ORDER('await condition(() => false);');
const THROWS = ORDER("await condition(() => signals > 0); throw new TypeError('no such field');");

describeOnDevServer('a workflow whose code fails', () => {
  // Inside the project, so that the bundler finds the SDK.
  const folder = mkdtempSync(join(projectRoot, 'node_modules/.failing-'));
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { queues: [] });
    api = await startApi(shop);
  }, HOOK_TIMEOUT_MS);
  afterAll(async () => {
    await api?.close();
    await shop?.close();
    rmSync(folder, { recursive: true });
  });

  /** Runs `run` while a worker with this workflow code polls the task queue. */
  async function withWorker<T>(source: string, run: () => Promise<T>): Promise<T> {
    const path = join(folder, `${randomUUID()}.mjs`);
    writeFileSync(path, source);
    const workflowBundle = await bundleWorkflowCode({ workflowsPath: path, logger: new DefaultLogger('ERROR') });
    const { nativeConnection: connection, namespace } = server;
    const worker = await Worker.create({ connection, namespace, taskQueue: TASK_QUEUE, workflowBundle });
    return await worker.runUntil(run);
  }

  async function startOrder(): Promise<string> {
    const orderId = randomUUID();
    const workflowId = orderWorkflowId(orderId);
    await shop.client.workflow.start('order', { workflowId, taskQueue: TASK_QUEUE, args: [] });
    return orderId;
  }

  const handleOf = (orderId: string) => shop.client.workflow.getHandle(orderWorkflowId(orderId));
  const read = (orderId: string) => api.get<Problem & { taskQueue: string }>(`/v1/orders/${orderId}`);
  const cancel = (orderId: string) => api.post<Problem>(`/v1/orders/${orderId}/cancel`);

  async function wakeUntilTaskFails(orderId: string): Promise<void> {
    await handleOf(orderId).signal('wake');
    const hasFailed = async () => {
      const { raw } = await handleOf(orderId).describe();
      return (raw.pendingWorkflowTask?.attempt ?? 0) > 1 || undefined;
    };
    await waitUntil(hasFailed, { description: 'a failed workflow task', timeoutMs: 20_000 });
  }

  test('an open order that does not replay with changed code returns 503 non-determinism to reads and commands', async () => {
    const orderId = await withWorker(WAITS, async () => {
      const started = await startOrder();
      await handleOf(started).query('order');
      return started;
    });
    const problem = {
      type: '/problems/non-determinism',
      detail: `the workflow code does not match the history of workflow order:${orderId}`,
    };
    await withWorker(CHANGED, async () => {
      const idle = await read(orderId);
      expect(idle).toMatchObject({ status: 503, body: { ...problem, taskQueue: TASK_QUEUE, order: { orderId } } });
      expect(idle.headers.get('retry-after')).toBe('5');

      await wakeUntilTaskFails(orderId);
      expect(await read(orderId)).toMatchObject({ status: 503, body: problem });
      expect(await cancel(orderId)).toMatchObject({ status: 503, body: problem });
    });
    await withWorker(WAITS, () => handleOf(orderId).query('order'));
    await handleOf(orderId).terminate();
  });

  test('an order whose workflow code throws returns 503 workflow-task-failed', async () => {
    await withWorker(THROWS, async () => {
      const orderId = await startOrder();
      await wakeUntilTaskFails(orderId);
      const problem = { type: '/problems/workflow-task-failed', detail: `the code of workflow order:${orderId} fails` };
      expect(await read(orderId)).toMatchObject({ status: 503, body: { ...problem, taskQueue: TASK_QUEUE } });
      expect(await cancel(orderId)).toMatchObject({ status: 503, body: problem });
      await handleOf(orderId).terminate();
    });
  });
});
