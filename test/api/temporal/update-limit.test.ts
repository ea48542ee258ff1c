import { randomUUID } from 'node:crypto';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { ApprovalResource } from '../../../src/schemas/approval.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { cancelOrderUpdate, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { makeApproval, makeStage } from '../../support/shop/approvals.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { startWebhookReceiver } from '../../support/network/webhook-receiver.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

/** The number of updates that a run accepts in this test. Temporal’s default is 2,000. */
const MAX_UPDATES = 3;

describeOnDevServer('a run that accepts no further updates', () => {
  let shop: Shop;
  let api: Api;

  beforeAll(async () => {
    const server = await startDevServer({ dynamicConfig: [`history.maxTotalUpdates=${MAX_UPDATES}`] });
    shop = await startShop(server, { queues: ['approvals', 'orders', 'payments'] });
    api = await startApi(shop);
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function placeOrderWithStuckRefund(): Promise<string> {
    const { sku } = await addProduct(shop.store);
    const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
    const { orderId } = order;
    await api.post('/v1/orders', order);
    await api.waitForOrderStage(orderId, 'awaiting_pickup');
    shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: MAX_UPDATES });
    expect((await api.post(`/v1/orders/${orderId}/cancel`)).status).toBe(202);
    await waitForStuckAttempt(orderId, 1);
    return orderId;
  }

  const waitForStuckAttempt = (orderId: string, attempt: number) =>
    api.waitForOrder(
      orderId,
      ({ compensations }) =>
        compensations.some(
          (entry) => entry.name === 'refundPayment' && entry.status === 'stuck' && entry.attempt === attempt,
        ),
      `stuck at attempt ${attempt}`,
    );

  const decide = (orderId: string, attempt: number, action: 'retry' | 'skip') =>
    api.post<OrderResource>(`/v1/orders/${orderId}/compensation`, { compensation: 'refundPayment', attempt, action });

  test('repeated cancels of an order are rejected without a history event, so they do not count against the update limit', async () => {
    const orderId = await placeOrderWithStuckRefund();
    const handle = shop.client.workflow.getHandle(orderWorkflowId(orderId));
    const before = await waitUntil(
      async () => {
        const { raw, historyLength } = await handle.describe();
        return raw.pendingActivities?.length || raw.pendingWorkflowTask ? undefined : historyLength;
      },
      { description: 'an order without pending work', timeoutMs: 10_000 },
    );

    for (let repeat = 0; repeat < 2 * MAX_UPDATES; repeat++) {
      const rejected = handle.executeUpdate(cancelOrderUpdate, { args: [{}], updateId: randomUUID() });
      await expect(rejected).rejects.toThrow(WorkflowUpdateFailedError);
    }

    expect((await handle.describe()).historyLength).toBe(before);
    expect((await decide(orderId, 1, 'retry')).status).toBe(202);
  });

  test('operator decisions about an order are signals, so the update limit does not block them', async () => {
    const orderId = await placeOrderWithStuckRefund();
    for (const attempt of [1, 2]) {
      expect((await decide(orderId, attempt, 'retry')).status).toBe(202);
      await waitForStuckAttempt(orderId, attempt + 1);
    }

    expect(await decide(orderId, 2, 'skip')).toMatchObject({
      status: 409,
      body: { type: '/problems/compensation-not-stuck' },
    });
    expect((await decide(orderId, 3, 'skip')).status).toBe(202);

    const cancelled = await api.waitForOrderStatus(orderId, 'cancelled');
    expect(cancelled.compensations).toContainEqual(
      expect.objectContaining({ name: 'refundPayment', status: 'skipped', attempt: 3 }),
    );
    expect(shop.fakes.records(orderId).refunds).toEqual([]);
  });

  /** Requests an approval that stays open after its decision, because its callback URL returns 500. */
  async function startApprovalWithFailingCallback() {
    const receiver = await startWebhookReceiver();
    receiver.respondWith(500);
    onTestFinished(() => receiver.close());
    const input = makeApproval({ stages: [makeStage({ id: 'lead' })], callbackUrl: receiver.url });
    expect((await api.post('/v1/approvals', input)).status).toBe(202);
    const path = `/v1/approvals/${input.approvalId}`;
    const handle = shop.client.workflow.getHandle(approvalWorkflowId(input.approvalId));
    onTestFinished(async () => void (await handle.terminate()));
    const acceptedUpdates = async () =>
      (await handle.fetchHistory()).events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes)
        .length;
    const decide = (decision: object) =>
      api.post<ApprovalResource>(`${path}/decision`, { approver: 'lead', decision: 'approve', ...decision });
    return { path, decide, acceptedUpdates };
  }

  test('a repeated decision about an approval returns the outcome and writes no update to the history', async () => {
    const { path, decide, acceptedUpdates } = await startApprovalWithFailingCallback();
    const { body: first } = await decide({ comment: 'fine' });
    expect(first).toMatchObject({ status: 'approved', decision: { comment: 'fine' } });

    for (let repeat = 0; repeat < 2 * MAX_UPDATES; repeat++) {
      const { status, body } = await decide(repeat % 2 ? {} : { comment: 'fine' });
      expect([status, body.decision]).toEqual([200, first.decision]);
    }

    expect(await acceptedUpdates()).toBe(1);
    expect((await decide({ comment: 'really' })).body.trail.at(-1)).toMatchObject({
      event: 'commented',
      comment: 'really',
    });
    expect((await decide({ comment: 'really' })).status).toBe(200);
    expect(await acceptedUpdates()).toBe(2);
    expect(await api.post(`${path}/withdraw`)).toMatchObject({
      status: 409,
      body: { type: '/problems/already-decided' },
    });
  });

  test('a repeated withdrawal of an approval returns the outcome and writes no update to the history', async () => {
    const { path, acceptedUpdates } = await startApprovalWithFailingCallback();

    for (let repeat = 0; repeat < 2 * MAX_UPDATES; repeat++) {
      const { status, body } = await api.post<ApprovalResource>(`${path}/withdraw`, { reason: 'done otherwise' });
      expect([status, body.status]).toEqual([200, 'withdrawn']);
    }

    expect(await acceptedUpdates()).toBe(1);
  });

  test('at the update limit, a repeated decision returns the outcome and stores its new comment', async () => {
    const { path, decide, acceptedUpdates } = await startApprovalWithFailingCallback();
    for (let number = 1; number <= MAX_UPDATES; number++)
      expect((await decide({ comment: `comment ${number}` })).status).toBe(200);
    expect(await acceptedUpdates()).toBe(MAX_UPDATES);

    expect(await decide({ comment: 'one more' })).toMatchObject({ status: 200, body: { status: 'approved' } });

    const { approvalId } = (await api.get<ApprovalResource>(path)).body;
    const { finalView } = (await shop.store.findApproval(approvalId))!;
    expect(finalView?.trail.at(-1)).toMatchObject({ event: 'commented', comment: 'one more' });
  });
});
