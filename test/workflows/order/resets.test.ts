import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderInput, OrderView } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { approvalWorkflowId, decideUpdate } from '../../../src/workflows/approval/contract.js';
import {
  cancelOrderUpdate,
  ORDER_TASK_QUEUE,
  orderQuery,
  orderWorkflowId,
  resolveCompensationUpdate,
  resolveDeliveryUpdate,
} from '../../../src/workflows/order/contract.js';
import type { order as orderWorkflow } from '../../../src/workflows/order/workflow.js';
import { waitUntil } from '../../support/processes.js';
import { readBalance } from '../../support/shop/balance.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import {
  startCarrierWebhookReceiver,
  type CarrierWebhookReceiver,
} from '../../support/network/carrier-webhook-receiver.js';
import { waitForClose, resetRun, resetPoints } from '../../support/temporal/resets.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorker } from '../../support/workers/workers.js';

const WAIT_OPTIONS = { timeoutMs: 60_000, intervalMs: 50 };

/** Waits until `run` waits for an approval that an earlier run started. */
const waitForRun = (run: WorkflowHandle) =>
  waitUntil(
    async () => {
      const { pendingActivities } = (await run.describe()).raw;
      return pendingActivities?.some(({ activityType }) => activityType?.name === 'awaitExistingApproval') || undefined;
    },
    { description: 'an order that waits for its existing approval', ...WAIT_OPTIONS },
  );

describeOnDevServer('an order that is reset', () => {
  let shop: Shop;
  let carrierWebhooks: CarrierWebhookReceiver;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['orders', 'payments', 'approvals'] });
    carrierWebhooks = await startCarrierWebhookReceiver(shop.client);
    shop.fakes.setCallbackUrl(carrierWebhooks.url);
  });
  afterAll(async () => {
    await carrierWebhooks?.close();
    await shop?.close();
  });

  interface Placed {
    input: OrderInput;
    product: Product;
    run: { workflowId: string; runId: string };
  }

  async function placeOrder({
    price = 1250,
    ...overrides
  }: Partial<OrderInput> & { price?: number } = {}): Promise<Placed> {
    const product = await addProduct(shop.store, { price: { value: price, currency: 'EUR' } });
    const input = makeOrder({ lines: [{ sku: product.sku, quantity: 2 }], ...overrides });
    const workflowId = orderWorkflowId(input.orderId);
    const options = { workflowId, taskQueue: ORDER_TASK_QUEUE, args: [input] as [OrderInput] };
    const { firstExecutionRunId: runId } = await shop.client.workflow.start<typeof orderWorkflow>('order', options);
    return { input, product, run: { workflowId, runId } };
  }

  const handleOf = ({ run: { workflowId, runId } }: Placed) =>
    shop.client.workflow.getHandle<typeof orderWorkflow>(workflowId, runId);

  /** Waits until `matches` returns true for the view of the newest run. */
  const waitForView = (order: Placed, matches: (view: OrderView) => boolean, what: string) =>
    waitUntil(
      async () => {
        const handle = shop.client.workflow.getHandle(order.run.workflowId);
        const view = await handle.query(orderQuery).catch(() => undefined);
        return view && matches(view) ? view : undefined;
      },
      { description: `${order.run.workflowId} ${what}`, ...WAIT_OPTIONS },
    );

  const isAtRest = ({ stage }: OrderView) => stage === 'awaiting_pickup' || stage === 'done';

  const awaitsPickup = (order: Placed) =>
    waitForView(order, ({ stage }) => stage === 'awaiting_pickup', 'awaits pickup');

  const recordOf = async ({ input: { orderId } }: Placed) => {
    const query = shop.store.db.selectFrom('orders').select(['status', 'reservation']).where('order_id', '=', orderId);
    return await query.executeTakeFirst();
  };

  /** Returns the reset points after the completion of an activity of this type. */
  async function pointsAfter(order: Placed, activityType: string): Promise<number[]> {
    const { events } = await handleOf(order).fetchHistory();
    const scheduled = events?.find(
      ({ activityTaskScheduledEventAttributes: activity }) => activity?.activityType?.name === activityType,
    );
    const completed = events?.find(
      ({ activityTaskCompletedEventAttributes: done }) =>
        done && Number(done.scheduledEventId) === Number(scheduled!.eventId),
    );
    return (await resetPoints(handleOf(order))).filter((point) => point > Number(completed!.eventId));
  }

  const decideAboutRefund = (run: WorkflowHandle, action: 'retry' | 'skip' = 'retry') =>
    run.executeUpdate(resolveCompensationUpdate, { args: [{ compensation: 'refundPayment', attempt: 1, action }] });

  /** Returns the effects of all runs on money, stock and parcels. @throws if an effect happened twice. */
  const balance = ({ input, product }: Placed) =>
    readBalance(shop, {
      orderId: input.orderId,
      products: [product],
      lines: input.lines,
      token: input.payment.token,
    });

  test('an order that is reset to any workflow task completes again with one charge and one shipment', async () => {
    const order = await placeOrder();
    await awaitsPickup(order);
    await shop.fakes.carrier.reportNow(order.input.orderId, 'in_transit');
    await shop.fakes.carrier.reportNow(order.input.orderId, 'delivered');
    expect(await handleOf(order).result()).toMatchObject({ status: 'completed' });
    const points = await resetPoints(handleOf(order));
    expect(points.length).toBeGreaterThan(5);

    for (const point of points) {
      const run = await resetRun(shop.client, order.run, point);
      expect(await waitForClose(run), `from event ${point}`).toBe('COMPLETED');
      expect(await run.result(), `from event ${point}`).toMatchObject({ status: 'completed' });
      expect(await balance(order), `from event ${point}`).toMatchObject({ verdict: 'sold', parcels: ['delivered'] });
      expect(await recordOf(order)).toEqual({ status: 'completed', reservation: 'sold' });
    }
  });

  test('a reset of a cancelled order neither ships nor charges again, and the record of the order does not change', async () => {
    const order = await placeOrder();
    await awaitsPickup(order);
    await handleOf(order).executeUpdate(cancelOrderUpdate, { args: [{}] });
    expect(await handleOf(order).result()).toMatchObject({ status: 'cancelled' });
    const points = await resetPoints(handleOf(order));
    const outcomes: string[] = [];

    for (const point of points) {
      const run = await resetRun(shop.client, order.run, point, { without: true });
      const view = await waitForView(order, isAtRest, `settled after a reset to event ${point}`);
      // The reset dropped the cancellation and the run waits for the pickup, so the test cancels the order again.
      if (view.stage === 'awaiting_pickup') await run.executeUpdate(cancelOrderUpdate, { args: [{}] });
      const ended = await waitForClose(run);
      const { reason } = await run.query(orderQuery);
      outcomes.push(`${ended} ${reason?.type}`);
      expect(await balance(order), `from event ${point}`).toEqual({
        verdict: 'rolled back',
        charged: 2500,
        refunded: 2500,
        parcels: ['cancelled'],
      });
      expect(await recordOf(order)).toEqual({ status: 'cancelled', reservation: 'released' });
    }
    // After a reset to a point before the shipment request, the run fails because the stock is already released. After a
    // reset to a later point, the run repeats the rollback.
    expect(new Set(outcomes)).toContain('FAILED ReservationReleased');
    expect(outcomes.at(-1)).toBe('COMPLETED Cancelled');
  });

  test('an order that is reset waits for its existing approval and completes when an approver approves', async () => {
    const order = await placeOrder({ price: ORDER_APPROVAL_THRESHOLD / 2 });
    const approval = shop.client.workflow.getHandle(approvalWorkflowId(`order.${order.input.orderId}`));
    const isApprovalPending = ({ approval }: OrderView) => approval?.status === 'pending';
    await waitForView(order, isApprovalPending, 'awaiting approval');
    const { runId: approvalRun } = await waitUntil(() => approval.describe().catch(() => undefined), {
      description: 'the approval',
      ...WAIT_OPTIONS,
    });
    const points = await resetPoints(handleOf(order));
    for (const point of points) {
      await resetRun(shop.client, order.run, point);
      await waitForView(order, isApprovalPending, `awaiting approval after a reset to event ${point}`);
    }
    await approval.executeUpdate(decideUpdate, { args: [{ approver: 'shift-lead', decision: 'approve' }] });
    await awaitsPickup(order);
    await shop.fakes.carrier.reportNow(order.input.orderId, 'delivered');
    const handle = shop.client.workflow.getHandle<typeof orderWorkflow>(order.run.workflowId);

    expect(await handle.result()).toMatchObject({ status: 'completed', approval: { status: 'approved' } });
    expect((await approval.describe()).runId, 'the approval was requested once').toBe(approvalRun);
    expect(await balance(order)).toMatchObject({ verdict: 'sold', charged: ORDER_APPROVAL_THRESHOLD });
  });

  test.each([
    ['its approval is reset', false],
    ['a reset order waits for its existing approval and this approval is reset', true],
  ])('an order completes after the approval if %s', async (_title, isJoined) => {
    const order = await placeOrder({ price: ORDER_APPROVAL_THRESHOLD / 2 });
    const approval = shop.client.workflow.getHandle(approvalWorkflowId(`order.${order.input.orderId}`));
    const describeApproval = () => approval.describe().catch(() => undefined);
    const { runId } = await waitUntil(describeApproval, { description: 'the approval', ...WAIT_OPTIONS });
    const [askedAt] = await waitUntil(
      async () => {
        const points = await resetPoints(approval);
        return points.length > 0 ? points : undefined;
      },
      { description: 'a workflow task of the approval', ...WAIT_OPTIONS },
    );
    if (isJoined) {
      const [first] = await resetPoints(handleOf(order));
      await waitForRun(await resetRun(shop.client, order.run, first!));
    }
    await resetRun(shop.client, { workflowId: approval.workflowId, runId }, askedAt!);
    await approval.executeUpdate(decideUpdate, { args: [{ approver: 'shift-lead', decision: 'approve' }] });

    expect(await awaitsPickup(order)).toMatchObject({ approval: { status: 'approved' } });
    await shop.fakes.carrier.reportNow(order.input.orderId, 'delivered');
    const newest = shop.client.workflow.getHandle<typeof orderWorkflow>(order.run.workflowId);
    expect(await newest.result()).toMatchObject({ status: 'completed' });
    expect(await balance(order)).toMatchObject({ verdict: 'sold', charged: ORDER_APPROVAL_THRESHOLD });
  });

  test('a reset order that waits for its existing approval withdraws this approval on cancellation', async () => {
    const order = await placeOrder({ price: ORDER_APPROVAL_THRESHOLD / 2 });
    const approval = shop.client.workflow.getHandle(approvalWorkflowId(`order.${order.input.orderId}`));
    const isApprovalPending = ({ approval }: OrderView) => approval?.status === 'pending';
    await waitForView(order, isApprovalPending, 'awaiting approval');
    await waitUntil(() => approval.describe().catch(() => undefined), { description: 'the approval', ...WAIT_OPTIONS });
    const [first] = await resetPoints(handleOf(order));
    const run = await resetRun(shop.client, order.run, first!);
    await waitForView(order, isApprovalPending, 'awaiting approval again');
    await waitForRun(run);
    await run.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await run.result()).toMatchObject({ status: 'cancelled', approval: { status: 'withdrawn' } });
    expect(await waitForClose(approval)).toBe('CANCELLED');
    expect(await balance(order)).toMatchObject({ verdict: 'rolled back', charged: 0 });
  });

  test('a reset of a rejected order charges nothing, and the record of the order does not change', async () => {
    const order = await placeOrder({ payment: { token: 'tok_declined' } });
    expect(await handleOf(order).result()).toMatchObject({ status: 'rejected' });
    const points = await resetPoints(handleOf(order));
    const outcomes: string[] = [];

    for (const point of points) {
      const run = await resetRun(shop.client, order.run, point);
      const ended = await waitForClose(run);
      const { reason } = await run.query(orderQuery);
      outcomes.push(`${ended} ${reason?.type}`);
      expect(await balance(order), `from event ${point}`).toMatchObject({ verdict: 'rolled back', charged: 0 });
      expect(await recordOf(order)).toEqual({ status: 'rejected', reservation: 'released' });
    }
    expect(outcomes[0]).toBe('FAILED ReservationReleased');
    expect(outcomes.at(-1)).toBe('COMPLETED CardDeclined');
  });

  /** Places an order, cancels it and waits until its refund is stuck. */
  async function placeOrderStuckInRefund(): Promise<Placed> {
    const order = await placeOrder();
    await awaitsPickup(order);
    shop.fakes.faults.add({ on: 'refund', orderId: order.input.orderId, fault: 'error', status: 400, times: 1 });
    await handleOf(order).executeUpdate(cancelOrderUpdate, { args: [{}] });
    await waitForView(order, ({ status }) => status === 'compensation_stuck', 'is stuck');
    return order;
  }

  test('an order with a stuck refund refunds once after a reset to the first, a middle or the last workflow task', async () => {
    for (const which of ['first', 'shipped', 'last'] as const) {
      const order = await placeOrderStuckInRefund();
      const points =
        which === 'shipped' ? await pointsAfter(order, 'requestShipment') : await resetPoints(handleOf(order));
      const point = which === 'last' ? points.at(-1)! : points[0]!;
      const run = await resetRun(shop.client, order.run, point, { without: which === 'first' });
      const view = await waitForView(
        order,
        ({ status, stage }) => status === 'compensation_stuck' || stage === 'done',
        `is stuck or closed after a reset to the ${which} task`,
      );
      if (view.status === 'compensation_stuck') await decideAboutRefund(run);
      await waitForClose(run);
      expect(await balance(order), which).toMatchObject({ verdict: 'rolled back', charged: 2500, refunded: 2500 });
      expect(await recordOf(order), which).toMatchObject({ reservation: 'released' });
    }
  });

  test('rejects a decision that a reset reapplies while the compensation is not stuck', async () => {
    const order = await placeOrderStuckInRefund();
    await decideAboutRefund(handleOf(order), 'skip');
    await waitForClose(handleOf(order));
    const [point] = await pointsAfter(order, 'requestShipment');
    const run = await resetRun(shop.client, order.run, point!);
    await waitForClose(run);

    // The order rejects the reapplied skip, so it attempts the refund again. This attempt succeeds.
    const { compensations } = await run.query(orderQuery);
    expect(compensations).toMatchObject([{}, { name: 'refundPayment', status: 'completed', attempt: 1 }, {}]);
    expect(await balance(order)).toMatchObject({ verdict: 'rolled back', refunded: 2500 });
  });

  /** Places an order and waits until its delivery is overdue. */
  async function placeOverdueOrder(): Promise<Placed> {
    const order = await placeOrder({ deliveryTimeoutSeconds: 3 });
    await awaitsPickup(order);
    await shop.fakes.carrier.reportNow(order.input.orderId, 'in_transit');
    await waitForView(order, isOverdue, 'is overdue');
    return order;
  }

  const isOverdue = ({ status }: OrderView) => status === 'delivery_overdue';

  const decideAboutParcel = ({ run: { workflowId } }: Placed, action: 'delivered' | 'write_off') =>
    shop.client.workflow.getHandle(workflowId).executeUpdate(resolveDeliveryUpdate, { args: [{ attempt: 1, action }] });

  test('an order with an overdue delivery is overdue again after a reset and completes when marked as delivered', async () => {
    const order = await placeOverdueOrder();
    for (const point of await resetPoints(handleOf(order))) {
      await resetRun(shop.client, order.run, point);
      await waitForView(order, isOverdue, `is overdue from event ${point}`);
    }
    await decideAboutParcel(order, 'delivered');
    const newest = shop.client.workflow.getHandle<typeof orderWorkflow>(order.run.workflowId);

    expect(await newest.result()).toMatchObject({ status: 'completed' });
    expect(await balance(order)).toMatchObject({ verdict: 'sold', charged: 2500, refunded: 0 });
  });

  test('a reset of a written-off order refunds once, and the record of the order does not change', async () => {
    const order = await placeOverdueOrder();
    await decideAboutParcel(order, 'write_off');
    expect(await waitForClose(handleOf(order))).toBe('FAILED');
    const outcomes: (string | undefined)[] = [];

    for (const point of await resetPoints(handleOf(order))) {
      const run = await resetRun(shop.client, order.run, point);
      const view = await waitForView(
        order,
        ({ status, stage }) => status === 'delivery_overdue' || stage === 'done',
        `overdue or closed from event ${point}`,
      );
      if (isOverdue(view)) await decideAboutParcel(order, 'write_off');
      await waitForClose(run);
      outcomes.push((await run.query(orderQuery)).reason?.type);
      expect(await balance(order), `from event ${point}`).toMatchObject({ verdict: 'written off', refunded: 2500 });
      expect(await recordOf(order)).toEqual({ status: 'failed', reservation: 'written_off' });
    }
    expect([outcomes[0], outcomes.at(-1)]).toEqual(['ReservationReleased', 'WrittenOff']);
  });
});

describeOnDevServer('an order that waits for its existing approval', () => {
  test('a joined approval stays open when the worker of the order shuts down', async () => {
    const server = await startDevServer();
    const shop = await startShop(server, { withWorker: false });
    const startOrderWorker = () => startWorker(server, shop, { taskQueues: ['orders', 'payments', 'approvals'] });
    let worker = await startOrderWorker();
    try {
      const { sku } = await addProduct(shop.store, { price: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' } });
      const input = makeOrder({ lines: [{ sku, quantity: 1 }] });
      const placed = await shop.client.workflow.start<typeof orderWorkflow>('order', {
        workflowId: orderWorkflowId(input.orderId),
        taskQueue: ORDER_TASK_QUEUE,
        args: [input],
      });
      const approval = shop.client.workflow.getHandle(approvalWorkflowId(`order.${input.orderId}`));
      await waitUntil(() => approval.describe().catch(() => undefined), {
        description: 'the approval',
        ...WAIT_OPTIONS,
      });
      const [first] = await resetPoints(placed);
      const { workflowId, firstExecutionRunId: runId } = placed;
      const run = await resetRun(shop.client, { workflowId, runId }, first!);
      await waitForRun(run);

      await worker.stop();
      worker = await startOrderWorker();
      await approval.executeUpdate(decideUpdate, { args: [{ approver: 'shift-lead', decision: 'approve' }] });

      const awaitsPickup = async () => {
        const view = await run.query<OrderView>(orderQuery);
        return view.stage === 'awaiting_pickup' ? view : undefined;
      };
      const view = await waitUntil(awaitsPickup, { description: 'the shipped order', ...WAIT_OPTIONS });
      expect(view).toMatchObject({ approval: { status: 'approved' } });
    } finally {
      await worker.stop();
      await shop.close();
    }
  });
});
