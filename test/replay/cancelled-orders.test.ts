import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { fetchHistories } from '../../tools/replay/histories.js';
import { eventSubject, eventTypeName, type History } from '../../tools/replay/history-events.js';
import { replayHistories } from '../../tools/replay/replay-histories.js';
import {
  cancelOrderUpdate,
  ORDER_WORKFLOW_TYPE,
  ORDER_TASK_QUEUE,
  orderQuery,
  orderWorkflowId,
  PAYMENT_TASK_QUEUE,
} from '../../src/workflows/order/contract.js';
import { isUnprocessedUpdate } from '../../src/temporal/client/update-rejection.js';
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
const DEADLINE_MS = 60_000;
/** With other test files at the same time, the orders take up to 55 s. One order can wait for the deadline. */
const TEST_TIMEOUT_MS = 120_000;

/** Lists the events of a history. An accepted update has the event after which the worker received the update. */
const formatEvents = ({ events }: History): string =>
  (events ?? [])
    .map((event) => {
      const receivedAfter = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequestSequencingEventId;
      const details = [eventSubject(event), receivedAfter && `received after ${String(receivedAfter)}`];
      return [String(event.eventId), eventTypeName(event), ...details.filter(Boolean)].join(' ');
    })
    .join(', ');

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
    const update = () => handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    const cancel = async () => {
      if (cancelAfterMs % 4 === 0) await handle.cancel();
      else await update().catch((reason) => (isUnprocessedUpdate(reason) ? update() : Promise.reject(reason as Error)));
    };
    const polls = Promise.all(Array.from({ length: CLIENTS }, poll));
    const closed = handle.result().then(
      () => true,
      () => true,
    );
    await setTimeout(cancelAfterMs);
    // If the cancellation fails, the order can stay open. The test then shows the error.
    let error: unknown;
    const cancelled = cancel()
      .catch((reason: unknown) => (error = reason))
      .then(() => closed);
    const isClosed = await Promise.race([cancelled, setTimeout(DEADLINE_MS, false, { ref: false })]);
    settled = true;
    await polls;
    return {
      workflowId: handle.workflowId,
      runId: handle.firstExecutionRunId,
      type: ORDER_WORKFLOW_TYPE,
      isClosed,
      error,
    };
  }

  test(
    'replays the histories of orders that are queried and cancelled in their first milliseconds',
    { timeout: TEST_TIMEOUT_MS },
    async () => {
      const moments = Array.from({ length: ORDERS }, (_, index) => 2 * index);
      const runs: Awaited<ReturnType<typeof placePollAndCancel>>[] = [];
      const runOrders = async () => {
        for (let moment = moments.pop(); moment !== undefined; moment = moments.pop())
          runs.push(await placePollAndCancel(moment));
      };
      await Promise.all(Array.from({ length: CONCURRENT_ORDERS }, runOrders));

      const differing: string[] = [];
      const causedByQuery: string[] = [];
      const workflowBundle = { codePath: inject('workflowBundle') };
      for await (const { workflowId, history, difference } of replayHistories(fetchHistories(shop.client, runs), {
        workflowBundle,
      }))
        if (difference?.isCausedByQuery) causedByQuery.push(workflowId);
        else if (difference) differing.push(`${workflowId}: ${difference.description}: ${formatEvents(history)}`);
      expect(runs).toHaveLength(ORDERS);
      expect(differing).toEqual([]);
      // One order may meet a fault of the SDK, which was seen once in about 2,000 orders (docs/concepts/versioning.md).
      // Such an order can stay open.
      expect(causedByQuery.slice(1)).toEqual([]);
      expect(runs.filter(({ workflowId, isClosed }) => !isClosed && !causedByQuery.includes(workflowId))).toEqual([]);
    },
  );
});
