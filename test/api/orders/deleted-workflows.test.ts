import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, OrderResource } from '../../../src/schemas/order.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { replayAdvancedRuns } from '../../support/replay/run-tracker.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

/**
 * The server deletes a workflow only after it has recorded that the close is processed. These settings shorten the
 * interval of this record from its default of 30 s.
 */
const PROMPT_DELETION = [
  'history.transferProcessorUpdateAckInterval="200ms"',
  'history.visibilityProcessorUpdateAckInterval="200ms"',
];

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

  /** Places an order and waits until the order awaits pickup. */
  async function placeShippedOrder() {
    const product = await addProduct(shop.store);
    const order = makeOrder({ lines: [{ sku: product.sku, quantity: 2 }] });
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    await api.waitForOrder(order.orderId, ({ stage }) => stage === 'awaiting_pickup', 'awaits pickup');
    return { product, order };
  }

  const waitForOrder = (order: OrderInput, status: OrderResource['status']) =>
    api.waitForOrder(order.orderId, (seen) => seen.status === status, status);

  /** Deletes the workflow execution, like Temporal after the retention period. */
  async function deleteWorkflow({ orderId }: OrderInput): Promise<void> {
    const workflowId = orderWorkflowId(orderId);
    // The replay check needs the history, so it runs before the deletion.
    await replayAdvancedRuns();
    const { namespace } = shop.client.options;
    await shop.client.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId } });
    const isGone = () =>
      shop.client.workflow
        .getHandle(workflowId)
        .describe()
        .then(
          () => undefined,
          (error: unknown) => error instanceof WorkflowNotFoundError || undefined,
        );
    await waitUntil(isGone, { description: `the deletion of ${workflowId}`, timeoutMs: 20_000 });
  }

  async function placeDeliveredOrder() {
    const made = await placeShippedOrder();
    for (const status of ['in_transit', 'delivered'] as const)
      await shop.fakes.carrier.reportNow(made.order.orderId, status);
    const completed = await waitForOrder(made.order, 'completed');
    await shop.client.workflow.getHandle(orderWorkflowId(made.order.orderId)).result();
    return { ...made, completed };
  }

  const listRunIds = async ({ orderId }: OrderInput): Promise<string[]> => {
    const runs: string[] = [];
    for await (const { runId } of shop.client.workflow.list({ query: `WorkflowId = '${orderWorkflowId(orderId)}'` }))
      runs.push(runId);
    return runs;
  };

  test('the id of an order stays taken after Temporal deletes the workflow', async () => {
    const { order } = await placeDeliveredOrder();
    await deleteWorkflow(order);

    const same = await api.post('/v1/orders', order);
    const other = await api.post('/v1/orders', { ...order, payment: { token: 'tok_other' } });

    expect(same).toMatchObject({ status: 202, body: { orderId: order.orderId, status: 'completed' } });
    expect(other).toMatchObject({ status: 409, body: { type: '/problems/order-id-taken' } });
    expect(await listRunIds(order)).toEqual([]);
    expect(shop.fakes.records(order.orderId).charges).toHaveLength(1);
  });

  test('shows the final view of an order after Temporal deletes the workflow', async () => {
    const { order, completed } = await placeDeliveredOrder();
    await deleteWorkflow(order);

    const { status, body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);

    expect(status).toBe(200);
    expect(body).toEqual(completed);
    expect(body).toMatchObject({ status: 'completed', steps: [{}, {}, {}], total: { value: 2500, currency: 'EUR' } });
  });

  test('shows an order as failed when Temporal deletes the workflow of an open order', async () => {
    const { order } = await placeShippedOrder();
    await shop.client.workflow.getHandle(orderWorkflowId(order.orderId)).terminate();
    await deleteWorkflow(order);

    const { status, body } = await api.get<OrderResource>(`/v1/orders/${order.orderId}`);
    const cancel = await api.post(`/v1/orders/${order.orderId}/cancel`);

    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'failed', stage: 'done', reason: { type: 'WorkflowMissing' } });
    expect(body.total).toEqual({ value: 2500, currency: 'EUR' });
    expect(cancel).toMatchObject({ status: 409, body: { type: '/problems/order-closed' } });
  });

  test('after Temporal deletes the workflow, accepts a cancel only for an order that is already cancelled', async () => {
    const [cancelled, completed] = [await placeShippedOrder(), await placeDeliveredOrder()];
    await api.post(`/v1/orders/${cancelled.order.orderId}/cancel`);
    const end = await waitForOrder(cancelled.order, 'cancelled');
    await shop.client.workflow.getHandle(orderWorkflowId(cancelled.order.orderId)).result();
    for (const { order } of [cancelled, completed]) await deleteWorkflow(order);

    const again = await api.post(`/v1/orders/${cancelled.order.orderId}/cancel`);
    const tooLate = await api.post(`/v1/orders/${completed.order.orderId}/cancel`);

    expect(again).toMatchObject({ status: 202, body: end });
    expect(tooLate).toMatchObject({ status: 409, body: { type: '/problems/order-closed' } });
  });
});
