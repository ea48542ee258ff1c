import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderStage } from '../../../src/schemas/order.js';
import type { ReconcileInput } from '../../../src/schemas/reconciliation.js';
import { approvalIdOfOrder } from '../../../src/schemas/approval.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../../src/workflows/housekeeping/contract.js';
import type { reconcile as reconcileWorkflow } from '../../../src/workflows/housekeeping/reconcile.js';
import { orderQuery, shipmentReportedSignal } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { readBalance } from '../../support/shop/balance.js';
import {
  placeOrder,
  untilListedAsClosed,
  type PlacedOrder,
  type PlaceOptions,
} from '../../support/shop/placed-orders.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { deleteWorkflow, PROMPT_DELETION } from '../../support/temporal/deleted-workflows.js';
import { resetPoints, resetRun, waitForClose } from '../../support/temporal/resets.js';

const WAIT_OPTIONS = { timeoutMs: 60_000, intervalMs: 50 };

describeOnDevServer('the reconciliation of orders', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await startShop(await startDevServer({ dynamicConfig: PROMPT_DELETION }), {
      queues: ['orders', 'payments', 'approvals', 'housekeeping'],
    });
  });
  afterAll(async () => {
    await shop?.close();
  });

  const placeOrderAt = (stage: OrderStage, options?: PlaceOptions) => placeOrder(shop, stage, options);

  const isRunning = async ({ handle }: PlacedOrder) => (await handle.describe()).status.name === 'RUNNING';

  let runs = 0;
  const startReconciliation = (...args: [ReconcileInput?]) =>
    shop.client.workflow.start<typeof reconcileWorkflow>('reconcile', {
      workflowId: `reconcile-${(runs += 1)}`,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      args: args as [ReconcileInput],
    });
  const reconcile = async (...args: [ReconcileInput?]) => await (await startReconciliation(...args)).result();

  const recordOf = async ({ input: { orderId } }: PlacedOrder) =>
    await shop.store.db
      .selectFrom('orders')
      .select(['status', 'reservation', 'closed_at', 'rolled_back_at'])
      .where('order_id', '=', orderId)
      .executeTakeFirstOrThrow();

  const shipmentIdOf = async ({ handle }: PlacedOrder) => (await handle.query(orderQuery)).shipment!.shipmentId;

  const balanceOf = ({ input, product }: PlacedOrder) =>
    readBalance(shop, {
      orderId: input.orderId,
      products: [product],
      lines: input.lines,
      token: input.payment.token,
    });

  test('rolls back orders that were ended at any stage, and a second run changes nothing', async () => {
    const [awaitsApproval, isCharging, awaitsPickup, deleted, timedOut] = await Promise.all([
      placeOrderAt('awaiting_approval', { price: ORDER_APPROVAL_THRESHOLD }),
      placeOrderAt('charging_payment', { losesCharge: true }),
      placeOrderAt('awaiting_pickup'),
      placeOrderAt('awaiting_pickup'),
      placeOrderAt('awaiting_pickup', { timeout: '15 seconds' }),
    ]);
    await waitUntil(() => shop.fakes.records(isCharging.input.orderId).charges[0], {
      description: 'a charge whose response is lost',
      ...WAIT_OPTIONS,
    });
    const orders = [awaitsApproval, isCharging, awaitsPickup, deleted, timedOut];
    for (const order of [awaitsApproval, isCharging, awaitsPickup, deleted]) await order.handle.terminate('test');
    await deleteWorkflow(shop.client, deleted.handle.workflowId);
    await waitForClose(timedOut.handle);
    for (const order of orders) await untilListedAsClosed(shop, order);

    const planned = await reconcile({ dryRun: true });
    expect(planned.orders.map(({ orderId, workflow, result }) => [orderId, workflow, result])).toEqual(
      expect.arrayContaining([
        [awaitsApproval.input.orderId, 'terminated', 'planned'],
        [isCharging.input.orderId, 'terminated', 'planned'],
        [awaitsPickup.input.orderId, 'terminated', 'planned'],
        [deleted.input.orderId, 'missing', 'planned'],
        [timedOut.input.orderId, 'timed_out', 'planned'],
      ]),
    );
    for (const order of orders) expect(await recordOf(order)).toMatchObject({ reservation: 'reserved' });

    const reconciliation = await startReconciliation();
    const { orders: reconciled, hasMore } = await reconciliation.result();
    expect(hasMore).toBe(false);
    const { events } = await reconciliation.fetchHistory();
    const refunds = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
      scheduled?.activityType?.name === 'refundPayment' ? [scheduled.priority?.priorityKey] : [],
    );
    // The charges of orders, which share the task queue, come first.
    expect(new Set(refunds)).toEqual(new Set([5]));
    const problem = 'Temporal has no workflow of this order';
    const { orderId } = deleted.input;
    expect(reconciled).toContainEqual({ orderId, workflow: 'missing', result: 'needs_person', problem });
    expect(await recordOf(deleted)).toMatchObject({ reservation: 'reserved', rolled_back_at: null });
    expect(await shop.store.listUnreconciledOrders(10)).toEqual([{ orderId, problem }]);
    reconciled.push(...(await reconcile({ includeMissing: true })).orders);
    expect(await shop.store.listUnreconciledOrders(10)).toEqual([]);

    const expected = orders.map(
      ({ input: { orderId } }) => expect.objectContaining({ orderId, result: 'rolled_back' }) as unknown,
    );
    expect(reconciled).toEqual(expect.arrayContaining(expected));
    for (const order of orders) {
      expect(await recordOf(order)).toMatchObject({ status: 'failed', reservation: 'released' });
      const { charged, refunded, verdict } = await balanceOf(order);
      expect({ verdict, owed: charged - refunded }).toEqual({ verdict: 'rolled back', owed: 0 });
    }
    for (const order of [isCharging, awaitsPickup]) expect(await balanceOf(order)).toMatchObject({ charged: 2500 });
    expect(await balanceOf(awaitsPickup)).toEqual({
      verdict: 'rolled back',
      charged: 2500,
      refunded: 2500,
      parcels: ['cancelled'],
    });
    const approval = shop.client.workflow.getHandle(
      approvalWorkflowId(approvalIdOfOrder(awaitsApproval.input.orderId)),
    );
    expect(await waitForClose(approval)).toBe('CANCELLED');

    const before = await Promise.all(orders.map(recordOf));
    const effects = orders.map(({ input: { orderId } }) => structuredClone(shop.fakes.records(orderId)));
    expect((await reconcile()).orders).toEqual([]);
    expect(await Promise.all(orders.map(recordOf))).toEqual(before);
    expect(orders.map(({ input: { orderId } }) => structuredClone(shop.fakes.records(orderId)))).toEqual(effects);
  });

  test('withdraws the approval that an order got before a reset', async () => {
    const order = await placeOrderAt('awaiting_approval', { price: ORDER_APPROVAL_THRESHOLD });
    const { workflowId } = order.handle;
    const approval = shop.client.workflow.getHandle(approvalWorkflowId(approvalIdOfOrder(order.input.orderId)));
    await waitUntil(() => approval.describe().catch(() => undefined), { description: 'the approval', ...WAIT_OPTIONS });
    const { runId } = await order.handle.describe();
    const first = shop.client.workflow.getHandle(workflowId, runId);
    const run = await resetRun(shop.client, { workflowId, runId }, (await resetPoints(first))[0]!);
    const isWaiting = async () =>
      (await run.describe()).raw.pendingActivities?.some(
        ({ activityType }) => activityType?.name === 'awaitExistingApproval',
      ) || undefined;
    await waitUntil(isWaiting, { description: 'the wait for the existing approval', ...WAIT_OPTIONS });
    await run.terminate('test');
    await untilListedAsClosed(shop, order);
    expect((await approval.describe()).status.name).toBe('RUNNING');

    expect((await reconcile()).orders).toMatchObject([{ orderId: order.input.orderId, result: 'rolled_back' }]);
    expect(await waitForClose(approval)).toBe('CANCELLED');
  });

  test('lists an order whose parcel has left for a person until the order has an outcome', async () => {
    const order = await placeOrderAt('awaiting_pickup');
    const { orderId } = order.input;
    await shop.fakes.carrier.reportNow(orderId, 'in_transit');
    await order.handle.terminate('test');
    await untilListedAsClosed(shop, order);

    const problem = 'the carrier has picked up the parcel';
    const listed = { orderId, workflow: 'terminated', result: 'needs_person', problem };
    expect((await reconcile()).orders).toEqual([listed]);
    expect((await reconcile()).orders).toEqual([listed]);
    expect(await shop.store.listUnreconciledOrders(10)).toEqual([{ orderId, problem }]);
    expect(await recordOf(order)).toMatchObject({ reservation: 'reserved', rolled_back_at: null });
    expect(await balanceOf(order)).toMatchObject({ charged: 2500, refunded: 0, parcels: ['in_transit'] });

    // The operator resets the workflow, which continues and polls the carrier.
    const { workflowId } = order.handle;
    const { runId } = await order.handle.describe();
    const points = await resetPoints(shop.client.workflow.getHandle(workflowId, runId));
    const run = await resetRun(shop.client, { workflowId, runId }, points.at(-1)!);
    await waitUntil(
      async () => {
        const query = `WorkflowId = '${workflowId}' and ExecutionStatus = 'Running'`;
        return (await shop.client.workflow.count(query)).count === 1 || undefined;
      },
      { description: `${workflowId} listed as open`, ...WAIT_OPTIONS },
    );
    expect((await reconcile({ dryRun: true })).orders).toEqual([]);
    expect(await shop.store.countUnreconciledOrders()).toBe(1);
    expect((await reconcile()).orders).toEqual([]);
    expect(await shop.store.countUnreconciledOrders()).toBe(0);
    await run.signal(shipmentReportedSignal, { orderId, shipmentId: await shipmentIdOf(order), status: 'delivered' });
    expect(await run.result()).toMatchObject({ status: 'completed' });
    expect((await reconcile()).orders).toEqual([]);
    expect(await shop.store.listUnreconciledOrders(10)).toEqual([]);
  });

  test('lists an order whose refund fails, and rolls the order back when the gateway works again', async () => {
    const order = await placeOrderAt('awaiting_pickup');
    const { orderId } = order.input;
    shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', times: -1 });
    await order.handle.terminate('test');
    await untilListedAsClosed(shop, order);

    expect((await reconcile()).orders).toMatchObject([
      { orderId, result: 'needs_person', problem: expect.stringContaining('PaymentGateway') as string },
    ]);
    expect(await recordOf(order)).toMatchObject({ reservation: 'reserved', rolled_back_at: null });
    shop.fakes.faults.clear();
    expect((await reconcile()).orders).toMatchObject([{ orderId, result: 'rolled_back' }]);
    expect(await balanceOf(order)).toMatchObject({ verdict: 'rolled back', charged: 2500, refunded: 2500 });
    expect(await shop.store.listUnreconciledOrders(10)).toEqual([]);
  });

  test('leaves an order alone that changed after the given time', async () => {
    const order = await placeOrderAt('awaiting_pickup');
    const orderIdsUnchangedSince = async (unchangedSince: Date) => {
      const page = await shop.store.listOrdersWithoutOutcome({ unchangedSince, isForPerson: false, limit: 100 });
      return page.map(({ orderId }) => orderId);
    };
    expect(await orderIdsUnchangedSince(new Date(Date.now() - 60_000))).not.toContain(order.input.orderId);
    expect(await orderIdsUnchangedSince(new Date(Date.now() + 60_000))).toContain(order.input.orderId);
  });

  test('leaves open orders alone', async () => {
    const order = await placeOrderAt('awaiting_pickup');
    const { orders, comparedCount } = await reconcile();
    expect(comparedCount).toBeGreaterThan(0);
    expect(orders.map(({ orderId }) => orderId)).not.toContain(order.input.orderId);
    expect(await recordOf(order)).toMatchObject({ reservation: 'reserved', closed_at: null });
    expect(await isRunning(order)).toBe(true);
  });

  test('a misspelled option is an error, and nothing is rolled back', async () => {
    const order = await placeOrderAt('awaiting_pickup');
    await order.handle.terminate('test');
    const run = await startReconciliation({ dryrun: true } as never);
    await expect(run.result()).rejects.toMatchObject({
      cause: { cause: { type: 'InvalidInput', message: expect.stringContaining('dryrun') as string } },
    });
    expect(await recordOf(order)).toMatchObject({ reservation: 'reserved', rolled_back_at: null });
  });
});
