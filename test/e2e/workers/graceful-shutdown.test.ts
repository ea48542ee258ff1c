import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput } from '../../../src/schemas/order.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { readBalance } from '../../support/shop/balance.js';
import { freePort, type ManagedProcess, waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startSingleWorkerProcess } from '../../support/workers/workers.js';

/** Longer than any gateway call in this test, and shorter than the timeout of a charge (15 s). */
const GRACE_SECONDS = 12;
const SLOW_CALL_MS = 3_000;
const ORDERS = 24;
const { TIMEOUT_TYPE_START_TO_CLOSE } = proto.temporal.api.enums.v1.TimeoutType;

describeOnDevServer('a worker stopped by SIGTERM under load', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api.close();
    await shop.close();
  });

  async function startWithHealth(): Promise<{ worker: ManagedProcess; ready: () => Promise<unknown> }> {
    const port = await freePort();
    const worker = await startSingleWorkerProcess(server, shop, {
      HEALTH_PORT: String(port),
      SHUTDOWN_GRACE_SECONDS: String(GRACE_SECONDS),
    });
    const ready = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/readyz`);
      return { status: response.status, ...((await response.json()) as object) };
    };
    return { worker, ready };
  }

  // Long timeout: two worker processes start and stop, and the first worker stops slowly.
  test('a stopping worker takes no new task and its running calls are not retried', { timeout: 120_000 }, async () => {
    const product = await addProduct(shop.store, { available: 10 * ORDERS });
    const orders = Array.from({ length: ORDERS }, () => makeOrder({ lines: [{ sku: product.sku, quantity: 1 }] }));
    shop.fakes.faults.add({ on: 'charge', fault: 'slow', delayMs: SLOW_CALL_MS, times: -1 });
    const held = shop.fakes.hold('charge', orders[0]!.orderId);
    const placeOrders = async (some: OrderInput[]) => {
      const placed = await Promise.all(some.map((order) => api.post('/v1/orders', order)));
      expect(placed.map(({ status }) => status)).toEqual(some.map(() => 202));
    };

    const { worker: old, ready } = await startWithHealth();
    expect(await ready()).toMatchObject({ status: 'ready' });
    await placeOrders(orders.slice(0, ORDERS / 2));
    await held.arrived;

    let orderly: unknown;
    const ending = old.stop(30_000).then((exit) => (orderly = exit));
    const draining = await waitUntil(
      async () => {
        const response = (await ready()) as { checks: { worker: string } };
        return response.checks.worker === 'ok' ? undefined : response;
      },
      { description: 'the not-ready response of the worker', timeoutMs: 10_000, intervalMs: 20 },
    );
    expect(draining).toMatchObject({
      status: 'not ready',
      checks: {
        temporal: 'ok',
        worker: 'does not poll orders, payments, carts, approvals, batches, housekeeping',
        store: 'ok',
      },
    });
    expect(orderly).toBeUndefined();
    await placeOrders(orders.slice(ORDERS / 2));

    await held.release();
    const { worker: next } = await startWithHealth();
    expect(await ending).toEqual({ code: 0, signal: null });
    try {
      for (const { orderId } of orders) {
        await api.waitForOrderStage(orderId, 'awaiting_pickup');
      }
    } finally {
      await next.stop(30_000);
    }

    for (const order of orders) {
      const requests = shop.fakes.records(order.orderId).requests.map(({ path }) => path);
      expect(requests, order.orderId).toEqual(['/payments/charges', '/carrier/shipments']);
      expect(await retriesOf(order.orderId), order.orderId).toEqual([]);
      const sale = { orderId: order.orderId, products: [product], lines: order.lines, token: order.payment.token };
      expect(await readBalance(shop, sale, { others: ORDERS - 1 })).toMatchObject({ verdict: 'sold' });
    }
  });

  /**
   * Returns the events that show a retry of an activity or workflow task. Without `workerPollCompleteOnShutdown`, the
   * server may assign a task to a stopped worker, and the task times out. Such a timeout is ignored, because the worker
   * never started the task.
   */
  async function retriesOf(orderId: string) {
    const { namespaceInfo } = await shop.client.workflowService.describeNamespace({
      namespace: shop.client.options.namespace,
    });
    const takesPollsBack = namespaceInfo?.capabilities?.workerPollCompleteOnShutdown === true;
    const { events } = await shop.client.workflow.getHandle(orderWorkflowId(orderId)).fetchHistory();
    return (events ?? []).flatMap(
      ({
        activityTaskStartedEventAttributes: started,
        workflowTaskFailedEventAttributes: failed,
        workflowTaskTimedOutEventAttributes: timedOut,
      }) => {
        if (started?.lastFailure && (takesPollsBack || !started.lastFailure.timeoutFailureInfo)) return [started];
        if (failed) return [failed];
        return takesPollsBack && timedOut?.timeoutType === TIMEOUT_TYPE_START_TO_CLOSE ? [timedOut] : [];
      },
    );
  }
});
