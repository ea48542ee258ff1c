import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { WorkflowFailedError } from '@temporalio/client';
import { WithStartWorkflowOperation } from '@temporalio/client';
import { type ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest';
import type { ApprovalView, Decision } from '../../../src/schemas/approval.js';
import {
  approvalDueAtAttribute,
  approvalQuery,
  APPROVAL_TASK_QUEUE,
  approvalWorkflowId,
  decideSignal,
  decideUpdate,
  withdrawUpdate,
} from '../../../src/workflows/approval/contract.js';
import type { approval } from '../../../src/workflows/approval/workflow.js';
import { waitUntil } from '../../support/processes.js';
import { createTestActivities, approvalLinks, OUTGOING_WEBHOOK_SECRET } from '../../support/shop/test-activities.js';
import {
  makeApproval,
  makeApprover,
  waitForApproval,
  startApproval,
  makeStage,
  DAY_SECONDS,
  type ApprovalHandle,
} from '../../support/shop/approvals.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { startWebhookReceiver, type WebhookReceiver } from '../../support/network/webhook-receiver.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { beforeAllAndRetries } from '../../support/temporal/before-all-and-retries.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../support/temporal/time-skipping-server.js';
import { rejectionTypeOf } from '../../support/temporal/update-rejections.js';

describeWithTimeSkipping('an approval (time-skipping server)', () => {
  let env: TestWorkflowEnvironment;
  let shop: Shop;
  let receiver: WebhookReceiver;

  beforeAllAndRetries(async () => {
    const server = await startTimeSkippingServer();
    env = server.env;
    shop = await startShop(server, { queues: ['approvals'] });
    return shop.close;
  });
  beforeEach(async () => {
    receiver = await startWebhookReceiver();
  });
  afterEach(async () => {
    await receiver.close();
  });

  /** Runs a worker for approvals on the given task queue until the test ends. */
  async function runWorkerOn(taskQueue: string): Promise<void> {
    const worker = await Worker.create({
      debugMode: true,
      connection: env.nativeConnection,
      taskQueue,
      workflowBundle: { codePath: inject('workflowBundle') },
      activities: createTestActivities(shop),
    });
    const running = worker.run();
    onTestFinished(async () => {
      worker.shutdown();
      await running;
    });
  }
  const mailsTo = ({ email }: { email: string }) => shop.fakes.mailbox.mailsTo(email);
  const mailArrived = (approver: { email: string }) =>
    waitUntil(async () => (await mailsTo(approver))[0], {
      description: `mail to ${approver.email}`,
      timeoutMs: 10_000,
    });
  /**
   * Waits until the first notifications are sent or have failed. If a workflow closes while one of its activities runs,
   * the time-skipping server stops advancing time.
   */
  const waitUntilNotified = (handle: ApprovalHandle) =>
    waitForApproval(
      handle,
      ({ trail, notifications }) => trail.length > 0 && notifications.every(({ status }) => status !== 'sending'),
      'all approvers notified',
    );
  const decide = (handle: ApprovalHandle, decision: Decision) =>
    handle.executeUpdate(decideUpdate, { args: [decision] });

  const HOUR = 3_600;
  const trailEvents = ({ trail }: ApprovalView) => trail.map(({ event }) => event);
  const seconds = (from: string, to: string) => Math.round((Date.parse(to) - Date.parse(from)) / 1000);

  describe('decisions', () => {
    test('records approver, time, channel and comment when an approver approves', async () => {
      const approver = makeApprover();
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage(approver)] }));
      await waitUntilNotified(handle);
      await decide(handle, { approver: approver.id, decision: 'approve', comment: 'go ahead', via: 'api' });
      const view = await handle.result();

      expect(view).toMatchObject({
        status: 'approved',
        decision: { approver: approver.id, decision: 'approve', comment: 'go ahead', via: 'api', stage: 1 },
        notifications: [{ approver: approver.id, channel: 'email', status: 'sent', sentCount: 1 }],
      });
      expect(view.trail).toMatchObject([
        { event: 'requested', approver: 'somebody', stage: 1 },
        { event: 'decided', approver: approver.id, decision: 'approve', comment: 'go ahead', via: 'api', stage: 1 },
      ]);
      expect(view.trail[1]?.at).toBe(view.decision?.at);
    });

    test('records the channel "cli" when an approver rejects by signal', async () => {
      const approver = makeApprover();
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage(approver)] }));
      await waitUntilNotified(handle);
      await handle.signal(decideSignal, { approver: approver.id, decision: 'reject' });

      expect(await handle.result()).toMatchObject({ status: 'rejected', decision: { decision: 'reject', via: 'cli' } });
    });

    test('applies a decision that is signalled with the start, and notifies nobody', async () => {
      const approver = makeApprover();
      const input = makeApproval({ stages: [makeStage(approver)] });
      const handle = await shop.client.workflow.signalWithStart<typeof approval, [Decision]>('approval', {
        workflowId: approvalWorkflowId(input.approvalId),
        taskQueue: APPROVAL_TASK_QUEUE,
        args: [input],
        signal: decideSignal,
        signalArgs: [{ approver: approver.id, decision: 'approve' }],
      });

      expect(await handle.result()).toMatchObject({ status: 'approved', notifications: [] });
      expect(await mailsTo(approver)).toEqual([]);
      expect((await fetchEventSummaries(handle)).map(({ name }) => name)).not.toContain('mailApprover');
    });

    test('after a decision, accepts the same decision again and rejects any other decision', async () => {
      const [first, second] = [makeApprover(), makeApprover()];
      receiver.respondWith(500);
      const handle = await startApproval(
        shop.client,
        makeApproval({ stages: [makeStage(first, second)], callbackUrl: receiver.url }),
      );
      await waitUntilNotified(handle);
      const decision: Decision = { approver: first.id, decision: 'approve' };
      const { decision: made } = await decide(handle, decision);

      expect((await decide(handle, { ...decision, comment: 'again' })).decision).toEqual(made);
      expect(await rejectionTypeOf(decide(handle, { ...decision, decision: 'reject' }))).toBe('AlreadyDecided');
      expect(await rejectionTypeOf(decide(handle, { approver: second.id, decision: 'approve' }))).toBe(
        'AlreadyDecided',
      );
      expect(await rejectionTypeOf(handle.executeUpdate(withdrawUpdate, { args: [{}] }))).toBe('AlreadyDecided');
      receiver.respondWith(204);
      const view = await handle.result();
      expect(view).toMatchObject({ status: 'approved', decision: made });
      expect(view.trail).toMatchObject([
        { event: 'requested' },
        { event: 'decided' },
        { event: 'commented', approver: first.id, decision: 'approve', comment: 'again' },
      ]);
    });

    test.each([
      ['a caller who is not an approver', 'NotAnApprover', { approver: 'stranger' }],
      ['an approver of a later stage', 'NotAnApprover', { approver: 'later' }],
      ['the requester', 'SelfApproval', { approver: 'somebody' }],
      ['a person via webhook', 'NotAnApprover', { approver: 'now', via: 'webhook' as const }],
      ['an approver for a stage that is not current', 'StagePassed', { approver: 'now', stage: 2 }],
    ])('rejects a decision by %s as %s and changes nothing', async (_caller, rejection, decision) => {
      const now = { id: 'now' };
      const handle = await startApproval(
        shop.client,
        makeApproval({ stages: [makeStage(now, { id: 'somebody' }), makeStage({ id: 'later' })] }),
      );
      await waitForApproval(handle, ({ trail }) => trail.length > 0, 'requested');

      expect(await rejectionTypeOf(decide(handle, { decision: 'approve', ...decision }))).toBe(rejection);
      await handle.signal(decideSignal, { decision: 'approve', ...decision });
      const view = await waitForApproval(handle, ({ trail }) => trail.length === 2, 'the signal arrived');
      expect(view).toMatchObject({ status: 'pending', stage: 1 });
      expect(view.decision).toBeUndefined();
      expect(view.trail[1]).toMatchObject({
        event: 'ignored',
        approver: decision.approver,
        reason: { type: rejection },
      });
      await decide(handle, { approver: 'now', decision: 'reject' });
      expect(await handle.result()).toMatchObject({ status: 'rejected' });
    });

    test('rejects malformed decisions sent as updates, and ignores malformed decisions sent as signals', async () => {
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage({ id: 'now' })] }));
      await waitForApproval(handle, ({ trail }) => trail.length > 0, 'requested');
      const malformed = [
        undefined,
        null,
        'approve',
        [],
        {},
        { approver: 'now' },
        { approver: 1, decision: 'approve' },
        { approver: 'now', decision: 'maybe' },
        { approver: 'now', decision: 'approve', comment: 'x'.repeat(1_001) },
        { approver: 'now', decision: 'approve', via: 'dream' },
        { approver: 'now', decision: 'approve', stage: 'first' },
        { approver: 'now', decision: 'approve', admin: true },
        { approver: 'x'.repeat(121), decision: 'approve' },
      ] as Decision[];
      for (const decision of malformed) {
        expect(await rejectionTypeOf(decide(handle, decision)), JSON.stringify(decision)).toBe('InvalidInput');
        await handle.signal(decideSignal, decision);
      }
      const view = await waitForApproval(handle, ({ trail }) => trail.length > malformed.length, 'all signals arrived');
      expect(view.status).toBe('pending');
      await decide(handle, { approver: 'now', decision: 'approve' });
      expect(await handle.result()).toMatchObject({ status: 'approved' });
    });

    test('after signals with very long field names, the approval can still be read and decided', async () => {
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage({ id: 'now' })] }));
      for (let count = 0; count < 3; count += 1) {
        await handle.signal(decideSignal, { [`${count}${'k'.repeat(1_500_000)}`]: 1 } as unknown as Decision);
      }
      const view = await waitForApproval(handle, ({ trail }) => trail.length > 3, 'the signals arrived');
      expect(JSON.stringify(view).length).toBeLessThan(5_000);
      await decide(handle, { approver: 'now', decision: 'approve' });
      expect(await handle.result()).toMatchObject({ status: 'approved' });
    });

    test('does not notify a requester who is also an approver', async () => {
      const [asker, other] = [makeApprover(), makeApprover()];
      const handle = await startApproval(
        shop.client,
        makeApproval({ requestedBy: asker.id, stages: [makeStage(asker, other)] }),
      );
      await waitForApproval(handle, ({ notifications }) => notifications[0]?.status === 'sent', 'an approver notified');
      expect((await waitUntilNotified(handle)).notifications.map(({ approver }) => approver)).toEqual([other.id]);
      await decide(handle, { approver: other.id, decision: 'approve' });
      await handle.result();
    });

    test('the trail keeps at most 20 ignored signals', async () => {
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage({ id: 'now' })] }));
      for (let count = 0; count < 30; count += 1) {
        await handle.signal(decideSignal, { approver: 'stranger', decision: 'approve' });
      }
      await waitForApproval(handle, ({ trail }) => trail.length > 20, 'the signals arrived');
      await decide(handle, { approver: 'now', decision: 'approve' });
      const view = await handle.result();
      expect(trailEvents(view).filter((event) => event === 'ignored')).toHaveLength(20);
      expect(view.trail.at(-1)?.event).toBe('decided');
    });
  });

  describe('timeouts', () => {
    test('notifies each approver, sends daily reminders, and times out after three stages of ten days', async () => {
      const people = [makeApprover('lead'), makeApprover('manager'), makeApprover('director')];
      const stages = people.map((approver) => ({ ...makeStage(approver), remindEverySeconds: DAY_SECONDS }));
      const handle = await startApproval(shop.client, makeApproval({ stages }));
      const view = await handle.result();

      expect(view).toMatchObject({ status: 'timed_out', stage: 3, stages: 3 });
      expect(view.decision).toBeUndefined();
      expect(trailEvents(view)).toEqual(['requested', 'escalated', 'escalated', 'timed_out']);
      const [notified, ...later] = view.trail.map(({ at }) => at);
      expect(later.map((at) => Math.round(seconds(notified!, at) / DAY_SECONDS))).toEqual([10, 20, 30]);
      for (const [index, approver] of people.entries()) {
        const subjects = (await mailsTo(approver)).map(({ subject }) => subject);
        expect(subjects).toEqual(['Please decide: May we?', ...Array<string>(9).fill('Reminder: May we?')]);
        const ids = (await mailsTo(approver)).map(({ messageId }) => messageId);
        expect(new Set(ids).size, 'each message has its own id').toBe(10);
        expect(view.notifications[index]).toMatchObject({ stage: index + 1, status: 'sent', sentCount: 10 });
      }
    });

    test.each(['approved', 'rejected', 'timed_out'] as const)(
      'an approval that times out ends as %s if onTimeout has this value',
      async (onTimeout) => {
        const handle = await startApproval(
          shop.client,
          makeApproval({ stages: [makeStage({ id: 'now' })], onTimeout }),
        );
        const view = await handle.result();
        expect(view).toMatchObject({ status: onTimeout });
        expect(view.decision).toBeUndefined();
        expect(trailEvents(view)).toEqual(['requested', 'timed_out']);
      },
    );

    test('shows what happens if nobody decides, without the requester, until the approval is closed', async () => {
      const handle = await startApproval(
        shop.client,
        makeApproval({
          requestedBy: 'boss',
          onTimeout: 'rejected',
          stages: [
            { approvers: [{ id: 'lead' }], timeoutSeconds: 3 },
            makeStage({ id: 'boss' }),
            makeStage({ id: 'boss' }, { id: 'manager' }),
          ],
        }),
      );
      const { ifUndecided } = await waitForApproval(handle, ({ trail }) => trail.length > 0, 'the first stage');
      const second = await waitForApproval(handle, ({ stage }) => stage === 3, 'the last stage');
      const decided = await decide(handle, { approver: 'manager', decision: 'approve' });

      expect(ifUndecided).toEqual({ nextApprovers: ['manager'] });
      expect(second.ifUndecided).toEqual({ outcome: 'rejected' });
      expect(decided).not.toHaveProperty('ifUndecided');
    });

    test('rejects a decision by a first-stage approver during the second stage', async () => {
      const [lead, manager] = [makeApprover(), makeApprover()];
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage(lead), makeStage(manager)] }));
      await env.sleep((10 * DAY_SECONDS + 60) * 1000);
      await waitForApproval(handle, ({ stage }) => stage === 2, 'is escalated');
      const notified = await waitUntilNotified(handle);
      expect(notified).toMatchObject({ approvers: [manager.id], status: 'pending' });

      const late: Decision = { approver: lead.id, decision: 'approve' };
      expect(await rejectionTypeOf(decide(handle, late))).toBe('NotAnApprover');
      expect(await rejectionTypeOf(decide(handle, { ...late, via: 'link', stage: 1 }))).toBe('StagePassed');
      await decide(handle, { approver: manager.id, decision: 'approve', via: 'link', stage: 2 });
      expect(await handle.result()).toMatchObject({ status: 'approved', decision: { stage: 2, approver: manager.id } });
    });
  });

  test('ApprovalDueAt keeps the deadline of the first stage after an escalation', async () => {
    const handle = await startApproval(
      shop.client,
      makeApproval({ stages: [makeStage(makeApprover()), makeStage(makeApprover())] }),
    );
    const { deadline } = await waitUntilNotified(handle);
    const dueAt = async () =>
      (await handle.describe()).typedSearchAttributes.get(approvalDueAtAttribute)?.toISOString();
    expect(await dueAt()).toBe(deadline);

    await env.sleep((10 * DAY_SECONDS + 60) * 1000);
    await waitForApproval(handle, ({ stage }) => stage === 2, 'is escalated');
    expect(await dueAt()).toBe(deadline);
    await handle.result();
    expect(await dueAt()).toBe(deadline);
  });

  describe('a stage whose only approver is the requester', () => {
    test('an approval skips a first stage whose only approver is the requester', async () => {
      const [own, other] = [makeApprover(), makeApprover()];
      const input = makeApproval({ requestedBy: own.id, stages: [makeStage(own), makeStage(other, own)] });
      const handle = await startApproval(shop.client, input);
      const view = await waitUntilNotified(handle);
      expect(view).toMatchObject({ stage: 2, stages: 2, approvers: [other.id] });
      expect(view.notifications.map(({ approver }) => approver)).toEqual([other.id]);
      expect(view.trail).toMatchObject([
        { event: 'requested', approver: own.id, stage: 1 },
        { event: 'skipped', stage: 1 },
      ]);
      expect(await rejectionTypeOf(decide(handle, { approver: own.id, decision: 'approve' }))).toBe('SelfApproval');
      await decide(handle, { approver: other.id, decision: 'approve' });
      expect(await handle.result()).toMatchObject({ status: 'approved', decision: { stage: 2 } });
    });

    test('an approval skips a middle or last stage whose only approver is the requester', async () => {
      const own = { id: 'somebody' };
      const stages = [makeStage({ id: 'a' }), makeStage(own), makeStage({ id: 'b' }), makeStage(own)];
      const handle = await startApproval(shop.client, makeApproval({ stages }));
      const view = await handle.result();
      expect(view.trail.map(({ event, stage }) => `${event} ${stage}`)).toEqual([
        'requested 1',
        'skipped 2',
        'escalated 3',
        'skipped 4',
        'timed_out 3',
      ]);
    });
  });

  describe('a reused approval id', () => {
    test('a second request with the same id and content returns the recorded outcome and notifies nobody', async () => {
      const approver = makeApprover();
      const input = makeApproval({ stages: [makeStage(approver)], callbackUrl: receiver.url });
      const first = await startApproval(shop.client, input);
      await waitUntilNotified(first);
      await decide(first, { approver: approver.id, decision: 'reject', comment: 'no' });
      const made = await first.result();
      const { amount: _none, ...sameContent } = { ...input, amount: undefined };
      const second = await startApproval(
        shop.client,
        Object.fromEntries(Object.entries(sameContent).reverse()) as typeof input,
      );

      expect(second.firstExecutionRunId).not.toBe(first.firstExecutionRunId);
      expect(await second.result()).toEqual(made);
      expect(await mailsTo(approver)).toHaveLength(1);
      expect(receiver.received).toHaveLength(1);
    });

    test('rejects a second request with the same id and different content', async () => {
      const input = makeApproval({ stages: [makeStage({ id: 'now' })] });
      const first = await startApproval(shop.client, input);
      await decide(first, { approver: 'now', decision: 'approve' });
      await first.result();
      const second = await startApproval(shop.client, { ...input, title: 'Something else?' });
      await expect(second.result()).rejects.toMatchObject({ cause: { type: 'ApprovalIdTaken' } });
    });
  });

  describe('withdrawal', () => {
    /**
     * Starts an approval, with `decision` as a signal if given, and cancels it before its first workflow task. Returns
     * when the approval is closed. Only its worker can answer a query.
     */
    async function cancelledAtOnce(decision?: Decision): Promise<ApprovalHandle> {
      const input = makeApproval({ stages: [makeStage({ id: 'now' })], callbackUrl: receiver.url });
      const workflowId = approvalWorkflowId(input.approvalId);
      const start = { workflowId, taskQueue: workflowId, args: [input] as [typeof input] };
      const handle = decision
        ? await shop.client.workflow.signalWithStart<typeof approval, [Decision]>('approval', {
            ...start,
            signal: decideSignal,
            signalArgs: [decision],
          })
        : await shop.client.workflow.start<typeof approval>('approval', start);
      await handle.cancel();
      await runWorkerOn(workflowId);
      await handle.result().catch(() => undefined);
      return handle as ApprovalHandle;
    }

    test('withdraws and reports an approval that is cancelled before its first workflow task', async () => {
      const handle = await cancelledAtOnce();
      expect((await handle.describe()).status.name).toBe('CANCELLED');
      expect(await handle.query(approvalQuery)).toMatchObject({
        status: 'withdrawn',
        callbackDelivery: { status: 'delivered' },
      });
    });

    test('a cancelled approval keeps a decision that arrived before the cancellation', async () => {
      const handle = await cancelledAtOnce({ approver: 'now', decision: 'approve' });
      expect(await handle.result()).toMatchObject({ status: 'approved', callbackDelivery: { status: 'delivered' } });
    });

    test('records the request before the withdrawal when an update-with-start withdraws the approval', async () => {
      const input = makeApproval({ stages: [makeStage({ id: 'now' })] });
      const startWorkflowOperation = new WithStartWorkflowOperation<typeof approval>('approval', {
        workflowId: approvalWorkflowId(input.approvalId),
        taskQueue: APPROVAL_TASK_QUEUE,
        args: [input],
        workflowIdConflictPolicy: 'FAIL',
      });
      await shop.client.workflow.executeUpdateWithStart(withdrawUpdate, { args: [{}], startWorkflowOperation });
      const view = await (await startWorkflowOperation.workflowHandle()).result();
      expect(trailEvents(view)).toEqual(['requested', 'withdrawn']);
    });

    test('a withdrawn approval has the status "withdrawn" and the reason of the withdrawal', async () => {
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage({ id: 'now' })] }));
      await handle.executeUpdate(withdrawUpdate, { args: [{ reason: 'no longer needed' }] });
      const view = await handle.result();
      expect(view).toMatchObject({ status: 'withdrawn', withdrawal: { reason: 'no longer needed' } });
      expect(trailEvents(view)).toEqual(['requested', 'withdrawn']);
    });

    test('a workflow cancellation withdraws the approval, reports the outcome and closes the workflow as Cancelled', async () => {
      const handle = await startApproval(
        shop.client,
        makeApproval({ stages: [makeStage({ id: 'now' })], callbackUrl: receiver.url }),
      );
      await waitForApproval(handle, ({ trail }) => trail.length > 0, 'requested');
      await handle.cancel();
      const failure = await handle.result().catch((error: unknown) => error);
      expect((failure as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure);
      expect(await handle.query(approvalQuery)).toMatchObject({
        status: 'withdrawn',
        callbackDelivery: { status: 'delivered' },
      });
      expect(receiver.received).toHaveLength(1);
      expect(JSON.parse(receiver.received[0]!.body)).toMatchObject({
        data: { status: 'withdrawn', withdrawal: { at: expect.any(String) } },
      });
    });
  });

  describe('notifications', () => {
    test('mails a link that is valid for one approver, stage and run', async () => {
      const approver = makeApprover();
      const input = makeApproval({
        stages: [makeStage(approver)],
        title: 'Buy <b>it</b>?',
        description: 'Please.\nThanks.',
      });
      const handle = await startApproval(shop.client, input);
      await waitUntilNotified(handle);
      const mail = await mailArrived(approver);

      expect(mail).toMatchObject({ subject: 'Please decide: Buy <b>it</b>?', to: [approver.email] });
      expect(mail.text).toContain('Please.\nThanks.');
      expect(mail.html).toContain('Buy &lt;b&gt;it&lt;/b&gt;?');
      const token = /http:\/\/shop\.test\/approvals\/(\S+)/.exec(mail.text)?.[1] ?? '';
      expect(mail.html).toContain(`href="http://shop.test/approvals/${token}"`);
      const consequence = /If nobody decides by \d{4}-\d\d-\d\d \d\d:\d\d UTC, the request closes without a decision\./;
      for (const part of [mail.text, mail.html]) expect(part).toMatch(consequence);
      const { firstExecutionRunId: firstRunId } = handle;
      const link = { approvalId: input.approvalId, firstRunId, stage: 1, approver: approver.id };
      expect(await approvalLinks.verify(token)).toEqual({ link, isExpired: false });
      await decide(handle, { approver: approver.id, decision: 'approve' });
    });

    test('accepts a decision while a failed mail is being retried', async () => {
      const [unavailable, later, other] = [makeApprover(), makeApprover(), makeApprover()];
      shop.fakes.mailbox.addFault(unavailable.email, { code: 451, times: -1 });
      shop.fakes.mailbox.addFault(later.email, { code: 451, times: 2 });
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage(unavailable, later, other)] }));
      await mailArrived(later);
      const before = await waitForApproval(
        handle,
        ({ notifications: [, second, third] }) => second?.status === 'sent' && third?.status === 'sent',
        'the others notified',
      );
      expect(before.notifications[0]).toMatchObject({ approver: unavailable.id, status: 'sending', sentCount: 0 });

      await decide(handle, { approver: other.id, decision: 'approve' });
      const view = await handle.result();
      expect(view.status).toBe('approved');
      expect(view.notifications).toMatchObject([
        { approver: unavailable.id, status: 'failed', sentCount: 0, reason: { type: 'NoLongerNeeded' } },
        { approver: later.id, status: 'sent', sentCount: 1 },
        { approver: other.id, status: 'sent', sentCount: 1 },
      ]);
    });

    test('sends no reminder to an approver whose first mail is not delivered', async () => {
      const unavailable = makeApprover();
      shop.fakes.mailbox.addFault(unavailable.email, { code: 451, times: -1 });
      const stage = { approvers: [unavailable], timeoutSeconds: 3 * HOUR, remindEverySeconds: HOUR };
      const handle = await startApproval(shop.client, makeApproval({ stages: [stage] }));
      const view = await handle.result();

      expect(view).toMatchObject({ status: 'timed_out', notifications: [{ status: 'failed', sentCount: 0 }] });
      const scheduled = (await fetchEventSummaries(handle)).filter(({ name }) => name === 'mailApprover');
      expect(scheduled).toHaveLength(1);
    });

    test('every activity and every timer of an approval has a summary', async () => {
      const approver = makeApprover();
      const stage = { approvers: [approver], timeoutSeconds: 3 * HOUR, remindEverySeconds: HOUR };
      const handle = await startApproval(
        shop.client,
        makeApproval({ stages: [stage, stage], callbackUrl: receiver.url }),
      );
      await handle.result();
      const { events: history } = await handle.fetchHistory();
      const summaries = (history ?? []).flatMap((event) => {
        if (!event.activityTaskScheduledEventAttributes && !event.timerStartedEventAttributes) return [];
        const { data } = event.userMetadata?.summary ?? {};
        return data ? (JSON.parse(Buffer.from(data).toString()) as string) : 'none';
      });
      expect(new Set(summaries)).toEqual(
        new Set([
          'Check and record the request',
          'Record the stage',
          'Record the outcome',
          'Start the report of the outcome',
          'Report the outcome',
          `Ask ${approver.id} by email`,
          `Reminder 1 to ${approver.id} by email`,
          `Reminder 2 to ${approver.id} by email`,
          'Reminder 1',
          'Reminder 2',
          'End of stage 1',
          'End of stage 2',
        ]),
      );
    });

    test('the approval shows an address that the mail server rejects, and still notifies the other approvers', async () => {
      const [unknown, known] = [makeApprover(), makeApprover()];
      shop.fakes.mailbox.addFault(unknown.email, { code: 550, times: -1 });
      const handle = await startApproval(shop.client, makeApproval({ stages: [makeStage(unknown, known)] }));
      await mailArrived(known);
      const view = await waitUntilNotified(handle);
      expect(view.notifications[0]?.reason).toMatchObject({ type: 'MailRejected' });
      await decide(handle, { approver: known.id, decision: 'approve' });
      expect(await handle.result()).toMatchObject({ status: 'approved' });
    });

    test('sends a signed webhook to a system approver and accepts its decision via webhook', async () => {
      const handle = await startApproval(
        shop.client,
        makeApproval({ stages: [makeStage({ id: 'robot', webhookUrl: receiver.url })] }),
      );
      await waitForApproval(handle, ({ notifications }) => notifications[0]?.status === 'sent', 'the system notified');
      const [{ body, headers }] = receiver.received as [(typeof receiver.received)[number]];
      expect(new Webhook(OUTGOING_WEBHOOK_SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
        type: 'approval.requested',
        data: { approvalId: handle.workflowId.replace('approval:', ''), approver: 'robot', stage: 1, title: 'May we?' },
      });
      await handle.signal(decideSignal, { approver: 'robot', decision: 'reject', via: 'webhook' });
      expect(await handle.result()).toMatchObject({ status: 'rejected', decision: { via: 'webhook' } });
    });
  });

  describe('the outcome webhook', () => {
    const approved = async (callbackUrl: string) => {
      const handle = await startApproval(
        shop.client,
        makeApproval({ stages: [makeStage({ id: 'now' })], callbackUrl }),
      );
      await decide(handle, { approver: 'now', decision: 'approve', comment: 'fine' });
      return handle;
    };

    test('sends one signed report of the outcome to the callback URL', async () => {
      const handle = await approved(receiver.url);
      expect(await handle.result()).toMatchObject({ status: 'approved', callbackDelivery: { status: 'delivered' } });
      expect(receiver.received).toHaveLength(1);
      const { body, headers } = receiver.received[0]!;
      expect(new Webhook(OUTGOING_WEBHOOK_SECRET).verify(body, headers as Record<string, string>)).toMatchObject({
        type: 'approval.decided',
        data: { status: 'approved', decision: { approver: 'now', comment: 'fine' } },
      });
    });

    test('retries the outcome webhook for a day if the receiver returns 503, then shows the delivery as failed', async () => {
      receiver.respondWith(503);
      const handle = await approved(receiver.url);
      const view = await handle.result();
      expect(view).toMatchObject({ status: 'approved', callbackDelivery: { status: 'failed' } });
      const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
      expect(new Set(ids).size).toBe(1);
      // Retry delays: 5 s, 15 s, 45 s, 135 s, 405 s, 1,215 s, then one hour for the rest of the day.
      expect(ids.length).toBeGreaterThan(20);
      expect(ids.length).toBeLessThan(40);
    });

    test('calls a receiver that returns 410 only once, and keeps the outcome', async () => {
      receiver.respondWith(410);
      const handle = await approved(receiver.url);
      expect(await handle.result()).toMatchObject({
        status: 'approved',
        callbackDelivery: { status: 'failed', reason: { type: 'ReceiverGone' } },
      });
      expect(receiver.received).toHaveLength(1);
    });
  });

  describe('invalid input', () => {
    const stage = makeStage({ id: 'now' });
    test('an approval with thousands of unknown fields fails and lists only the first 100 problems', async () => {
      const input = makeApproval({ stages: [stage] });
      const wrong = Object.fromEntries(Array.from({ length: 15_000 }, (_, index) => [`k${index}${'x'.repeat(60)}`, 1]));
      const handle = await startApproval(shop.client, { ...input, ...wrong });
      const error: unknown = await handle.result().catch((failure: unknown) => failure);
      const { details } = (error as WorkflowFailedError).cause as ApplicationFailure;
      expect(details?.[0]).toHaveLength(101);
      expect((details?.[0] as unknown[])[100]).toEqual({ pointer: '', detail: 'and 14900 more problems' });
    });

    test.each<[what: string, change: Record<string, unknown>, pointer: string]>([
      ['no stages', { stages: [] }, '/stages'],
      ['no approver except the requester', { stages: [makeStage({ id: 'somebody' })] }, '/stages'],
      ['a stage without approvers', { stages: [{ ...stage, approvers: [] }] }, '/stages/0/approvers'],
      ['a duplicate approver', { stages: [makeStage({ id: 'a' }, { id: 'a' })] }, '/stages/0/approvers'],
      ['too many stages', { stages: Array(6).fill(stage) }, '/stages'],
      ['too many reminders', { stages: [{ ...stage, remindEverySeconds: 60 }] }, '/stages/0/remindEverySeconds'],
      ['a timeout of zero', { stages: [{ ...stage, timeoutSeconds: 0 }] }, '/stages/0/timeoutSeconds'],
      ['no title', { title: '' }, '/title'],
      ['an unknown currency', { amount: { value: 1, currency: 'ABC' } }, '/amount/currency'],
      ['an unknown field', { admin: true }, '/admin'],
      ['a callback URL with the file scheme', { callbackUrl: 'file:///etc/passwd' }, '/callbackUrl'],
      [
        'a webhook URL with the file scheme',
        { stages: [makeStage({ id: 'a', webhookUrl: 'file:///x' })] },
        '/stages/0/approvers/0/webhookUrl',
      ],
      ['a callback URL with a password', { callbackUrl: 'http://user:pw@example.com/' }, '/callbackUrl'],
      ["another approval's id", { approvalId: 'another' }, '/approvalId'],
    ])('an approval with %s fails at once with a pointer to the field', async (_description, change, pointer) => {
      const input = makeApproval({ stages: [stage] });
      const handle = await shop.client.workflow.start<typeof approval>('approval', {
        workflowId: approvalWorkflowId(input.approvalId),
        taskQueue: APPROVAL_TASK_QUEUE,
        args: [{ ...input, ...change }],
      });
      const failure = await handle.result().then(
        () => undefined,
        (error: WorkflowFailedError) => error.cause,
      );
      expect(failure).toMatchObject({ type: 'InvalidInput', details: [[{ pointer }]] });
    });
  });
});
