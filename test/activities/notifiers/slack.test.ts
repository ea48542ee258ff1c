import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ApproverMail } from '../../../src/activities/approver-messages.js';
import { createSlackNotifier } from '../../../src/activities/notifiers/slack.js';
import type { RequestState } from '../../../src/activities/notifiers/slack-blocks.js';
import { startFakes, type RunningFakes } from '../../support/fakes/running-fakes.js';
import { freePort } from '../../support/processes.js';
import { ANNA, buttonsOf, SLACK_BOT_TOKEN, slackApprovers, slackMessagesOf, textOf } from '../../support/shop/slack.js';
import { createActivityEnvironment } from '../../support/workers/activity-environment.js';

const message: ApproverMail = {
  approvalId: 'roaster',
  firstRunId: 'run-1',
  title: 'Buy a new roaster?',
  requestedBy: 'ada',
  amount: { value: 129900, currency: 'EUR' },
  stage: 1,
  stages: 2,
  approver: ANNA.id,
  reminderNumber: 0,
  deadline: '2026-03-01T09:30:00.000Z',
  ifUndecided: { nextApprovers: ['manager'] },
};
const { approvalId, firstRunId, stage, approver, title, requestedBy } = message;
const approved: RequestState = {
  approvalId,
  firstRunId,
  stage,
  approver,
  title,
  requestedBy,
  status: 'approved',
  decision: { approver: 'lead', decision: 'approve', via: 'api', stage: 1, at: '2026-03-01T09:00:00.000Z' },
};

describe('messages in Slack', () => {
  let fakes: RunningFakes;

  beforeAll(async () => {
    fakes = await startFakes();
  });
  afterEach(() => fakes.slack.faults.clear());
  afterAll(async () => fakes.close());

  const notifier = (apiUrl = fakes.slackApiUrl) =>
    createSlackNotifier({ apiUrl, botToken: SLACK_BOT_TOKEN }, slackApprovers);
  const send = async (overrides: Partial<ApproverMail> = {}, request?: string, { send: run } = notifier()) => {
    const sent: unknown = await createActivityEnvironment().run(
      run,
      { ...message, ...overrides },
      { id: 'm1', request },
    );
    return sent as string | undefined;
  };
  const showState = (reference: string, state: RequestState) =>
    createActivityEnvironment().run(notifier().showState, reference, state);
  const failureOf = async (sent: Promise<unknown>) =>
    await sent.then(
      () => undefined,
      (error: { type?: string; nonRetryable?: boolean; nextRetryDelay?: unknown; message: string }) => error,
    );
  const messageAt = (reference: string | undefined) => fakes.slack.message(reference!.split(':')[1]!)!;

  test('asks the Slack user of the approver, with the context and the buttons', async () => {
    const sent = messageAt(await send({ description: 'The old one is broken.' }));
    expect(sent.user).toBe(ANNA.slackUser);
    expect(buttonsOf(sent)).toEqual(['Approve', 'Reject', 'Decide with a comment']);
    for (const part of [
      'Buy a new roaster?',
      'ada',
      '1,299.00',
      '2026-03-01 09:30 UTC',
      '1 of 2',
      'The old one is broken.',
      'If nobody decides by 2026-03-01 09:30 UTC, the request goes to manager.',
    ])
      expect(textOf(sent)).toContain(part);
  });

  test('shows the texts of the requester as plain text, so that they cannot imitate facts, mentions and links', async () => {
    const description = '*Amount*\n1.00 EUR\n<https://evil.example|Approve>';
    const request = { title: '*No* <!channel> & you', description, requestedBy: '*ada*' };
    const sent = structuredClone(messageAt(await send(request)));
    const reminder = messageAt(await send({ title: '*No*', reminderNumber: 1 }, `${sent.channel}:${sent.ts}`));
    await showState(`${sent.channel}:${sent.ts}`, {
      ...approved,
      title: '*No*',
      decision: { ...approved.decision!, comment: description },
    });
    for (const { blocks, text } of [sent, reminder, messageAt(`${sent.channel}:${sent.ts}`)]) {
      const texts = blocks.flatMap((block) => {
        if (block.type === 'actions') return [];
        if (block.type === 'context') return block.elements;
        return [...(block.text ? [block.text] : []), ...('fields' in block ? (block.fields ?? []) : [])];
      });
      const markup = texts.flatMap((each) => (each.type === 'mrkdwn' ? [each.text] : []));
      expect(['*Requested by*', '*Amount*', '*Decide by*', '*Stage*']).toEqual(expect.arrayContaining(markup));
      expect(text).not.toMatch(/[<>]/);
    }
  });

  test('sends a request whose title and description are blank', async () => {
    const sent = messageAt(await send({ title: ' ', description: '\n' }));
    expect(textOf(sent)).toContain('(blank)');
  });

  test('bounds the texts of the requester', async () => {
    const sent = messageAt(await send({ title: '<'.repeat(200), description: `${'<'.repeat(1_999)}\ud800` }));
    expect(textOf(sent)).toContain('<'.repeat(1_999));
    expect(textOf(sent).isWellFormed()).toBe(true);
    expect(sent.text.length).toBeLessThanOrEqual(300);
  });

  test('sends a reminder as a reply to the request, without buttons of its own', async () => {
    const request = await send({ title: 'Remind me?' });
    const reminder = messageAt(await send({ title: 'Remind me?', reminderNumber: 1 }, request));
    expect(reminder).toMatchObject({ user: ANNA.slackUser, threadTs: messageAt(request).ts });
    expect(textOf(reminder)).toContain('Reminder: Remind me?');
    expect(buttonsOf(reminder)).toEqual([]);
  });

  test('shows the outcome instead of the buttons, also when the update is repeated', async () => {
    const request = (await send())!;
    await showState(request, approved);
    await showState(request, approved);
    expect(buttonsOf(messageAt(request))).toEqual([]);
    expect(textOf(messageAt(request))).toContain('Approved by lead');
  });

  test.each<[string, Partial<RequestState>]>([
    ['Approved automatically, because nobody decided in time', { status: 'approved' }],
    ['Rejected automatically, because nobody decided in time', { status: 'rejected' }],
    ['Closed without a decision', { status: 'timed_out' }],
    [
      'Withdrawn: too late',
      { status: 'withdrawn', withdrawal: { at: '2026-03-01T09:00:00.000Z', reason: 'too late' } },
    ],
    [
      'Stage 1 has ended without a decision. The request went to manager and cfo',
      { status: 'pending', nextApprovers: ['manager', 'cfo'] },
    ],
  ])('shows "%s"', async (text, state) => {
    const { decision: _decision, ...undecided } = approved;
    const request = (await send())!;
    await showState(request, { ...undecided, ...state });
    expect(textOf(messageAt(request))).toContain(text);
  });

  test('an update of a deleted message succeeds, because nobody can see its buttons', async () => {
    await showState('D0ANNA:1.000001', approved);
  });

  test.each(['channel_not_found', 'user_not_found', 'is_archived', 'some_new_code'])(
    'the error %s is final',
    async (fault) => {
      fakes.slack.faults.add({ on: 'chat.postMessage', fault });
      expect(await failureOf(send())).toMatchObject({ type: 'SlackRejected', nonRetryable: true });
    },
  );

  test('an approver without a Slack user is a final failure', async () => {
    expect(await failureOf(send({ approver: 'nobody' }))).toMatchObject({ type: 'SlackRejected', nonRetryable: true });
  });

  test.each(['invalid_auth', 'token_revoked', 'missing_scope'])('the error %s waits for an operator', async (fault) => {
    fakes.slack.faults.add({ on: 'chat.postMessage', fault });
    const failure = await failureOf(send());
    expect(failure).toMatchObject({ type: 'SlackMisconfigured', nextRetryDelay: 5 * 60_000 });
    expect(failure?.nonRetryable).not.toBe(true);
    expect(failure?.message).not.toContain(SLACK_BOT_TOKEN);
  });

  test('a rate limit is retried after the delay that Slack asks for', async () => {
    fakes.slack.faults.add({ on: 'chat.postMessage', fault: 'ratelimited', retryAfter: 30 });
    const failure = await failureOf(send());
    expect(failure).toMatchObject({ type: 'SlackUnavailable', nextRetryDelay: 30_000 });
    expect(failure?.nonRetryable).not.toBe(true);
  });

  test('a lost response is retryable, and the retry posts a second message', async () => {
    fakes.slack.faults.add({ on: 'chat.postMessage', fault: 'lose-response' });
    expect(await failureOf(send({ title: 'Lost?' }))).toMatchObject({ type: 'SlackUnavailable' });
    await send({ title: 'Lost?' });
    expect(slackMessagesOf(fakes, { title: 'Lost?' })).toHaveLength(2);
  });

  test('an unreachable Slack is retryable', async () => {
    const unreachable = notifier(`http://127.0.0.1:${await freePort()}`);
    expect(await failureOf(send({}, undefined, unreachable))).toMatchObject({ type: 'SlackUnavailable' });
  });
});
