import { afterAll, beforeAll, expect, test } from 'vitest';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { runTemporalCli } from '../../support/temporal/temporal-cli.js';
import { startWorker } from '../../support/workers/workers.js';

describeOnDevServer('an activity paused by an operator', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    server = await startDevServer();
    // No worker polls the payment queue until a test starts one.
    shop = await startShop(server, { queues: ['orders'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const time = expect.stringMatching(/^\d{4}-.*Z$/);

  async function placeOrder(token: string) {
    const order = makeOrder({ lines: [{ sku: (await addProduct(shop.store)).sku, quantity: 1 }], payment: { token } });
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    const { orderId } = order;
    await api.waitForOrderStage(orderId, 'charging_payment');
    return orderId;
  }

  async function changePause(action: 'pause' | 'unpause', orderId: string): Promise<void> {
    const workflowId = orderWorkflowId(orderId);
    const { raw } = await shop.client.workflow.getHandle(workflowId).describe();
    const charge = raw.pendingActivities!.find(({ activityType }) => activityType?.name === 'chargePayment')!;
    const which = ['--workflow-id', workflowId, '--activity-id', charge.activityId!];
    const { code, stderr } = await runTemporalCli(server, 'activity', action, ...which);
    expect([code, stderr]).toEqual([0, '']);
  }

  test('an order shows an activity as paused before its first attempt, until the activity is unpaused', async () => {
    const orderId = await placeOrder('tok_ok');

    await changePause('pause', orderId);
    const paused = await api.waitForOrder(orderId, ({ waiting }) => waiting !== undefined, 'waits');
    expect(paused.waiting).toEqual([{ step: 'chargePayment', taskQueue: 'payments', since: time, pausedAt: time }]);
    expect(paused).not.toHaveProperty('retrying');

    await changePause('unpause', orderId);
    const isUnpaused = (entry: object) => !('pausedAt' in entry);
    await api.waitForOrder(orderId, ({ waiting }) => !waiting || waiting.every(isUnpaused), 'is unpaused');
  });

  test('an order shows a paused retry without the time of a next attempt', async () => {
    const worker = await startWorker(server, shop, { taskQueues: ['payments'] });
    try {
      const orderId = await placeOrder('tok_gateway_down');
      await api.waitForOrder(orderId, ({ retrying }) => retrying !== undefined, 'is retried');

      await changePause('pause', orderId);
      const { retrying } = await api.waitForOrder(
        orderId,
        ({ retrying }) => retrying?.[0]?.pausedAt !== undefined,
        'is paused',
      );

      expect(retrying).toEqual([
        {
          step: 'chargePayment',
          attempt: expect.any(Number),
          pausedAt: time,
          lastFailure: { type: 'PaymentGatewayUnavailable', message: 'PaymentGateway: answered 503' },
        },
      ]);
    } finally {
      await worker.stop();
    }
  });
});
