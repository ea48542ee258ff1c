import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovalResource } from '../../../src/schemas/approval.js';
import type { BatchResource } from '../../../src/schemas/batch.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { BATCH_TASK_QUEUE, batchQuery, batchWorkflowId, pauseSignal } from '../../../src/workflows/batch/contract.js';
import type { batch } from '../../../src/workflows/batch/workflow.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { signShipmentReport, startApi, type Api } from '../../support/api/api.js';
import { stageTestBatch } from '../../support/shop/batches.js';
import { waitUntil } from '../../support/processes.js';
import { makeApproval, makeApprover, makeStage } from '../../support/shop/approvals.js';
import { CartClient, newCartId } from '../../support/shop/carts.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import type { DevServer } from '../../support/temporal/dev-server.js';
import { describeOnFullServer, startFullServer } from '../../support/temporal/full-server.js';

const SERVER_TIMEOUT_MS = 120_000;

/** The problem of a request that needs an answer of a paused workflow. */
const paused = (workflowId: string) => ({
  type: '/problems/workflow-paused',
  status: 503,
  detail: `an operator has paused workflow ${workflowId}`,
});

// Only the full server can pause workflows.
describeOnFullServer('a workflow that an operator has paused in Temporal', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let sku: string;

  beforeAll(async () => {
    server = await startFullServer();
    shop = await startShop(server, { queues: ['orders', 'payments', 'carts', 'approvals', 'batches'] });
    api = await startApi(shop);
    ({ sku } = await addProduct(shop.store, { available: 1_000 }));
  }, SERVER_TIMEOUT_MS);
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function pause(workflowId: string): Promise<void> {
    const { workflowService } = shop.client;
    const { namespace } = server;
    const handle = shop.client.workflow.getHandle(workflowId);
    // A pause between the schedule and the start of a workflow task writes an event that the SDK cannot replay.
    const isIdle = async () => {
      const { pendingActivities, pendingWorkflowTask } = (await handle.describe()).raw;
      return !pendingActivities?.length && !pendingWorkflowTask ? true : undefined;
    };
    await waitUntil(isIdle, { description: `${workflowId} without a workflow task`, timeoutMs: 20_000 });
    await workflowService.pauseWorkflowExecution({ namespace, workflowId, reason: 'test', identity: 'test' });
    const isPaused = async () =>
      (await listed(`WorkflowId = '${workflowId}' and ExecutionStatus = 'Paused'`)).length > 0 || undefined;
    await waitUntil(isPaused, { description: `visibility shows ${workflowId} as paused`, timeoutMs: 20_000 });
  }

  async function unpause(workflowId: string): Promise<void> {
    const { namespace } = server;
    await shop.client.workflowService.unpauseWorkflowExecution({ namespace, workflowId, identity: 'test' });
  }

  async function listed(query: string): Promise<string[]> {
    const found = [];
    for await (const { workflowId } of shop.client.workflow.list({ query })) found.push(workflowId);
    return found;
  }

  async function listItems<Item>(path: string): Promise<Item[]> {
    const { status, body } = await api.get<{ items: Item[] }>(path);
    expect(status).toBe(200);
    return body.items;
  }

  test('an order stays open in the list, names the pause, keeps a carrier report, and continues afterwards', async () => {
    const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
    const { orderId } = order;
    const workflowId = orderWorkflowId(orderId);
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    const { shipment } = await api.waitForOrderStage(orderId, 'awaiting_pickup');

    await pause(workflowId);

    const read = await api.get<Problem & { order: object }>(`/v1/orders/${orderId}`);
    expect(read).toMatchObject({ status: 503, body: paused(workflowId) });
    expect(read.body.order).toMatchObject({ orderId, status: 'processing', stage: 'awaiting_pickup' });
    expect(read.body.order).not.toHaveProperty('closedAt');
    expect(read.headers.get('retry-after')).not.toBeNull();
    expect((await api.post(`/v1/orders/${orderId}/cancel`)).body).toMatchObject(paused(workflowId));
    const [item] = await listItems<object>(`/v1/orders?customerId=${order.customerId}`);
    expect(item).toMatchObject({ orderId, status: 'processing' });
    expect(item).not.toHaveProperty('closedAt');
    expect(await listItems('/v1/orders?status=failed')).toEqual([]);
    const report = { orderId, shipmentId: shipment!.shipmentId, status: 'delivered' as const };
    const reported = await api.request('POST', '/v1/callbacks/shipments', signShipmentReport(report));
    expect(reported).toMatchObject({ status: 202 });

    await unpause(workflowId);
    await api.waitForOrderStatus(orderId, 'completed');
  });

  test('a cart stays open in the list, rejects changes with 503, and accepts them afterwards', async () => {
    const cart = new CartClient(api, newCartId());
    const workflowId = cartWorkflowId(cart.cartId);
    expect((await cart.addItem(sku, 1)).status).toBe(200);

    await pause(workflowId);

    expect(await cart.get()).toMatchObject({ status: 503, body: paused(workflowId) });
    expect(await cart.addItem(sku, 2)).toMatchObject({ status: 503, body: paused(workflowId) });
    const items = await listItems<{ cartId: string }>('/v1/carts');
    expect(items.find(({ cartId }) => cartId === cart.cartId)).toMatchObject({ status: 'open' });

    await unpause(workflowId);
    expect(await cart.setQuantity(sku, 3)).toMatchObject({ status: 200, body: { lines: [{ sku, quantity: 3 }] } });
  });

  test('an approval stays pending, rejects a decision with 503, and can be decided afterwards', async () => {
    const approver = makeApprover();
    const request = makeApproval({ stages: [makeStage(approver)] });
    const { approvalId } = request;
    const workflowId = approvalWorkflowId(approvalId);
    expect((await api.post('/v1/approvals', request)).status).toBe(202);
    const decide = () =>
      api.post<Problem>(`/v1/approvals/${approvalId}/decision`, { approver: approver.id, decision: 'approve' });
    const list = () => listItems<object>(`/v1/approvals?approver=${approver.id}`);
    await waitUntil(async () => (await list())[0], { description: 'the approval in the list', timeoutMs: 20_000 });

    await pause(workflowId);

    expect((await api.get(`/v1/approvals/${approvalId}`)).body).toMatchObject(paused(workflowId));
    expect(await decide()).toMatchObject({ status: 503, body: paused(workflowId) });
    expect(await list()).toMatchObject([{ approvalId, status: 'pending' }]);

    await unpause(workflowId);
    expect(await decide()).toMatchObject({ status: 200 });
    const { body } = await api.get<ApprovalResource>(`/v1/approvals/${approvalId}`);
    expect(body.status).toBe('approved');
  });

  test('a batch stays open in the list and on its page, and keeps a signal', async () => {
    const batchId = await stageTestBatch(shop.store, { items: [{ sku, quantity: 1 }] });
    const workflowId = batchWorkflowId(batchId);
    // The batch pauses itself first, so that it is open when the operator pauses its workflow.
    const handle = await shop.client.workflow.signalWithStart<typeof batch>('batch', {
      workflowId,
      taskQueue: BATCH_TASK_QUEUE,
      args: [{ batchId }],
      signal: pauseSignal,
    });
    await shop.store.recordBatchStarted(batchId);
    const hasPaused = async () => (await handle.query(batchQuery)).status === 'paused' || undefined;
    await waitUntil(hasPaused, { description: 'a batch that has paused itself', timeoutMs: 20_000 });

    await pause(workflowId);

    const { body } = await api.get<BatchResource>(`/v1/batches/${batchId}`);
    expect(body).toMatchObject({ batchId, status: 'paused', total: 1 });
    expect(body).not.toHaveProperty('closedAt');
    const items = await listItems<{ batchId: string; status: string }>('/v1/batches');
    expect(['running', 'paused']).toContain(items.find((item) => item.batchId === batchId)?.status);
    // A signal is kept. The workflow handles it after the operator has unpaused the workflow.
    expect((await api.post(`/v1/batches/${batchId}/resume`)).status).toBe(202);

    await unpause(workflowId);
    await expect(handle.result()).resolves.toMatchObject({ status: 'completed' });
  });
});
