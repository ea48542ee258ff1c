import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { waitUntil } from '../../dev/wait.js';
import { addItemUpdate, cartWorkflowId, CART_TASK_QUEUE, checkoutUpdate } from '../../src/workflows/cart/contract.js';
import type { cart } from '../../src/workflows/cart/workflow.js';
import {
  cancelOrderUpdate,
  orderStatusQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
  PAYMENT_TASK_QUEUE,
  resolveCompensationUpdate,
} from '../../src/workflows/order/contract.js';
import type { order } from '../../src/workflows/order/workflow.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/dev-server.js';
import { patchesIn } from '../support/history.js';
import { releaseBeforePatches } from '../support/releases.js';
import { anOrder, aProduct, openShop, type Shop } from '../support/shop.js';
import { startWorker } from '../support/workers.js';

describeOnDevServer('workflows that were begun by the release before the patches', () => {
  const queues = [ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE, CART_TASK_QUEUE] as const;
  let server: DevServer;
  let shop: Shop;
  let worker: { stop: () => Promise<void> };
  let parked: WorkflowHandle<typeof order>[];
  let filled: WorkflowHandle<typeof cart>;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await openShop(server, { withWorker: false });
    worker = await startWorker(server, shop, { queues, workflowBundle: await releaseBeforePatches() });
    const { sku } = await aProduct(shop.store);
    parked = [await anOrderStuckInRefund(sku, 1), await anOrderStuckInRefund(sku, 2)];
    filled = await aCartWith(sku);
    await worker.stop();
    worker = await startWorker(server, shop, { queues });
  });
  afterAll(async () => {
    await worker?.stop();
    await shop?.close();
  });

  async function anOrderStuckInRefund(sku: string, times: number): Promise<WorkflowHandle<typeof order>> {
    const input = anOrder({ lines: [{ sku, quantity: 1 }] });
    shop.outside.faults.add({ on: 'refund', orderId: input.orderId, fault: 'error', status: 400, times });
    const handle = await shop.client.workflow.start<typeof order>('order', {
      workflowId: orderWorkflowId(input.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
    });
    await seen(handle, ({ stage }) => stage === 'awaiting_pickup');
    await handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await seen(handle, ({ status }) => status === 'compensation_stuck');
    return handle;
  }

  async function aCartWith(sku: string): Promise<WorkflowHandle<typeof cart>> {
    const cartId = randomUUID();
    const handle = await shop.client.workflow.start<typeof cart>('cart', {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId }],
    });
    await handle.executeUpdate(addItemUpdate, { args: [{ sku, quantity: 1 }] });
    return handle;
  }

  async function seen(
    handle: WorkflowHandle<typeof order>,
    isIt: (view: Awaited<ReturnType<typeof order>>) => boolean,
  ) {
    const ask = async () => {
      const view = await handle.query(orderStatusQuery);
      return isIt(view) ? view : undefined;
    };
    return await waitUntil(ask, { what: `${handle.workflowId} as expected`, deadlineMs: 20_000 });
  }

  const retry = (handle: WorkflowHandle<typeof order>) =>
    handle.executeUpdate(resolveCompensationUpdate, { args: [{ action: 'retry' }] });

  /** The patches in the history of a run, which the workflows of today replay. */
  async function replayed(handle: WorkflowHandle): Promise<string[]> {
    const history = await handle.fetchHistory();
    await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundle') } }, history);
    return patchesIn(history);
  }

  test('when an order was stuck, then it still waits for an operator, and his word ends it', async () => {
    const handle = parked[0]!;
    const before = await seen(handle, () => true);
    await retry(handle);

    expect(before).toMatchObject({ status: 'compensation_stuck', compensations: [{}, { status: 'stuck' }] });
    expect(before.compensations[1]).not.toHaveProperty('nextTryAt');
    expect(await handle.result()).toMatchObject({ status: 'cancelled' });
    // What was recorded goes the old way; the stock, put back from here on, goes the new one.
    expect(await replayed(handle)).toEqual(['release-as-activity']);
  });

  test('when it is stuck once more, then from there on it goes the new way', async () => {
    const handle = parked[1]!;
    await retry(handle);
    const again = await seen(handle, ({ compensations }) => compensations.some(({ nextTryAt }) => nextTryAt));
    const open = await replayed(handle);
    await retry(handle);

    expect(again).toMatchObject({ status: 'compensation_stuck' });
    expect(await handle.result()).toMatchObject({ status: 'cancelled' });
    expect(open).toEqual(['retry-stuck-compensations']);
    expect(await replayed(handle)).toEqual(['retry-stuck-compensations', 'release-as-activity']);
  });

  test('when a cart is checked out now, then it becomes an order of the new type', async () => {
    const { orderId } = await filled.executeUpdate(checkoutUpdate, { args: [{ payment: { token: 'tok_ok' } }] });
    const { type } = await shop.client.workflow.getHandle(orderWorkflowId(orderId!)).describe();
    await filled.result();

    expect(type).toBe('orderV2');
    expect(await replayed(filled)).toEqual(['checkout-as-order-v2']);
  });
});
