import { isDeepStrictEqual } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCommandLine, type ReplayCommand } from '../../../tools/replay/command-line.js';
import { APPROVAL_TASK_QUEUE, withdrawUpdate } from '../../../src/workflows/approval/contract.js';
import { CART_TASK_QUEUE } from '../../../src/workflows/cart/contract.js';
import {
  BATCH_TASK_QUEUE,
  batchQuery,
  batchWorkflowId,
  pauseSignal,
  resumeSignal,
} from '../../../src/workflows/batch/contract.js';
import type { batch } from '../../../src/workflows/batch/workflow.js';
import {
  orderQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
  PAYMENT_TASK_QUEUE,
  shipmentReportedSignal,
} from '../../../src/workflows/order/contract.js';
import type { order as orderWorkflow } from '../../../src/workflows/order/workflow.js';
import { waitUntil } from '../../support/processes.js';
import {
  makeApproval,
  makeApprover,
  makeStage,
  startApproval,
  type ApprovalHandle,
} from '../../support/shop/approvals.js';
import { newCartId, startCart, type CartHandle } from '../../support/shop/carts.js';
import { stageTestBatch } from '../../support/shop/batches.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';
import { startSingleWorkerProcess, startWorker } from '../../support/workers/workers.js';

const DEPLOYMENT_NAME = 'shop';
const DEADLINE_MS = 40_000;
const queues = [ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE, BATCH_TASK_QUEUE, APPROVAL_TASK_QUEUE, CART_TASK_QUEUE] as const;

/** Sets the delay and the interval of the server's drainage checks to a second. The defaults are minutes. */
const dynamicConfig = ['VersionDrainageStatusVisibilityGracePeriod', 'VersionDrainageStatusRefreshInterval'].map(
  (key) => `matching.wv.${key}="1s"`,
);

type OrderHandle = WorkflowHandle<typeof orderWorkflow>;

// The tests depend on each other and must run in order. test/e2e/workers/rollback.test.ts covers the full server, which
// also offers the upgrade on continue-as-new.
describeOnDevServer('worker deployment versions', () => {
  let server: DevServer;
  let shop: Shop;
  let sku: string;
  const workers: { stop: () => Promise<unknown> }[] = [];

  beforeAll(async () => {
    server = await startDevServer({ dynamicConfig });
    shop = await startShop(server, { withWorker: false });
    ({ sku } = await addProduct(shop.store, { available: 1_000 }));
    workers.push(
      await startWorker(server, shop, {
        taskQueues: queues,
        deploymentVersion: { name: DEPLOYMENT_NAME, buildId: '1' },
      }),
    );
    await waitForBuild('1');
    await runSuccessfully('set-current-version', '--build-id', '1');
  });
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await shop?.close();
  });

  /** Waits until the server lists all task queues of a version. */
  async function waitForBuild(buildId: string): Promise<void> {
    const hasQueues = async () => {
      const { code, stdout } = await command('describe-version', '--build-id', buildId, '--output', 'json');
      return (code === 0 && queues.every((queue) => stdout.includes(`"${queue}"`))) || undefined;
    };
    await waitUntil(hasQueues, { description: `version ${buildId} with all its task queues`, timeoutMs: DEADLINE_MS });
  }

  async function command(name: string, ...args: string[]) {
    return await runTemporalCli(server, 'worker', 'deployment', name, '--deployment-name', DEPLOYMENT_NAME, ...args);
  }

  async function runSuccessfully(name: string, ...args: string[]): Promise<void> {
    expect(await command(name, ...args, '--yes')).toMatchObject({ code: 0 });
  }

  /** Starts an order and waits until the order awaits the pickup. */
  async function placeOrderAwaitingPickup(): Promise<OrderHandle> {
    const input = makeOrder({ lines: [{ sku, quantity: 1 }] });
    const handle = await shop.client.workflow.start<typeof orderWorkflow>('order', {
      workflowId: orderWorkflowId(input.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
    });
    const awaitsPickup = async () => (await handle.query(orderQuery)).stage === 'awaiting_pickup' || undefined;
    await waitUntil(awaitsPickup, { description: 'an order that awaits the pickup', timeoutMs: DEADLINE_MS });
    return handle;
  }

  async function deliverOrder(handle: OrderHandle): Promise<void> {
    const { orderId, shipment } = await handle.query(orderQuery);
    await handle.signal(shipmentReportedSignal, { orderId, shipmentId: shipment!.shipmentId, status: 'delivered' });
    await handle.result();
  }

  async function startPausedBatch(): Promise<WorkflowHandle<typeof batch>> {
    const items = [{ sku, quantity: 1 }];
    const batchId = await stageTestBatch(shop.store, { items });
    const handle = await shop.client.workflow.signalWithStart<typeof batch>('batch', {
      workflowId: batchWorkflowId(batchId),
      taskQueue: BATCH_TASK_QUEUE,
      args: [{ batchId }],
      signal: pauseSignal,
    });
    const isPaused = async () => (await handle.query(batchQuery)).status === 'paused' || undefined;
    await waitUntil(isPaused, { description: 'a paused batch', timeoutMs: DEADLINE_MS });
    return handle;
  }

  /** Returns the versions that completed the workflow tasks of a run, in order and without adjacent duplicates. */
  async function versionsOf(handle: WorkflowHandle): Promise<string[]> {
    const { events } = await handle.fetchHistory();
    const all = (events ?? []).flatMap(
      ({ workflowTaskCompletedEventAttributes: done }) => done?.deploymentVersion?.buildId ?? [],
    );
    return all.filter((buildId, index) => buildId !== all[index - 1]);
  }

  const behaviourOf = async (handle: WorkflowHandle) =>
    (await handle.describe()).raw.workflowExecutionInfo?.versioningInfo?.behavior;

  let order: OrderHandle;
  let upgrading: { approval: ApprovalHandle; cart: CartHandle };
  let pinned: WorkflowHandle<typeof batch>;

  test('orders are pinned; approvals, and carts of an older server, use the current version', async () => {
    order = await placeOrderAwaitingPickup();
    upgrading = {
      approval: await startApproval(shop.client, makeApproval({ stages: [makeStage(makeApprover())] })),
      cart: await startCart(shop.client, { cartId: newCartId() }),
    };
    for (const handle of Object.values(upgrading)) {
      const isVersioned = async () => (await versionsOf(handle)).length > 0 || undefined;
      await waitUntil(isVersioned, { description: `a workflow task of ${handle.workflowId}`, timeoutMs: DEADLINE_MS });
    }

    expect(await versionsOf(order)).toEqual(['1']);
    expect(await behaviourOf(order)).toBe(PINNED);
    expect([await behaviourOf(upgrading.approval), await behaviourOf(upgrading.cart)]).toEqual([
      AUTO_UPGRADE,
      AUTO_UPGRADE,
    ]);
  });

  test('batches are pinned', async () => {
    pinned = await startPausedBatch();

    expect(await versionsOf(pinned)).toEqual(['1']);
    expect(await behaviourOf(pinned)).toBe(PINNED);
  });

  test('npm run replay -- --from-server does not select pinned workflows', async () => {
    const { serverSample: sample } = readCommandLine(['--from-server']) as ReplayCommand;
    const listWorkflowIds = async (query: string) => {
      const found = [];
      for await (const { workflowId } of shop.client.workflow.list({ query })) found.push(workflowId);
      return found.sort();
    };
    const unpinned = [upgrading.approval.workflowId, upgrading.cart.workflowId].sort();
    const all = [pinned.workflowId, order.workflowId, ...unpinned].sort();
    const areFound = async () =>
      isDeepStrictEqual(await listWorkflowIds('TemporalWorkflowVersioningBehavior is not null'), all) || undefined;
    await waitUntil(areFound, { description: 'the versioning behavior in visibility', timeoutMs: DEADLINE_MS });

    expect(await listWorkflowIds(sample!.query)).toEqual(unpinned);
  });

  test('an open approval moves to the new current version, and orders complete on their own version', async () => {
    const named = {
      TEMPORAL_DEPLOYMENT_NAME: DEPLOYMENT_NAME,
      TEMPORAL_WORKER_BUILD_ID: '2',
      WORKER_TASK_QUEUES: queues.join(),
    };
    workers.push(await startSingleWorkerProcess(server, shop, named));
    await waitForBuild('2');
    await runSuccessfully('set-current-version', '--build-id', '2');
    const newOrder = await placeOrderAwaitingPickup();
    await deliverOrder(order);
    await upgrading.approval.executeUpdate(withdrawUpdate, { args: [{}] });
    await upgrading.cart.cancel();
    await expect(upgrading.cart.result()).rejects.toThrow();

    expect(await versionsOf(newOrder)).toEqual(['2']);
    expect(await versionsOf(order)).toEqual(['1']);
    expect(await versionsOf(upgrading.approval)).toEqual(['1', '2']);
    expect(await versionsOf(upgrading.cart)).toEqual(['1', '2']);
    await deliverOrder(newOrder);
  });

  test('an open batch keeps its version draining, and completes on this version', async () => {
    expect(await drainage('1')).toBe('draining');
    await pinned.signal(resumeSignal);
    await pinned.result();
    expect(await versionsOf(pinned)).toEqual(['1']);
  });

  test('the server reports a version as drained when no workflow of this version is open', async () => {
    const isDrained = async () => (await drainage('1')) === 'drained' || undefined;
    await waitUntil(isDrained, { description: 'version 1 drained', timeoutMs: DEADLINE_MS });

    expect(await drainage('1')).toBe('drained');
  });

  async function drainage(buildId: string): Promise<string | undefined> {
    const { stdout } = await command('describe-version', '--build-id', buildId, '--output', 'json');
    return (JSON.parse(stdout) as { drainageInfo?: { drainageStatus?: string } }).drainageInfo?.drainageStatus;
  }
});

const [PINNED, AUTO_UPGRADE] = [1, 2];
