import type { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import type { ApprovalView } from '../../../src/schemas/approval.js';
import {
  approvalQuery,
  approvalWorkflowId,
  decideUpdate,
  withdrawUpdate,
} from '../../../src/workflows/approval/contract.js';
import type { approval } from '../../../src/workflows/approval/workflow.js';
import { cancelOrderUpdate, orderQuery } from '../../../src/workflows/order/contract.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { waitForApproval } from '../../support/shop/approvals.js';
import { lockProduct } from '../../support/database/database-lock.js';
import { describeWithOrderShop, type PlacedOrder, type PlaceOrderOptions } from '../../support/shop/order-shop.js';
import { addProduct } from '../../support/shop/shop.js';

const HOUR_SECONDS = 3_600;

describeWithOrderShop('an order that needs an approval', (shop) => {
  /** Places an order of two pieces with the given total. */
  async function placeLargeOrder(total: number, options: PlaceOrderOptions = {}): Promise<PlacedOrder> {
    const price = { value: total / 2, currency: 'EUR' };
    return await shop().placeOrder({ products: [await addProduct(shop().store, { price })], ...options });
  }

  const approvalOf = ({ orderId }: PlacedOrder) =>
    shop().client.workflow.getHandle<typeof approval>(approvalWorkflowId(`order.${orderId}`));

  /**
   * Waits until the shift lead has been notified. If a workflow ends while an activity still sends a mail, the
   * time-skipping server stops advancing time.
   */
  async function waitForApprovalRequest(order: PlacedOrder): Promise<ApprovalView> {
    await order.waitForView(({ approval }) => approval?.status === 'pending', 'awaits its approval');
    return await waitForApproval(
      approvalOf(order),
      ({ notifications }) => notifications[0]?.status === 'sent',
      'asked',
    );
  }

  const decide = (order: PlacedOrder, approver: string, decision: 'approve' | 'reject') =>
    approvalOf(order).executeUpdate(decideUpdate, { args: [{ approver, decision }] });

  test('starts no approval for an order just below the approval threshold', async () => {
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD - 2);
    await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports('in_transit', 'delivered');
    const view = await order.result();
    expect(view.status).toBe('completed');
    expect(view.approval).toBeUndefined();
    expect(await order.eventTypes()).not.toContain('StartChildWorkflowExecutionInitiated');
  });

  test('a large order is charged only after its approval, and then completes', async () => {
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD);
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
  });

  const nothing = { verdict: 'rolled back', charged: 0, refunded: 0, parcels: [] };

  test('releases the stock and charges nothing when an approver rejects the order', async () => {
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD);
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

  test('rejects the order when the last stage of the approval times out without a decision', async () => {
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD, { approvalTimeoutSeconds: HOUR_SECONDS });
    const view = await order.result();
    expect(view).toMatchObject({ status: 'rejected', reason: { type: 'ApprovalTimedOut' } });
    expect(await order.balance()).toEqual(nothing);
    const { trail } = await approvalOf(order).result();
    expect(trail.map(({ event }) => event)).toEqual(['requested', 'escalated', 'timed_out']);
    const seconds = (Date.parse(trail[2]!.at) - Date.parse(trail[0]!.at)) / 1000;
    expect(Math.round(seconds / HOUR_SECONDS), 'two stages of an hour, as the order states').toBe(2);
  });

  test("limits the approval timeout of an order to the shop's timeout", async () => {
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD, { approvalTimeoutSeconds: 8_000 * HOUR_SECONDS });
    const { deadline, trail } = await waitForApprovalRequest(order);
    expect(Math.round((Date.parse(deadline!) - Date.parse(trail[0]!.at)) / 1000 / HOUR_SECONDS)).toBe(24);
    await decide(order, 'shift-lead', 'reject');
    await order.result();
  });

  test('withdraws the approval and releases the stock when the customer cancels the order', async () => {
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD);
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
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD);
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
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD);
    await waitForApprovalRequest(order);
    await approvalOf(order).executeUpdate(withdrawUpdate, { args: [{}] });
    expect(await order.result()).toMatchObject({ status: 'rejected', reason: { type: 'ApprovalWithdrawn' } });
    expect(await order.balance()).toEqual(nothing);
  });

  test('rejects the order when the workflow of its approval is cancelled', async () => {
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD);
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
    const order = await placeLargeOrder(ORDER_APPROVAL_THRESHOLD, { customerId: 'shift-lead' });
    // If the order is cancelled while the mail activity starts, the time-skipping server loses the workflow task.
    await waitForApprovalRequest(order);
    await expect(decide(order, 'shift-lead', 'approve')).rejects.toMatchObject({ cause: { type: 'SelfApproval' } });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
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
