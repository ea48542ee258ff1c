import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { fetchHistories } from '../../tools/replay/histories.js';
import { replayHistories } from '../../tools/replay/replay-histories.js';
import {
  cancelOrderUpdate,
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  orderQuery,
  orderWorkflowId,
  PAYMENT_TASK_QUEUE,
} from '../../src/workflows/order/contract.js';
import type { order } from '../../src/workflows/order/workflow.js';
import { describeOnDevServer, startDevServer } from '../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../support/shop/shop.js';

/**
 * The number of orders. The orders are cancelled 0, 2, 4, ... ms after their start. With local activities, one of eight
 * orders failed to replay. With 30 orders, the test misses a fault of this frequency once in fifty runs.
 */
const ORDERS = 30;
const CONCURRENT_ORDERS = 4;
const CLIENTS = 3;
const DEADLINE_MS = 30_000;

describeOnDevServer('orders that are polled and cancelled', () => {
  let shop: Shop;
  let sku: string;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: [ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE] });
    ({ sku } = await addProduct(shop.store, { available: ORDERS }));
  });
  afterAll(async () => {
    await shop?.close();
  });

  async function placePollAndCancel(cancelAfterMs: number) {
    const input = makeOrder({ lines: [{ sku, quantity: 1 }] });
    const handle = await shop.client.workflow.start<typeof order>(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(input.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
    });
    let settled = false;
    // If a history does not replay, its query fails too. The test ignores that error and checks the history.
    const poll = async () => {
      while (!settled) await handle.query(orderQuery).catch(() => undefined);
    };
    const cancel = () =>
      cancelAfterMs % 4 === 0
        ? handle.cancel()
        : handle.executeUpdate(cancelOrderUpdate, { args: [{}] }).catch(() => undefined);
    const polls = Promise.all(Array.from({ length: CLIENTS }, poll));
    const closed = handle.result().then(
      () => true,
      () => true,
    );
    await setTimeout(cancelAfterMs);
    const cancelled = cancel().then(() => closed);
    const isClosed = await Promise.race([cancelled, setTimeout(DEADLINE_MS, false, { ref: false })]);
    settled = true;
    await polls;
    return { workflowId: handle.workflowId, runId: handle.firstExecutionRunId, type: ORDER_WORKFLOW_TYPE, isClosed };
  }

  test('replays the histories of orders that are queried and cancelled in their first milliseconds', async () => {
    const moments = Array.from({ length: ORDERS }, (_, index) => 2 * index);
    const runs: Awaited<ReturnType<typeof placePollAndCancel>>[] = [];
    const runOrders = async () => {
      for (let moment = moments.pop(); moment !== undefined; moment = moments.pop())
        runs.push(await placePollAndCancel(moment));
    };
    await Promise.all(Array.from({ length: CONCURRENT_ORDERS }, runOrders));

    const differing: string[] = [];
    const workflowBundle = { codePath: inject('workflowBundle') };
    for await (const { workflowId, difference } of replayHistories(fetchHistories(shop.client, runs), {
      workflowBundle,
    }))
      if (difference) differing.push(`${workflowId}: ${difference.description}`);
    expect(runs).toHaveLength(ORDERS);
    expect(differing).toEqual([]);
    expect(runs.filter(({ isClosed }) => !isClosed)).toEqual([]);
  });
});
