import type { WorkflowInfo } from '@temporalio/workflow';
import { expect, test } from 'vitest';
import { decideUpdate } from '../../../src/workflows/approval/contract.js';
import { abandonUpdate } from '../../../src/workflows/cart/contract.js';
import {
  cancelOrderUpdate,
  ORDER_TASK_QUEUE,
  orderQuery,
  orderWorkflowId,
  shipmentReportedSignal,
} from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { makeApproval, makeApprover, makeDecision, makeStage, startApproval } from '../../support/shop/approvals.js';
import { stageTestBatch, startBatch } from '../../support/shop/batches.js';
import { newCartId, startCart } from '../../support/shop/carts.js';
import { placeOrder } from '../../support/shop/placed-orders.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { beforeAllAndRetries } from '../../support/temporal/before-all-and-retries.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

/** A line at level `info` or above that a workflow logged. */
interface LogLine {
  workflowId: string;
  type: string;
  message: string;
  outcome?: unknown;
  seconds?: unknown;
}

describeOnDevServer('the log line at the end of a workflow', () => {
  let shop: Shop;
  const lines: LogLine[] = [];

  beforeAllAndRetries(async () => {
    const record = {
      fn: (
        { workflowId, workflowType }: WorkflowInfo,
        message: string,
        fields?: Pick<LogLine, 'outcome' | 'seconds'>,
      ) => void lines.push({ workflowId, type: workflowType, message, ...fields }),
      callDuringReplay: false,
    };
    const ignore = { fn: () => undefined };
    const logger = { trace: ignore, debug: ignore, info: record, warn: record, error: record };
    shop = await startShop(await startDevServer(), { sinks: { defaultWorkerLogger: logger } });
    return shop.close;
  });

  /** Waits for the line of this workflow. Expects that the workflow logged nothing else. */
  async function expectOneLine(workflowId: string, type: string, outcome: string): Promise<void> {
    const linesOf = () => lines.filter((line) => line.workflowId === workflowId);
    await waitUntil(() => linesOf().length > 0 || undefined, {
      description: `a log line of ${workflowId}`,
      timeoutMs: 20_000,
    });
    expect(linesOf()).toEqual([
      expect.objectContaining({ type, message: 'workflow ended', outcome, seconds: expect.any(Number) }),
    ]);
  }

  test('a completed order logs its outcome once', async () => {
    const { handle, input } = await placeOrder(shop, 'awaiting_pickup');
    const { shipment } = await handle.query(orderQuery);
    await handle.signal(shipmentReportedSignal, {
      orderId: input.orderId,
      shipmentId: shipment!.shipmentId,
      status: 'delivered',
    });
    await handle.result();

    await expectOneLine(handle.workflowId, 'order', 'completed');
  });

  test('a rejected order logs its outcome once', async () => {
    const { sku } = await addProduct(shop.store);
    const input = makeOrder({ lines: [{ sku, quantity: 1 }], payment: { token: 'tok_declined' } });
    const workflowId = orderWorkflowId(input.orderId);
    await shop.client.workflow.execute('order', { workflowId, taskQueue: ORDER_TASK_QUEUE, args: [input] });

    await expectOneLine(workflowId, 'order', 'rejected');
  });

  test('a cancelled order logs its outcome once', async () => {
    const { handle } = await placeOrder(shop, 'awaiting_pickup');
    await handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await handle.result();

    await expectOneLine(handle.workflowId, 'order', 'cancelled');
  });

  test('a cart logs its outcome once, and not when it continues as new', async () => {
    const { sku } = await addProduct(shop.store);
    const { workflowId } = await startCart(shop.client, { cartId: newCartId(), continueAsNewAfterEvents: 4 });
    const cart = shop.client.workflow.getHandle(workflowId);
    const { runId } = await cart.describe();
    await cart.executeUpdate('addItem', { args: [{ sku, quantity: 1 }] });
    await waitUntil(async () => (await cart.describe()).runId !== runId || undefined, {
      description: 'the next run of the cart',
      timeoutMs: 20_000,
    });
    await cart.executeUpdate(abandonUpdate, { args: [{}] });
    await cart.result();

    await expectOneLine(workflowId, 'cart', 'abandoned');
  });

  test('a batch logs its outcome once', async () => {
    const { sku } = await addProduct(shop.store);
    const batchId = await stageTestBatch(shop.store, { items: [{ sku, quantity: 1 }] });
    const handle = await startBatch(shop.client, batchId);
    await handle.result();

    await expectOneLine(handle.workflowId, 'batch', 'completed');
  });

  test('an approval logs its outcome once', async () => {
    const approver = makeApprover();
    const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage(approver)] }));
    await handle.executeUpdate(decideUpdate, { args: [makeDecision(approver.id)] });
    await handle.result();

    await expectOneLine(handle.workflowId, 'approval', 'approved');
  });
});
