import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import type { ApprovalView } from '../../../src/schemas/approval.js';
import type { OrderView } from '../../../src/schemas/order.js';
import {
  approvalQuery,
  approvalWorkflowId,
  decideUpdate,
  withdrawUpdate,
} from '../../../src/workflows/approval/contract.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../../src/workflows/housekeeping/contract.js';
import type { reconcile } from '../../../src/workflows/housekeeping/reconcile.js';
import type { approval } from '../../../src/workflows/approval/workflow.js';
import { cancelOrderUpdate, orderQuery } from '../../../src/workflows/order/contract.js';
import type { order as orderWorkflow } from '../../../src/workflows/order/workflow.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { makeApproval, makeApprover, makeStage, startApproval, waitForApproval } from '../../support/shop/approvals.js';
import { waitUntil } from '../../support/processes.js';
import { lockProduct } from '../../support/database/database-lock.js';
import {
  describeWithApprovalModes,
  describeWithOrderShop,
  newOrderId,
  type OrderShop,
  type PlacedOrder,
  type PlaceOrderOptions,
} from '../../support/shop/order-shop.js';
import { resetPoints, resetRun, waitForClose } from '../../support/temporal/resets.js';
import { addProduct } from '../../support/shop/shop.js';

const HOUR_SECONDS = 3_600;
const WAIT_OPTIONS = { timeoutMs: 20_000, intervalMs: 50 };

/** The event that starts an approval, in each mode. */
const APPROVAL_EVENTS = {
  'child workflow': 'StartChildWorkflowExecutionInitiated',
  'Nexus operation': 'NexusOperationScheduled',
};

const nothing = { verdict: 'rolled back', charged: 0, refunded: 0, parcels: [] };

/** Places an order of two pieces with the given total. */
async function placeLargeOrder(
  shop: OrderShop,
  { total = ORDER_APPROVAL_THRESHOLD, ...options }: PlaceOrderOptions & { total?: number } = {},
): Promise<PlacedOrder> {
  const price = { value: total / 2, currency: 'EUR' };
  return await shop.placeOrder({ products: [await addProduct(shop.store, { price })], ...options });
}

const approvalOf = ({ shop, orderId }: PlacedOrder) =>
  shop.approvalClient.workflow.getHandle<typeof approval>(approvalWorkflowId(`order.${orderId}`));

/** Waits until the shift lead has been notified. */
async function waitForApprovalRequest(order: PlacedOrder): Promise<ApprovalView> {
  await waitUntil(
    () =>
      approvalOf(order)
        .describe()
        .catch(() => undefined),
    {
      description: `the approval of order ${order.orderId}`,
      ...WAIT_OPTIONS,
    },
  );
  return await waitForApproval(approvalOf(order), ({ notifications }) => notifications[0]?.status === 'sent', 'asked');
}

const decide = (order: PlacedOrder, approver: string, decision: 'approve' | 'reject') =>
  approvalOf(order).executeUpdate(decideUpdate, { args: [{ approver, decision }] });

/** Resets an order to its first workflow task. */
async function resetToStart({ shop, handle }: PlacedOrder): Promise<WorkflowHandle<typeof orderWorkflow>> {
  const { workflowId, firstExecutionRunId: runId } = handle;
  const [first] = await resetPoints(handle);
  return (await resetRun(shop.client, { workflowId, runId }, first!)) as WorkflowHandle<typeof orderWorkflow>;
}

/** Whether a reset order waits for an approval that an earlier run requested. */
async function isWaiting(run: WorkflowHandle): Promise<boolean> {
  const { pendingActivities, pendingNexusOperations } = (await run.describe()).raw;
  return (
    (pendingActivities ?? []).some(({ activityType }) => activityType?.name === 'awaitExistingApproval') ||
    (pendingNexusOperations ?? []).some(({ operationToken }) => Boolean(operationToken))
  );
}

const waitForPickup = (run: WorkflowHandle): Promise<OrderView> =>
  waitUntil(
    async () => {
      const view = await run.query(orderQuery);
      return view.stage === 'awaiting_pickup' ? view : undefined;
    },
    { description: 'the reset order that awaits its pickup', ...WAIT_OPTIONS },
  );

describeWithApprovalModes('an order that runs its approval', (shop, mode) => {
  test('starts no approval for an order just below the approval threshold', async () => {
    const order = await placeLargeOrder(shop(), { total: ORDER_APPROVAL_THRESHOLD - 2 });
    await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('in_transit', 'delivered');
    const view = await order.result();
    expect(view.status).toBe('completed');
    expect(view.approval).toBeUndefined();
    expect(await order.eventTypes()).not.toContain(APPROVAL_EVENTS[mode]);
  });

  test('a large order is charged only after its approval, and then completes', async () => {
    const order = await placeLargeOrder(shop());
    const question = await waitForApprovalRequest(order);
    expect(question).toMatchObject({
      title: `Order ${order.orderId} of ${order.input.customerId}`,
      description: '2 x A thing',
      requestedBy: order.input.customerId,
      amount: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' },
      approvers: ['shift-lead'],
    });
    expect(await order.view()).toMatchObject({
      stage: 'awaiting_approval',
      approval: { approvalId: `order.${order.orderId}`, status: 'pending' },
    });
    expect(order.completedActivities()).toEqual(['reserveStock']);
    expect(order.partnerRequests(), 'nothing is charged yet').toEqual([]);

    await decide(order, 'shift-lead', 'approve');
    await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('in_transit', 'delivered');
    const view = await order.result();
    expect(view).toMatchObject({ status: 'completed', approval: { status: 'approved' } });
    expect(view.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'reserveStock completed',
      'approval completed',
      'chargePayment completed',
      'requestShipment completed',
    ]);
    expect((await order.balance()).verdict).toBe('sold');
    expect(await order.eventTypes()).toContain(APPROVAL_EVENTS[mode]);
  });

  test('releases the stock and charges nothing when an approver rejects the order', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await decide(order, 'shift-lead', 'reject');
    expect(await order.result()).toMatchObject({
      status: 'rejected',
      reason: { type: 'ApprovalRejected' },
      approval: { status: 'rejected' },
      compensations: [{ name: 'releaseStock', status: 'completed' }],
    });
    expect(await order.balance()).toEqual(nothing);
    expect(order.partnerRequests()).toEqual([]);
  });

  test('withdraws the approval and releases the stock when the customer cancels the order', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'too slow' }] });
    expect(await order.result()).toMatchObject({ status: 'cancelled', approval: { status: 'withdrawn' } });
    expect(await order.balance()).toEqual(nothing);
    expect(await approvalOf(order).query(approvalQuery)).toMatchObject({ status: 'withdrawn' });
  });

  test('an order cancelled during the stock reservation has no approval', async () => {
    const product = await addProduct(shop().store, { price: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' } });
    const lock = await lockProduct(shop().databaseUrl, product.sku);
    const order = await shop().placeOrder({ products: [product] });
    await lock.waitForBlocked();
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await lock.release();
    const view = await order.result();
    expect(view).toMatchObject({ status: 'cancelled', reason: { type: 'Cancelled' } });
    expect(view).not.toHaveProperty('approval');
    expect(order.completedActivities()).toEqual(['reserveStock', 'releaseStock', 'closeOrder']);
    expect(await order.balance()).toEqual(nothing);
  });

  test('withdraws the approval and releases the stock when the workflow of the order is cancelled', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await order.handle.cancel();
    const error = await order.result().catch((failure: unknown) => failure);
    expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
    expect(await order.handle.query(orderQuery)).toMatchObject({
      status: 'cancelled',
      approval: { status: 'withdrawn' },
    });
    expect(await order.balance()).toEqual(nothing);
    expect(await approvalOf(order).query(approvalQuery)).toMatchObject({ status: 'withdrawn' });
  });

  test('rejects the order when its approval is withdrawn', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await approvalOf(order).executeUpdate(withdrawUpdate, { args: [{}] });
    expect(await order.result()).toMatchObject({ status: 'rejected', reason: { type: 'ApprovalWithdrawn' } });
    expect(await order.balance()).toEqual(nothing);
  });

  test('rejects the order when the workflow of its approval is cancelled', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await approvalOf(order).cancel();
    expect(await order.result()).toMatchObject({
      status: 'rejected',
      reason: { type: 'ApprovalWithdrawn' },
      approval: { status: 'withdrawn' },
    });
    expect(await order.balance()).toEqual(nothing);
  });

  test('rejects a decision by the customer of the order as SelfApproval', async () => {
    const order = await placeLargeOrder(shop(), { customerId: 'shift-lead' });
    await waitForApprovalRequest(order);
    await expect(decide(order, 'shift-lead', 'approve')).rejects.toMatchObject({ cause: { type: 'SelfApproval' } });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.result();
  });

  test('rejects the order when its approval times out', async () => {
    const order = await placeLargeOrder(shop(), { approvalTimeoutSeconds: 1 });
    expect(await order.result()).toMatchObject({
      status: 'rejected',
      reason: { type: 'ApprovalTimedOut' },
      approval: { status: 'timed_out' },
    });
    expect(await order.balance()).toEqual(nothing);
  });

  test('rejects the order when the workflow of its approval is terminated', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await approvalOf(order).terminate();
    expect(await order.result()).toMatchObject({
      status: 'rejected',
      reason: { type: 'ApprovalWithdrawn' },
      approval: { status: 'withdrawn' },
    });
    expect(await order.balance()).toEqual(nothing);
  });

  test('withdraws the approval after the workflow of the order is terminated and reconciled', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await order.handle.terminate();
    const isRolledBack = async () => {
      const { orders } = await shop().client.workflow.execute<typeof reconcile>('reconcile', {
        workflowId: `reconcile-${order.orderId}`,
        taskQueue: HOUSEKEEPING_TASK_QUEUE,
        args: [undefined],
      });
      return orders.some(({ orderId }) => orderId === order.orderId) || undefined;
    };
    await waitUntil(isRolledBack, { description: 'the reconciled order', ...WAIT_OPTIONS });
    expect(await waitForClose(approvalOf(order))).toBe('CANCELLED');
    expect(await order.balance()).toEqual(nothing);
  });

  test('fails the order with ApprovalIdTaken when another approval has its id', async () => {
    const orderId = newOrderId();
    const approver = makeApprover();
    const other = makeApproval({ approvalId: `order.${orderId}`, stages: [makeStage(approver)] });
    const handle = await startApproval(shop().approvalClient, other);
    const order = await placeLargeOrder(shop(), { orderId });

    expect(await order.waitForFailure()).toMatchObject({ type: 'ApprovalIdTaken' });
    expect(await order.view()).toMatchObject({ status: 'failed', reason: { type: 'ApprovalIdTaken' } });
    expect(await order.balance()).toEqual(nothing);
    await handle.executeUpdate(decideUpdate, { args: [{ approver: approver.id, decision: 'approve' }] });
    expect(await handle.result()).toMatchObject({ status: 'approved' });
  });

  test('a reset order waits for the open approval, and the approval is requested once', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    const { runId } = await approvalOf(order).describe();
    const newest = await resetToStart(order);
    await decide(order, 'shift-lead', 'approve');

    expect(await waitForPickup(newest)).toMatchObject({ approval: { status: 'approved' } });
    expect((await approvalOf(order).describe()).runId).toBe(runId);
    expect((await order.balance()).charged).toBe(ORDER_APPROVAL_THRESHOLD);
  });

  test('an approved order that is reset keeps the decision', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    await decide(order, 'shift-lead', 'approve');
    await order.waitForStage('awaiting_pickup');
    const newest = await resetToStart(order);

    expect(await waitForPickup(newest)).toMatchObject({ approval: { status: 'approved' } });
    expect((await order.balance()).charged).toBe(ORDER_APPROVAL_THRESHOLD);
  });

  test('a reset order withdraws the open approval when the order is cancelled', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    const newest = await resetToStart(order);
    await waitUntil(async () => (await isWaiting(newest)) || undefined, {
      description: 'the reset order that waits for its approval',
      ...WAIT_OPTIONS,
    });
    await newest.executeUpdate(cancelOrderUpdate, { args: [{}] });

    expect(await newest.result()).toMatchObject({ status: 'cancelled', approval: { status: 'withdrawn' } });
    expect(await approvalOf(order).query(approvalQuery)).toMatchObject({ status: 'withdrawn' });
    expect(await order.balance()).toEqual(nothing);
  });

  test('an order gets the decision of an approval that was reset', async () => {
    const order = await placeLargeOrder(shop());
    await waitForApprovalRequest(order);
    const { workflowId, runId } = await approvalOf(order).describe();
    const [point] = await resetPoints(approvalOf(order));
    await resetRun(shop().approvalClient, { workflowId, runId }, point!);
    await decide(order, 'shift-lead', 'approve');

    expect(await order.waitForStage('awaiting_pickup')).toMatchObject({ approval: { status: 'approved' } });
  });
});

describeWithOrderShop('an order that needs an approval', (shop) => {
  test('rejects the order when the last stage of the approval times out without a decision', async () => {
    const order = await placeLargeOrder(shop(), { approvalTimeoutSeconds: HOUR_SECONDS });
    const view = await order.result();
    expect(view).toMatchObject({ status: 'rejected', reason: { type: 'ApprovalTimedOut' } });
    expect(await order.balance()).toEqual(nothing);
    const { trail } = await approvalOf(order).result();
    expect(trail.map(({ event }) => event)).toEqual(['requested', 'escalated', 'timed_out']);
    const seconds = (Date.parse(trail[2]!.at) - Date.parse(trail[0]!.at)) / 1000;
    expect(Math.round(seconds / HOUR_SECONDS), 'two stages of an hour, as the order states').toBe(2);
  });

  test("limits the approval timeout of an order to the shop's timeout", async () => {
    const order = await placeLargeOrder(shop(), { approvalTimeoutSeconds: 8_000 * HOUR_SECONDS });
    const { deadline, trail } = await waitForApprovalRequest(order);
    expect(Math.round((Date.parse(deadline!) - Date.parse(trail[0]!.at)) / 1000 / HOUR_SECONDS)).toBe(24);
    await decide(order, 'shift-lead', 'reject');
    await order.result();
  });
});

describeWithOrderShop(
  'a large order whose only approver is its customer',
  (shop) => {
    test('rejects a large order whose only approver is its customer, and charges nothing', async () => {
      const products = [
        await addProduct(shop().store, { price: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' } }),
      ];
      const order = await shop().placeOrder({ products, customerId: 'sole-approver' });
      const view = await order.result();

      expect(view).toMatchObject({ status: 'rejected', reason: { type: 'NoApprover' } });
      expect(order.partnerRequests()).toEqual([]);
      expect(await order.balance()).toMatchObject({ verdict: 'rolled back', charged: 0 });
      expect(await shop().store.findOrder(order.orderId)).toMatchObject({ status: 'rejected', outcome: { view } });
    });
  },
  { approvalStages: [{ approvers: [{ id: 'sole-approver' }], timeoutSeconds: 60 }] },
);
