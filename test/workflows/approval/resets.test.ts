import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovalInput, ApprovalResource, ApprovalSummary, ApprovalView } from '../../../src/schemas/approval.js';
import { approvalQuery, approvalWorkflowId, decideUpdate } from '../../../src/workflows/approval/contract.js';
import type { approval } from '../../../src/workflows/approval/workflow.js';
import { waitUntil } from '../../support/processes.js';
import { ORDER_APPROVAL_THRESHOLD } from '../../support/shop/test-activities.js';
import { startApi, type Api } from '../../support/api/api.js';
import {
  makeApproval,
  makeApprover,
  waitForApproval,
  startApproval,
  makeStage,
  type ApprovalHandle,
} from '../../support/shop/approvals.js';
import { resetPoints, resetRun } from '../../support/temporal/resets.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startWebhookReceiver, type WebhookReceiver } from '../../support/network/webhook-receiver.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';
import { startWorker } from '../../support/workers/workers.js';

describeOnDevServer('an approval (dev server)', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let receiver: WebhookReceiver;
  let worker: Awaited<ReturnType<typeof startWorker>>;

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    worker = await startWorker(server, shop, { taskQueues: ['approvals', 'orders', 'payments'] });
    api = await startApi(shop);
    receiver = await startWebhookReceiver();
  });
  afterAll(async () => {
    await receiver?.close();
    await api?.close();
    await worker?.stop();
    await shop?.close();
  });

  type Approver = ReturnType<typeof makeApprover>;
  type Asked = Awaited<ReturnType<typeof startNotifiedApproval>>;

  /** Starts an approval and waits until the approver has received the mail. */
  async function startNotifiedApproval() {
    const approver = makeApprover();
    const input = makeApproval({ stages: [makeStage(approver)], callbackUrl: receiver.url });
    const handle = await startApproval(shop.client, input);
    await waitForApproval(handle, ({ notifications }) => notifications[0]?.status === 'sent', 'asked');
    return { approver, input, handle, link: await linkTo(approver) };
  }
  async function linkTo(approver: Approver): Promise<string> {
    const [mail] = await shop.fakes.mailbox.mailsTo(approver.email);
    const token = /http:\/\/shop\.test\/approvals\/(\S+)/.exec(mail!.text)![1]!;
    return `${api.url}/approvals/${token}`;
  }
  const resetPointsOf = ({ workflowId }: Pick<ApprovalHandle, 'workflowId'>, runId: string) =>
    resetPoints(shop.client.workflow.getHandle(workflowId, runId));
  /** Resets a run. @returns the id of the new run. */
  async function resetTo(
    { workflowId }: Pick<ApprovalHandle, 'workflowId'>,
    runId: string,
    eventId: number,
  ): Promise<string> {
    const run = await resetRun(shop.client, { workflowId, runId }, eventId);
    return (await run.describe()).runId;
  }
  const latestRun = ({ workflowId }: Pick<ApprovalHandle, 'workflowId'>) =>
    shop.client.workflow.getHandle<typeof approval>(workflowId);
  const outcomesOf = ({ approvalId }: ApprovalInput) =>
    receiver.received
      .map(({ body, headers }) => ({ id: headers['webhook-id'], ...(JSON.parse(body) as { data: ApprovalView }) }))
      .filter(({ data }) => data.approvalId === approvalId);
  const submitDecision = (link: string, decision: 'approve' | 'reject') =>
    fetch(link, { method: 'POST', redirect: 'manual', body: new URLSearchParams({ decision }) });
  const get = async ({ approvalId }: ApprovalInput) =>
    (await api.get<ApprovalResource>(`/v1/approvals/${approvalId}`)).body;

  /** Expects one mail, the decision of the approver, one recorded outcome and one report to the callback URL. */
  async function expectOnce({ approver, input, handle }: Asked, status: ApprovalView['status']) {
    const view = await latestRun(handle).result();
    expect(view).toMatchObject({
      status,
      callbackDelivery: { status: 'delivered' },
      decision: { approver: approver.id },
    });
    expect(await get(input)).toMatchObject({ status, decision: view.decision });
    expect(await shop.fakes.mailbox.mailsTo(approver.email)).toHaveLength(1);
    const outcomes = outcomesOf(input);
    expect(outcomes.map(({ data }) => data.decision)).toEqual([view.decision]);
    const { items } = (await api.get<{ items: unknown[] }>(`/v1/approvals?status=${status}&limit=200`)).body;
    expect(items).toContainEqual(expect.objectContaining({ approvalId: input.approvalId, status }));
    return view;
  }

  test('the mailed link stays valid after a reset to any workflow task before the decision', async () => {
    const { handle: sample } = await startNotifiedApproval();
    const count = (await resetPointsOf(sample, sample.firstExecutionRunId)).length;
    expect(count).toBeGreaterThan(2);
    for (let task = 0; task < count; task += 1) {
      const one = await startNotifiedApproval();
      const tasks = await resetPointsOf(one.handle, one.handle.firstExecutionRunId);
      const runId = await resetTo(one.handle, one.handle.firstExecutionRunId, tasks[task]!);
      expect(runId).not.toBe(one.handle.firstExecutionRunId);
      await waitForApproval(
        latestRun(one.handle),
        ({ notifications }) => notifications[0]?.status === 'sent',
        'notified again',
      );

      const page = await fetch(one.link);
      expect([page.status, await page.text()], `task ${task}`).toEqual([200, expect.stringContaining('May we?')]);
      expect((await submitDecision(one.link, 'approve')).status, `task ${task}`).toBe(303);
      await expectOnce(one, 'approved');
      const again = await fetch(one.link);
      expect(await again.text()).toContain('You have decided');
      expect((await latestRun(one.handle).describe()).runId).toBe(runId);
    }
    await latestRun(sample).terminate();
  });

  test('a decided approval keeps its outcome and reports it once after a reset to any workflow task', async () => {
    const first = await startNotifiedApproval();
    await submitDecision(first.link, 'reject');
    const made = await expectOnce(first, 'rejected');
    const count = (await resetPointsOf(first.handle, first.handle.firstExecutionRunId)).length;
    let runId = first.handle.firstExecutionRunId;
    for (let task = 0; task < count; task += 1) {
      const tasks = await resetPointsOf(first.handle, first.handle.firstExecutionRunId);
      runId = await resetTo(first.handle, first.handle.firstExecutionRunId, tasks[task]!);
      const view = await latestRun(first.handle).result();
      expect(view.decision, `task ${task}`).toEqual(made.decision);
      await expectOnce(first, 'rejected');
    }
    expect((await latestRun(first.handle).describe()).runId).toBe(runId);
  });

  test('the mailed link still accepts a decision after two resets', async () => {
    const one = await startNotifiedApproval();
    const [, second] = await resetPointsOf(one.handle, one.handle.firstExecutionRunId);
    const runId = await resetTo(one.handle, one.handle.firstExecutionRunId, second!);
    await waitForApproval(
      latestRun(one.handle),
      ({ notifications }) => notifications[0]?.status === 'sent',
      'notified again',
    );
    const tasks = await resetPointsOf(one.handle, runId);
    await resetTo(one.handle, runId, tasks.at(-1)!);
    await waitForApproval(
      latestRun(one.handle),
      ({ notifications }) => notifications[0]?.status === 'sent',
      'notified again',
    );
    expect((await submitDecision(one.link, 'reject')).status).toBe(303);
    await expectOnce(one, 'rejected');
  });

  test('keeps the recorded outcome when a reset drops the decision and the approver decides differently', async () => {
    const one = await startNotifiedApproval();
    await submitDecision(one.link, 'approve');
    const made = await expectOnce(one, 'approved');
    const [, second] = await resetPointsOf(one.handle, one.handle.firstExecutionRunId);
    const { workflowId, firstExecutionRunId: runId } = one.handle;
    await resetRun(shop.client, { workflowId, runId }, second!, { without: true });
    const open = latestRun(one.handle);
    await waitForApproval(open, ({ trail }) => trail.length > 0, 'open again');
    expect((await open.query(approvalQuery)).status).toBe('pending');
    const rejected = open.executeUpdate(decideUpdate, { args: [{ approver: one.approver.id, decision: 'reject' }] });
    await expect(rejected).rejects.toMatchObject({ cause: { type: 'AlreadyDecided' } });
    expect((await open.result()).decision).toEqual(made.decision);
    await expectOnce(one, 'approved');
  });

  test('a reset approval still returns its outcome to the order that waits for it', async () => {
    const { sku } = await addProduct(shop.store, { price: { value: ORDER_APPROVAL_THRESHOLD, currency: 'EUR' } });
    const order = makeOrder({ lines: [{ sku, quantity: 1 }] });
    expect((await api.post('/v1/orders', order)).status).toBe(202);
    const workflowId = approvalWorkflowId(`order.${order.orderId}`);
    const child = latestRun({ workflowId });
    const isNotified = async () =>
      await child.query(approvalQuery).then(
        ({ notifications }) => notifications[0]?.status === 'sent' || undefined,
        () => undefined,
      );
    await waitUntil(isNotified, { description: 'the approval of the order', timeoutMs: 20_000 });
    const { runId } = await child.describe();
    const tasks = await resetPointsOf({ workflowId }, runId);
    expect(await resetTo({ workflowId }, runId, tasks[0]!)).not.toBe(runId);
    await waitUntil(isNotified, { description: 'the reopened approval', timeoutMs: 20_000 });
    await child.executeUpdate(decideUpdate, { args: [{ approver: 'shift-lead', decision: 'reject' }] });
    expect(await api.waitForOrderStage(order.orderId, 'done')).toMatchObject({
      status: 'rejected',
      reason: { type: 'ApprovalRejected' },
      approval: { status: 'rejected' },
    });
  });

  test('a terminated approval can be decided after a reset', async () => {
    const one = await startNotifiedApproval();
    const [, second] = await resetPointsOf(one.handle, one.handle.firstExecutionRunId);
    await latestRun(one.handle).terminate();
    const isWithdrawn = async () => {
      const { items } = (await api.get<{ items: ApprovalSummary[] }>('/v1/approvals?status=withdrawn&limit=200')).body;
      return items.some(({ approvalId }) => approvalId === one.input.approvalId) || undefined;
    };
    await waitUntil(isWithdrawn, { description: 'the terminated approval in the list', timeoutMs: 20_000 });
    await resetTo(one.handle, one.handle.firstExecutionRunId, second!);
    expect((await get(one.input)).status).toBe('pending');
    expect((await submitDecision(one.link, 'approve')).status).toBe(303);
    await expectOnce(one, 'approved');
  });

  test('sends one reminder in place of all reminders that were missed during a worker outage', async () => {
    const approver = makeApprover();
    const stage = { approvers: [approver], timeoutSeconds: 31, remindEverySeconds: 1 };
    const handle = await startApproval(shop.client, makeApproval({ stages: [stage] }));
    await waitForApproval(handle, ({ notifications }) => (notifications[0]?.sentCount ?? 0) > 1, 'reminded');
    await worker.stop();
    const before = (await shop.fakes.mailbox.mailsTo(approver.email)).length;
    const stoppedAt = Date.now();
    await waitUntil(() => Date.now() > stoppedAt + 12_000 || undefined, {
      description: 'the outage',
      timeoutMs: 20_000,
    });
    worker = await startWorker(server, shop, { taskQueues: ['approvals', 'orders', 'payments'] });
    await waitForApproval(handle, ({ notifications }) => (notifications[0]?.sentCount ?? 0) > before, 'reminded again');
    await latestRun(handle).executeUpdate(decideUpdate, { args: [{ approver: approver.id, decision: 'approve' }] });
    await latestRun(handle).result();

    const { events } = await handle.fetchHistory();
    const numbers = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => {
      if (scheduled?.activityType?.name !== 'mailApprover') return [];
      const [message] = scheduled.input!.payloads!;
      return (JSON.parse(Buffer.from(message!.data!).toString()) as { reminderNumber: number }).reminderNumber;
    });
    const steps = numbers.slice(1).map((number, n) => number - numbers[n]!);
    expect(Math.max(...steps), `the numbers are ${numbers.join(', ')}`).toBeGreaterThan(8);
    expect(numbers.length).toBeLessThan(before + 5);
    expect(steps.filter((step) => step > 8)).toHaveLength(1);
  });
});
