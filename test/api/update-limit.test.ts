import { randomUUID } from 'node:crypto';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitUntil } from '../../dev/wait.js';
import type { OrderResource } from '../../src/schemas/order.js';
import { cancelOrderUpdate, orderWorkflowId } from '../../src/workflows/order/contract.js';
import { startApi, type Api } from '../support/api.js';
import { describeOnDevServer, startDevServer } from '../support/dev-server.js';
import { anOrder, aProduct, openShop, type Shop } from '../support/shop.js';

/** How many updates a run accepts here; 2,000 by default. */
const MAX_UPDATES = 3;

describeOnDevServer('an order whose run accepts no further updates', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    const server = await startDevServer({ dynamicConfig: [`history.maxTotalUpdates=${MAX_UPDATES}`] });
    shop = await openShop(server, { queues: ['orders', 'payments'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function anOrderWithStuckRefund(): Promise<string> {
    const { sku } = await aProduct(shop.store);
    const order = anOrder({ lines: [{ sku, quantity: 1 }] });
    const { orderId } = order;
    await api.post('/v1/orders', order);
    await api.orderOnce(orderId, ({ stage }) => stage === 'awaiting_pickup', 'awaits pickup');
    shop.outside.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: MAX_UPDATES });
    expect((await api.post(`/v1/orders/${orderId}/cancel`)).status).toBe(202);
    await stuckAt(orderId, 1);
    return orderId;
  }

  const stuckAt = (orderId: string, attempt: number) =>
    api.orderOnce(
      orderId,
      ({ compensations }) =>
        compensations.some(
          (entry) => entry.name === 'refundPayment' && entry.status === 'stuck' && entry.attempt === attempt,
        ),
      `stuck at attempt ${attempt}`,
    );

  const decide = (orderId: string, attempt: number, action: 'retry' | 'skip') =>
    api.post<OrderResource>(`/v1/orders/${orderId}/compensation`, { compensation: 'refundPayment', attempt, action });

  test('rejects repeated cancels without an event, so that they do not count', async () => {
    const orderId = await anOrderWithStuckRefund();
    const handle = shop.client.workflow.getHandle(orderWorkflowId(orderId));
    const before = await waitUntil(
      async () => {
        const { raw, historyLength } = await handle.describe();
        return raw.pendingActivities?.length || raw.pendingWorkflowTask ? undefined : historyLength;
      },
      { what: 'an order that only waits', deadlineMs: 10_000 },
    );

    for (let repeat = 0; repeat < 2 * MAX_UPDATES; repeat++) {
      const rejected = handle.executeUpdate(cancelOrderUpdate, { args: [{}], updateId: randomUUID() });
      await expect(rejected).rejects.toThrow(WorkflowUpdateFailedError);
    }

    expect((await handle.describe()).historyLength).toBe(before);
    expect((await decide(orderId, 1, 'retry')).status).toBe(202);
  });

  test('takes the decision of an operator as a signal', async () => {
    const orderId = await anOrderWithStuckRefund();
    for (const attempt of [1, 2]) {
      expect((await decide(orderId, attempt, 'retry')).status).toBe(202);
      await stuckAt(orderId, attempt + 1);
    }

    expect(await decide(orderId, 2, 'skip')).toMatchObject({ status: 409, body: { type: '/problems/not-stuck' } });
    expect((await decide(orderId, 3, 'skip')).status).toBe(202);

    const cancelled = await api.orderOnce(orderId, ({ status }) => status === 'cancelled', 'cancelled');
    expect(cancelled.compensations).toContainEqual(
      expect.objectContaining({ name: 'refundPayment', status: 'skipped', attempt: 3 }),
    );
    expect(shop.outside.statement(orderId).refunds).toEqual([]);
  });
});
