import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, OrderResource } from '../../../src/schemas/order.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { placeDeliveredOrder, placeShippedOrder } from '../../support/api/orders.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { deleteWorkflow, PROMPT_DELETION } from '../../support/temporal/deleted-workflows.js';
import { startShop, type Shop } from '../../support/shop/shop.js';

describeOnDevServer('an order whose workflow Temporal has deleted', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    shop = await startShop(await startDevServer({ dynamicConfig: PROMPT_DELETION }), {
      queues: ['orders', 'payments'],
    });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  const deleteWorkflowOf = ({ orderId }: OrderInput) => deleteWorkflow(shop.client, orderWorkflowId(orderId));

  const listRunIds = async ({ orderId }: OrderInput): Promise<string[]> => {
    const runs: string[] = [];
    for await (const { runId } of shop.client.workflow.list({ query: `WorkflowId = '${orderWorkflowId(orderId)}'` }))
      runs.push(runId);
    return runs;
  };

  test('the id of an order stays taken after Temporal deletes the workflow', async () => {
    const { order } = await placeDeliveredOrder({ shop, api });
    await deleteWorkflowOf(order);

    const same = await api.post('/v1/orders', order);
    const other = await api.post('/v1/orders', { ...order, payment: { token: 'tok_other' } });

    expect(same).toMatchObject({ status: 202, body: { orderId: order.orderId, status: 'completed' } });
    expect(other).toMatchObject({ status: 409, body: { type: '/problems/order-id-taken' } });
    expect(await listRunIds(order)).toEqual([]);
    expect(shop.fakes.records(order.orderId).charges).toHaveLength(1);
  });

  test('shows the final view of an order after Temporal deletes the workflow', async () => {
    const { order, completed } = await placeDeliveredOrder({ shop, api });
    await deleteWorkflowOf(order);

    const { status, body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);

    expect(status).toBe(200);
    expect(body).toEqual(completed);
    expect(body).toMatchObject({ status: 'completed', steps: [{}, {}, {}], total: { value: 2500, currency: 'EUR' } });
  });

  test('shows an order as failed when Temporal deletes the workflow of an open order', async () => {
    const { order } = await placeShippedOrder({ shop, api });
    await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).terminate();
    await deleteWorkflowOf(order);

    const { status, body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);
    const cancel = await api.post(`/v1/orders/${order.orderId}/cancel`);

    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'failed', stage: 'done', reason: { type: 'WorkflowMissing' } });
    expect(body.total).toEqual({ value: 2500, currency: 'EUR' });
    expect(cancel).toMatchObject({ status: 409, body: { type: '/problems/order-closed' } });
  });

  test('after Temporal deletes the workflow, accepts a cancel only for an order that is already cancelled', async () => {
    const [cancelled, completed] = [await placeShippedOrder({ shop, api }), await placeDeliveredOrder({ shop, api })];
    await api.post(`/v1/orders/${cancelled.order.orderId}/cancel`);
    const end = await api.waitForOrderStatus(cancelled.order.orderId, 'cancelled');
    await shop.client.workflow.getHandle(orderWorkflowId(cancelled.order.orderId)).result();
    for (const { order } of [cancelled, completed]) await deleteWorkflowOf(order);

    const again = await api.post(`/v1/orders/${cancelled.order.orderId}/cancel`);
    const tooLate = await api.post(`/v1/orders/${completed.order.orderId}/cancel`);

    expect(again).toMatchObject({ status: 202, body: end });
    expect(tooLate).toMatchObject({ status: 409, body: { type: '/problems/order-closed' } });
  });
});
