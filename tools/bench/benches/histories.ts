import { randomUUID } from 'node:crypto';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { startTemporaryStack } from '../../stack/stack.js';
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
import { startBare } from '../programs/bare.js';
import { runBatch } from './batch.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { sellByClient, sellByHttp, SKU, stockUp } from './orders.js';

const ROUNDS = 3;
const CHANGES = 100;
const ITEMS = 10_000;

/** The growth of a history. */
interface Size {
  events: number;
  bytes: number;
}

/** The number of events and bytes that each operation of the shop writes, against three activities that do nothing. */
export async function benchHistories({ take }: Effort): Promise<Figure[]> {
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 0 });
  const { apiUrl, ownerDatabaseUrl, temporalAddress } = stack.addresses;
  const stops = [() => stack.stop()];
  try {
    const bare = await startBare(temporalAddress);
    stops.unshift(() => bare.stop());
    const connection = await Connection.connect({ address: temporalAddress });
    stops.unshift(() => connection.close());
    const client = new Client({ connection });
    await stockUp(ownerDatabaseUrl);

    const contenders: Record<string, () => Promise<Size>> = {
      'bare workflow, 3 regular activities': async () =>
        sizeOf(bare.client, (await bare.run('threeActivities')).workflowId),
      'order, by the client': async () => sizeOf(client, orderWorkflowId(await sellByClient(client))),
      'order, through HTTP': async () => sizeOf(client, orderWorkflowId(await sellByHttp(apiUrl, client))),
      'change of a cart': () => changeOfCart(client, take(CHANGES)),
      'approval, asked and decided': async () => sizeOf(client, approvalWorkflowId(await approve(client))),
      'item of a batch': () => itemOfBatch(client, apiUrl, take(ITEMS)),
      'item of a batch, a task of its own': () => itemOfBatch(client, apiUrl, take(CHANGES), 1),
    };
    const sizes: Record<keyof Size, Measured> = { events: {}, bytes: {} };
    for (let round = 0; round < take(ROUNDS); round += 1) {
      for (const [name, run] of Object.entries(contenders)) {
        const { events, bytes } = await run();
        note(sizes.events, name, events);
        note(sizes.bytes, name, bytes);
      }
    }
    return [
      ...besideFirst(sizes.events, { what: 'events', unit: 'events', better: 'less', of: 1 }),
      ...besideFirst(sizes.bytes, { what: 'bytes', unit: 'bytes', better: 'less', of: 1 }),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

async function sizeOf(client: Client, workflowId: string): Promise<Size> {
  const { historyLength, historySize } = await client.workflow.getHandle(workflowId).describe();
  return { events: historyLength, bytes: historySize ?? 0 };
}

/** The average growth per change. */
async function changeOfCart(client: Client, changes: number): Promise<Size> {
  const cartId = randomUUID();
  const change = () => ({ sku: SKU, quantity: 1, requestId: randomUUID() });
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
  const before = await sizeOf(client, cart.workflowId);
  for (let count = 0; count < changes; count += 1) await cart.executeUpdate(addItemUpdate, { args: [change()] });
  const after = await sizeOf(client, cart.workflowId);
  await cart.cancel();
  return { events: (after.events - before.events) / changes, bytes: (after.bytes - before.bytes) / changes };
}

/** Runs an approval with one stage and one approver: sends the mail, then decides. Returns the approval's id. */
async function approve(client: Client): Promise<string> {
  const approvalId = randomUUID();
  const approver = { id: 'lead', email: 'lead@example.com' };
  const question: ApprovalInput = {
    approvalId,
    title: 'A new roaster?',
    requestedBy: 'bench',
    stages: [{ approvers: [approver], timeoutSeconds: 3_600 }],
  };
  const handle = await client.workflow.start('approval', {
    workflowId: approvalWorkflowId(approvalId),
    taskQueue: APPROVAL_TASK_QUEUE,
    args: [question],
  });
  const isTold = async () => {
    const { notifications }: ApprovalView = await handle.query(approvalQuery);
    return notifications.some(({ status }) => status === 'sent') || undefined;
  };
  await waitUntil(isTold, { what: 'the mail to the approver', deadlineMs: 60_000 });
  await handle.executeUpdate(decideUpdate, { args: [{ approver: approver.id, decision: 'approve' }] });
  await handle.result();
  return approvalId;
}

async function itemOfBatch(client: Client, apiUrl: string, items: number, itemsPerTask?: number): Promise<Size> {
  const lines = Array.from({ length: items }, () => Buffer.from(`${JSON.stringify({ sku: SKU, quantity: 1 })}\n`));
  const { batchId } = await runBatch({ apiUrl, operation: restock.name, lines, itemsPerTask });
  const { events, bytes } = await sizeOf(client, batchWorkflowId(batchId));
  return { events: events / items, bytes: bytes / items };
}
