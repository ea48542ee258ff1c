import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { fetched } from '../../tools/replay/histories.js';
import { replay } from '../../tools/replay/replay.js';
import {
  cancelOrderUpdate,
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  orderStatusQuery,
  orderWorkflowId,
  PAYMENT_TASK_QUEUE,
} from '../../src/workflows/order/contract.js';
import type { order } from '../../src/workflows/order/workflow.js';
import { describeOnDevServer, startDevServer } from '../support/dev-server.js';
import { anOrder, aProduct, openShop, type Shop } from '../support/shop.js';

/**
 * Each order is cancelled two milliseconds later after its start than the previous order. With local activities, one of
 * eight orders did not replay, so 30 orders miss such a fault once in fifty runs.
 */
const ORDERS = 30;
const ORDERS_AT_ONCE = 4;
const CLIENTS = 3;
const DEADLINE_MS = 30_000;

describeOnDevServer('orders that are polled and cancelled', () => {
  let shop: Shop;
  let sku: string;

  beforeAll(async () => {
    shop = await openShop(await startDevServer(), { queues: [ORDER_TASK_QUEUE, PAYMENT_TASK_QUEUE] });
    ({ sku } = await aProduct(shop.store, { available: ORDERS }));
  });
  afterAll(async () => {
    await shop?.close();
  });

  async function placePollAndCancel(cancelAfterMs: number) {
    const input = anOrder({ lines: [{ sku, quantity: 1 }] });
    const handle = await shop.client.workflow.start<typeof order>(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(input.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
    });
    let settled = false;
    // An order whose history does not replay answers neither queries nor the cancel. Its history is the evidence.
    const poll = async () => {
      while (!settled) await handle.query(orderStatusQuery).catch(() => undefined);
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

  test('replays every history when orders are polled and cancelled in their first milliseconds', async () => {
    const moments = Array.from({ length: ORDERS }, (_, index) => 2 * index);
    const runs: Awaited<ReturnType<typeof placePollAndCancel>>[] = [];
    const placeInTurn = async () => {
      for (let moment = moments.pop(); moment !== undefined; moment = moments.pop())
        runs.push(await placePollAndCancel(moment));
    };
    await Promise.all(Array.from({ length: ORDERS_AT_ONCE }, placeInTurn));

    const differing: string[] = [];
    const workflowBundle = { codePath: inject('workflowBundle') };
    for await (const { workflowId, difference } of replay(fetched(shop.client, runs), { workflowBundle }))
      if (difference) differing.push(`${workflowId}: ${difference.what}`);
    expect(runs).toHaveLength(ORDERS);
    expect(differing).toEqual([]);
    expect(runs.filter(({ isClosed }) => !isClosed)).toEqual([]);
  });
});
