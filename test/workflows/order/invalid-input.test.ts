import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { ORDER_WORKFLOW_TYPE, ORDER_TASK_QUEUE, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { newOrderId, describeWithOrderShop, PlacedOrder, type OrderShop } from '../../support/shop/order-shop.js';
import { makeOrder } from '../../support/shop/shop.js';

/** Starts an order workflow with arguments that need not match the schema. */
async function startRaw(shop: OrderShop, args: unknown[], { workflowId = orderWorkflowId(newOrderId()) } = {}) {
  const handle = await shop.client.workflow.start(ORDER_WORKFLOW_TYPE, {
    workflowId,
    taskQueue: ORDER_TASK_QUEUE,
    args,
  });
  const input = makeOrder({ orderId: workflowId.replace('order:', ''), lines: [] });
  return new PlacedOrder(shop, { input, products: [], handle });
}

const validInput = makeOrder({ lines: [{ sku: 'MUG', quantity: 1 }] });
const { lines: _, ...withoutLines } = validInput;

describeWithOrderShop('unparsed messages to an order', (shop) => {
  describe('input of an order', () => {
    test.each<[string, unknown[], string[]]>([
      ['no argument', [], ['']],
      ['null', [null], ['']],
      ['a string', ['one mug, please'], ['']],
      ['an array', [[validInput]], ['']],
      ['an empty object', [{}], ['/customerId', '/lines', '/payment', '/orderId']],
      ['missing lines', [withoutLines], ['/lines']],
      ['no lines', [{ ...validInput, lines: [] }], ['/lines']],
      ['a negative quantity', [{ ...validInput, lines: [{ sku: 'MUG', quantity: -1 }] }], ['/lines/0/quantity']],
      ['a string for a number', [{ ...validInput, lines: [{ sku: 'MUG', quantity: '2' }] }], ['/lines/0/quantity']],
      ['an extra field', [{ ...validInput, total: 1 }], ['/total']],
      [
        'a price set by the client',
        [{ ...validInput, lines: [{ sku: 'MUG', quantity: 1, price: 1 }] }],
        ['/lines/0/price'],
      ],
      ['no payment', [{ ...validInput, payment: null }], ['/payment']],
      [
        'a timeout of thousands of years',
        [{ ...validInput, deliveryTimeoutSeconds: 1e12 }],
        ['/deliveryTimeoutSeconds'],
      ],
      ["an order id other than the workflow's", [validInput], ['/orderId']],
    ])('an order started with %s fails at once and lists each problem', async (_description, args, pointers) => {
      const order = await startRaw(shop(), args);
      const failure = await order.waitForFailure();
      const view = await order.view();
      const events = await order.eventTypes();

      expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
      const [problems] = (failure as ApplicationFailure).details as [{ pointer: string; detail: string }[]];
      expect(problems.map(({ pointer }) => pointer).toSorted()).toEqual(pointers.toSorted());
      for (const { detail } of problems) expect(detail).toEqual(expect.stringMatching(/\w/));
      expect(view).toMatchObject({ status: 'failed', reason: { type: 'InvalidInput' }, compensations: [] });
      expect(order.attemptOutcomes('reserveStock'), 'no retries').toEqual(['failed']);
      expect(order.completedActivities()).toEqual([]);
      expect(order.partnerRequests()).toEqual([]);
      expect(events).not.toContain('WorkflowTaskFailed');
    });

    test('fails the order as InvalidInput if its workflow id lacks the "order:" prefix', async () => {
      const order = await startRaw(shop(), [validInput], { workflowId: validInput.orderId });
      const failure = await order.waitForFailure();

      expect(failure).toMatchObject({ type: 'InvalidInput' });
      expect((failure as ApplicationFailure).details).toMatchObject([[{ pointer: '/orderId' }]]);
    });
  });

  test('an order ignores malformed and unknown signals', async () => {
    const order = await shop().placeOrder();
    const before = await order.waitForStage('awaiting_pickup');
    const { orderId } = order;
    const shipmentId = before.shipment!.shipmentId;
    const signals: unknown[][] = [
      [],
      [null],
      ['delivered'],
      [7],
      [true],
      [[]],
      [[{ orderId, shipmentId, status: 'delivered' }]],
      [{}],
      [{ orderId, shipmentId }],
      [{ orderId, status: 'delivered' }],
      [{ shipmentId, status: 'delivered' }],
      [{ orderId, shipmentId: 7, status: 'delivered' }],
      [{ orderId, shipmentId: null, status: 'delivered' }],
      [{ orderId, shipmentId, status: 'eaten' }],
      [{ orderId, shipmentId, status: ['delivered'] }],
      ['too', 'many', 'arguments'],
    ];
    for (const args of signals) await order.handle.signal<unknown[]>('shipmentReported', ...args);
    await order.handle.signal('noSuchSignal', { orderId });
    const after = await order.view();
    await order.sendCarrierReports('delivered');

    expect(after).toEqual(before);
    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(await order.balance()).toMatchObject({ verdict: 'sold', charged: 2500 });
    expect(await order.eventTypes()).not.toContain('WorkflowTaskFailed');
  });

  test('an order rejects malformed updates as InvalidInput and completes', async () => {
    const order = await shop().placeOrder();
    const before = await order.waitForStage('awaiting_pickup');
    const updates: [string, unknown[]][] = [
      ['cancelOrder', ['please']],
      ['cancelOrder', [7]],
      ['cancelOrder', [{ reason: 7 }]],
      ['cancelOrder', [{ reason: 'x'.repeat(501) }]],
      ['resolveCompensation', []],
      ['resolveCompensation', [null]],
      ['resolveCompensation', ['retry']],
      ['resolveCompensation', [{}]],
      ['resolveCompensation', [{ action: 'both' }]],
      ['resolveCompensation', [{ action: ['retry'] }]],
    ];
    const rejections: unknown[] = [];
    for (const [name, args] of updates) {
      const error = await order.handle
        .executeUpdate(name, { args: args as [unknown] })
        .catch((reason: unknown) => reason);
      rejections.push(error instanceof WorkflowUpdateFailedError ? error.cause : error);
    }
    const unknown = await order.handle.executeUpdate('noSuchUpdate').catch((reason: unknown) => reason);
    const after = await order.view();
    await order.sendCarrierReports('delivered');

    expect(rejections).toMatchObject(updates.map(() => ({ type: 'InvalidInput' })));
    expect(unknown).toBeInstanceOf(WorkflowUpdateFailedError);
    expect(after).toEqual(before);
    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(await order.balance()).toMatchObject({ verdict: 'sold', charged: 2500 });
    expect(await order.eventTypes()).not.toContain('WorkflowTaskFailed');
  });

  test.each<[string, unknown[]]>([
    ['no argument', []],
    ['null', [null]],
  ])('a cancelOrder update with %s cancels the order without a reason', async (_description, args) => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');
    await order.handle.executeUpdate('cancelOrder', { args: args as [unknown] });
    const view = await order.result();

    expect(view).toMatchObject({ status: 'cancelled' });
    expect(view.cancellation).not.toHaveProperty('reason');
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500 });
  });
});
