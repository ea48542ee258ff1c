import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import type { ApprovalInput } from '../../../src/schemas/approval.js';
import { decideSignal, decideUpdate, withdrawUpdate } from '../../../src/workflows/approval/contract.js';
import {
  makeApproval,
  makeApprover,
  makeStage,
  startApproval,
  waitForApproval,
  type ApprovalHandle,
} from '../../support/shop/approvals.js';
import { ANNA, BEN, buttonsOf, slackMessagesOf, textOf, waitForSlackMessage } from '../../support/shop/slack.js';
import { waitUntil } from '../../support/processes.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { beforeAllAndRetries } from '../../support/temporal/before-all-and-retries.js';
import { fetchEventSummaries } from '../../support/temporal/event-summaries.js';
import { describeWithTimeSkipping, startTimeSkippingServer } from '../../support/temporal/time-skipping-server.js';

const HOUR = 3_600;

describeWithTimeSkipping('an approval with approvers in Slack (time-skipping server)', () => {
  let shop: Shop;

  beforeAllAndRetries(async () => {
    shop = await startShop(await startTimeSkippingServer(), { queues: ['approvals'] });
    return shop.close;
  });
  afterEach(() => shop.fakes.slack.faults.clear());

  const makeSlackApproval = (overrides: Partial<ApprovalInput> = {}): ApprovalInput =>
    makeApproval({ title: `May we? ${randomUUID()}`, stages: [makeStage({ id: ANNA.id })], ...overrides });
  const messagesOf = (input: ApprovalInput) => slackMessagesOf(shop.fakes, input);
  const notified = (handle: ApprovalHandle) =>
    waitForApproval(
      handle,
      ({ notifications }) => notifications.length > 0 && notifications.every(({ status }) => status !== 'sending'),
      'the approvers being notified',
    );

  const waitForCancelledMessage = (handle: ApprovalHandle) =>
    waitUntil(
      async () =>
        (await fetchEventSummaries(handle)).some(({ type }) => type === 'ActivityTaskCancelRequested') || undefined,
      { description: 'the message being cancelled', timeoutMs: 10_000 },
    );

  test('asks in Slack, and shows the outcome of a decision by Slack', async () => {
    const input = makeSlackApproval();
    const handle = await startApproval(shop.client, input);
    await notified(handle);
    expect(messagesOf(input).map(buttonsOf)).toEqual([['Approve', 'Reject', 'Decide with a comment']]);
    await handle.signal(decideSignal, {
      approver: ANNA.id,
      decision: 'approve',
      comment: 'go',
      via: 'slack',
      stage: 1,
    });

    const view = await handle.result();
    expect(view).toMatchObject({
      status: 'approved',
      decision: { approver: ANNA.id, via: 'slack', comment: 'go' },
      notifications: [{ approver: ANNA.id, channel: 'slack', status: 'sent', sentCount: 1 }],
    });
    const [message] = messagesOf(input);
    expect(buttonsOf(message!)).toEqual([]);
    expect(textOf(message!)).toContain(`Approved by ${ANNA.id}`);
    expect(textOf(message!)).toContain('go');
  });

  test('an approver with an e-mail address and a Slack user gets both messages', async () => {
    const { email } = makeApprover();
    const input = makeSlackApproval({ stages: [makeStage({ id: ANNA.id, email })] });
    const handle = await startApproval(shop.client, input);
    const { notifications } = await notified(handle);
    expect(notifications.map(({ channel, status }) => [channel, status])).toEqual([
      ['email', 'sent'],
      ['slack', 'sent'],
    ]);
    expect(await shop.fakes.mailbox.mailsTo(email)).toHaveLength(1);
    expect(messagesOf(input)).toHaveLength(1);
    await handle.executeUpdate(withdrawUpdate, { args: [{}] });
    await handle.result();
  });

  test('shows the outcome of every approver when another channel decides', async () => {
    const input = makeSlackApproval({ stages: [makeStage({ id: ANNA.id }, { id: BEN.id }, { id: 'lead' })] });
    const handle = await startApproval(shop.client, input);
    await notified(handle);
    await handle.executeUpdate(decideUpdate, { args: [{ approver: 'lead', decision: 'reject', via: 'api' }] });
    await handle.result();

    const messages = messagesOf(input);
    expect(messages.map(({ user }) => user).sort()).toEqual([ANNA.slackUser, BEN.slackUser]);
    for (const message of messages) {
      expect(buttonsOf(message)).toEqual([]);
      expect(textOf(message)).toContain('Rejected by lead');
    }
  });

  test('shows a withdrawal', async () => {
    const input = makeSlackApproval();
    const handle = await startApproval(shop.client, input);
    await notified(handle);
    await handle.executeUpdate(withdrawUpdate, { args: [{ reason: 'not needed' }] });
    await handle.result();
    expect(messagesOf(input).map(buttonsOf)).toEqual([[]]);
    expect(textOf(messagesOf(input)[0]!)).toContain('Withdrawn: not needed');
  });

  test('shows the outcome in a message that is still being sent when the approval is decided', async () => {
    const input = makeSlackApproval();
    const release = shop.fakes.slack.holdResponses('chat.postMessage');
    const handle = await startApproval(shop.client, input);
    await waitForSlackMessage(shop.fakes, input);
    await handle.signal(decideSignal, { approver: ANNA.id, decision: 'approve' });
    await waitForCancelledMessage(handle);
    release();

    expect(await handle.result()).toMatchObject({
      status: 'approved',
      notifications: [{ channel: 'slack', status: 'sent', sentCount: 1 }],
    });
    expect(messagesOf(input).map(buttonsOf)).toEqual([[]]);
    expect(textOf(messagesOf(input)[0]!)).toContain(`Approved by ${ANNA.id}`);
  });

  test('removes the buttons from a message that is still being sent when its stage ends', async () => {
    const input = makeSlackApproval({
      stages: [{ timeoutSeconds: 1, approvers: [{ id: ANNA.id }] }, makeStage({ id: BEN.id })],
    });
    const release = shop.fakes.slack.holdResponses('chat.postMessage');
    const handle = await startApproval(shop.client, input);
    const message = await waitForSlackMessage(shop.fakes, input);
    await waitForCancelledMessage(handle);
    release();
    await waitForSlackMessage(shop.fakes, input, { slackUser: BEN.slackUser });

    await waitUntil(async () => buttonsOf(message).length === 0 || undefined, {
      description: 'the buttons of the first stage being removed',
      timeoutMs: 10_000,
    });
    expect(textOf(message)).toContain(`The request went to ${BEN.id}`);
    await handle.executeUpdate(withdrawUpdate, { args: [{}] });
    await handle.result();
  });

  test('a cancelled approval shows the withdrawal, and not the next stage', async () => {
    const input = makeSlackApproval({ stages: [makeStage({ id: ANNA.id }), makeStage({ id: BEN.id })] });
    const handle = await startApproval(shop.client, input);
    await notified(handle);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect(messagesOf(input)).toMatchObject([{ user: ANNA.slackUser, updateCount: 1 }]);
    expect(textOf(messagesOf(input)[0]!)).toContain('Withdrawn');
  });

  test('reminds in the thread, escalates, and shows the timeout in the messages of both stages', async () => {
    const stage = { timeoutSeconds: 3 * HOUR, remindEverySeconds: HOUR };
    const input = makeSlackApproval({
      stages: [
        { ...stage, approvers: [{ id: ANNA.id }] },
        { ...stage, approvers: [{ id: BEN.id }] },
      ],
    });
    const view = await (await startApproval(shop.client, input)).result();

    expect(view).toMatchObject({
      status: 'timed_out',
      notifications: [
        { stage: 1, approver: ANNA.id, channel: 'slack', sentCount: 3 },
        { stage: 2, approver: BEN.id, channel: 'slack', sentCount: 3 },
      ],
    });
    const messages = messagesOf(input);
    const requests = messages.filter(({ threadTs }) => threadTs === undefined);
    expect(requests.map(({ user, updateCount }) => [user, updateCount])).toEqual([
      [ANNA.slackUser, 2],
      [BEN.slackUser, 1],
    ]);
    for (const request of requests) {
      expect(buttonsOf(request)).toEqual([]);
      expect(textOf(request)).toContain('Closed without a decision');
      expect(messages.filter(({ threadTs }) => threadTs === request.ts)).toHaveLength(2);
    }
  });

  test('a decision before the first message asks nobody in Slack', async () => {
    const input = makeSlackApproval();
    const handle = await shop.client.workflow.signalWithStart('approval', {
      workflowId: `approval:${input.approvalId}`,
      taskQueue: 'approvals',
      args: [input],
      signal: decideSignal,
      signalArgs: [{ approver: ANNA.id, decision: 'approve' }],
    });
    expect(await handle.result()).toMatchObject({ status: 'approved', notifications: [] });
    expect(messagesOf(input)).toEqual([]);
  });

  test('a rate limit delays the message, and a final error is shown as a failed notification', async () => {
    shop.fakes.slack.faults.add({ on: 'chat.postMessage', fault: 'ratelimited', retryAfter: 1 });
    const limited = makeSlackApproval();
    const first = await startApproval(shop.client, limited);
    expect((await notified(first)).notifications).toMatchObject([{ channel: 'slack', status: 'sent' }]);
    await first.executeUpdate(withdrawUpdate, { args: [{}] });
    await first.result();

    shop.fakes.slack.faults.add({ on: 'chat.postMessage', fault: 'channel_not_found' });
    const second = await startApproval(shop.client, makeSlackApproval());
    expect((await notified(second)).notifications).toMatchObject([
      { channel: 'slack', status: 'failed', reason: { type: 'SlackRejected' } },
    ]);
    await second.executeUpdate(decideUpdate, { args: [{ approver: ANNA.id, decision: 'approve' }] });
    expect(await second.result()).toMatchObject({ status: 'approved' });
  });

  test('a message that cannot be updated does not change the outcome', async () => {
    const input = makeSlackApproval();
    const handle = await startApproval(shop.client, input);
    await notified(handle);
    shop.fakes.slack.faults.add({ on: 'chat.update', fault: 'msg_too_long', times: -1 });
    await handle.executeUpdate(decideUpdate, { args: [{ approver: ANNA.id, decision: 'approve' }] });
    expect(await handle.result()).toMatchObject({ status: 'approved' });
    expect(messagesOf(input)).toMatchObject([{ updateCount: 0 }]);
  });
});
