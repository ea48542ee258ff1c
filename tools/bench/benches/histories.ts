import { randomUUID } from 'node:crypto';
import { WithStartWorkflowOperation, type Client } from '@temporalio/client';
import { waitUntil } from '../../processes/wait.js';
import type { ApprovalInput, ApprovalView } from '../../../src/schemas/approval.js';
import { restock } from '../../../src/batch-operations/restock.js';
import type * as workflows from '../../../src/workflows/index.js';
import {
  APPROVAL_TASK_QUEUE,
  approvalQuery,
  approvalWorkflowId,
  decideUpdate,
} from '../../../src/workflows/approval/contract.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { addItemUpdate, cartWorkflowId, CART_TASK_QUEUE } from '../../../src/workflows/cart/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { withOrderServers } from '../programs/order-servers.js';
import { uploadAndAwaitBatch } from './batch.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { completeOrderByClient, completeOrderByHttp, BENCH_SKU } from '../load/orders.js';

const ROUNDS = 3;
const CART_CHANGES = 100;
const BATCH_ITEMS = 10_000;

/** The size of a history, or its growth. */
interface HistorySize {
  events: number;
  bytes: number;
}

/** Measures how many events and bytes each operation of the shop writes, against three activities that do nothing. */
export async function benchHistories({ scale }: SampleScale): Promise<Comparison[]> {
  return await withOrderServers({}, async ({ apiUrl, client, noopWorker }) => {
    const variants: Record<string, () => Promise<HistorySize>> = {
      '3 no-op activities': async () =>
        readHistorySize(noopWorker.client, (await noopWorker.run('threeActivities')).workflowId),
      'order skeleton': async () =>
        readHistorySize(noopWorker.client, (await noopWorker.run('orderSkeleton')).workflowId),
      'order, with the SDK client': async () =>
        readHistorySize(client, orderWorkflowId(await completeOrderByClient(client))),
      'order, over HTTP': async () =>
        readHistorySize(client, orderWorkflowId(await completeOrderByHttp(apiUrl, client))),
      'cart change': () => measureCartChange(client, scale(CART_CHANGES)),
      'approval, requested and decided': async () =>
        readHistorySize(client, approvalWorkflowId(await runApproval(client))),
      'batch item': () => measureBatchItem(client, apiUrl, scale(BATCH_ITEMS)),
      'batch item, one per chunk': () => measureBatchItem(client, apiUrl, scale(CART_CHANGES), 1),
    };
    const sizes: Record<keyof HistorySize, ValuesByVariant> = { events: {}, bytes: {} };
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      for (const [name, run] of Object.entries(variants)) {
        const { events, bytes } = await run();
        addValue(sizes.events, name, events);
        addValue(sizes.bytes, name, bytes);
      }
    }
    return [
      ...compareWithFirst(sizes.events, { what: 'events', unit: 'events', better: 'less', sampleCount: 1 }),
      ...compareWithFirst(sizes.bytes, { what: 'bytes', unit: 'bytes', better: 'less', sampleCount: 1 }),
    ];
  });
}

async function readHistorySize(client: Client, workflowId: string): Promise<HistorySize> {
  const { historyLength, historySize } = await client.workflow.getHandle(workflowId).describe();
  return { events: historyLength, bytes: historySize ?? 0 };
}

/** Measures the average growth of a history per cart change. */
async function measureCartChange(client: Client, changes: number): Promise<HistorySize> {
  const cartId = randomUUID();
  const change = () => ({ sku: BENCH_SKU, quantity: 1, idempotencyKey: randomUUID() });
  await client.workflow.executeUpdateWithStart(addItemUpdate, {
    args: [change()],
    startWorkflowOperation: new WithStartWorkflowOperation<typeof workflows.cart>('cart', {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId }],
      workflowIdConflictPolicy: 'FAIL',
    }),
  });
  const cart = client.workflow.getHandle(cartWorkflowId(cartId));
  const before = await readHistorySize(client, cart.workflowId);
  for (let count = 0; count < changes; count += 1) await cart.executeUpdate(addItemUpdate, { args: [change()] });
  const after = await readHistorySize(client, cart.workflowId);
  await cart.cancel();
  return { events: (after.events - before.events) / changes, bytes: (after.bytes - before.bytes) / changes };
}

/**
 * Runs an approval with one stage and one approver, and decides it after the mail is sent. @returns the approval id.
 */
async function runApproval(client: Client): Promise<string> {
  const approvalId = randomUUID();
  const approver = { id: 'lead', email: 'lead@example.com' };
  const input: ApprovalInput = {
    approvalId,
    title: 'A new roaster?',
    requestedBy: 'bench',
    stages: [{ approvers: [approver], timeoutSeconds: 3_600 }],
  };
  const handle = await client.workflow.start('approval', {
    workflowId: approvalWorkflowId(approvalId),
    taskQueue: APPROVAL_TASK_QUEUE,
    args: [input],
  });
  const isNotified = async () => {
    const { notifications }: ApprovalView = await handle.query(approvalQuery);
    return notifications.some(({ status }) => status === 'sent') || undefined;
  };
  await waitUntil(isNotified, { description: 'the mail to the approver', timeoutMs: 60_000 });
  await handle.executeUpdate(decideUpdate, { args: [{ approver: approver.id, decision: 'approve' }] });
  await handle.result();
  return approvalId;
}

async function measureBatchItem(
  client: Client,
  apiUrl: string,
  items: number,
  itemsPerChunk?: number,
): Promise<HistorySize> {
  const lines = Array.from({ length: items }, () =>
    Buffer.from(`${JSON.stringify({ sku: BENCH_SKU, quantity: 1 })}\n`),
  );
  const { batchId } = await uploadAndAwaitBatch({
    apiUrl,
    operation: restock.name,
    lines,
    itemsPerChunk: itemsPerChunk,
  });
  const { events, bytes } = await readHistorySize(client, batchWorkflowId(batchId));
  return { events: events / items, bytes: bytes / items };
}
