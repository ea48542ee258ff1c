import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createHttpMetrics } from '../../../src/observability/metrics/http.js';
import type { ApprovalInput, ApprovalResource } from '../../../src/schemas/approval.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { startApi, type Api } from '../../support/api/api.js';
import { SLACK_SIGNING_SECRET } from '../../support/fakes/running-fakes.js';
import { freePort, waitUntil } from '../../support/processes.js';
import { makeApproval, makeStage } from '../../support/shop/approvals.js';
import {
  ANNA,
  BEN,
  buttonsOf,
  signSlackBody,
  slackMessagesOf,
  textOf,
  waitForSlackMessage,
} from '../../support/shop/slack.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../../support/temporal/dev-server.js';
import { startWorker } from '../../support/workers/workers.js';

const PATH = '/v1/callbacks/slack';

describeOnDevServer('POST /v1/callbacks/slack', () => {
  let server: DevServer;
  let shop: Shop;
  let api: Api;
  let worker: Awaited<ReturnType<typeof startWorker>>;
  const registry = new Registry();

  beforeAll(async () => {
    server = await startDevServer();
    shop = await startShop(server, { withWorker: false });
    worker = await startWorker(server, shop, { taskQueues: ['approvals'] });
    api = await startApi({ ...shop, metrics: createHttpMetrics(registry) });
  });
  afterAll(async () => {
    await api?.close();
    await worker?.stop();
    await shop?.close();
  });
  afterEach(() => shop.fakes.slack.faults.clear());

  /** Requests an approval, and waits for the message to Anna. */
  async function startSlackApproval(overrides: Partial<ApprovalInput> = {}) {
    const input = makeApproval({
      title: `May we? ${randomUUID()}`,
      stages: [makeStage({ id: ANNA.id }, { id: BEN.id })],
      ...overrides,
    });
    expect((await api.post('/v1/approvals', input)).status).toBe(202);
    const message = await waitForSlackMessage(shop.fakes, input);
    return { input, message, ...input };
  }
  const get = async (approvalId: string) => (await api.get<ApprovalResource>(`/v1/approvals/${approvalId}`)).body;
  const waitForView = (approvalId: string, expected: (view: ApprovalResource) => boolean) =>
    waitUntil(
      async () => {
        const view = await get(approvalId);
        return expected(view) ? view : undefined;
      },
      { description: `the state of approval ${approvalId}`, timeoutMs: 20_000, intervalMs: 50 },
    );
  // Without a worker, the API responds with a problem, which has no trail.
  const closed = (approvalId: string) =>
    waitForView(approvalId, ({ status, trail }) => trail !== undefined && status !== 'pending');
  const signalsOf = async (approvalId: string) => {
    const { events } = await shop.client.workflow.getHandle(approvalWorkflowId(approvalId)).fetchHistory();
    return (events ?? []).filter((event) => event.workflowExecutionSignaledEventAttributes).length;
  };
  /** Waits for a message that only one user sees. */
  const waitForAnswer = (user: string, text: string) =>
    waitUntil(
      async () => shop.fakes.slack.messages(user).find((message) => message.isEphemeral && message.text.includes(text)),
      { description: `an answer with "${text}"`, timeoutMs: 10_000, intervalMs: 50 },
    );

  /** The interaction that Slack sends for a click. */
  const makeClick = (approvalId: string, overrides: { user?: string; action?: string; stage?: number } = {}) => ({
    type: 'block_actions',
    user: { id: overrides.user ?? ANNA.slackUser, team_id: 'T1' },
    trigger_id: randomUUID(),
    channel: { id: 'D0ANNA' },
    actions: [
      {
        type: 'button',
        action_id: overrides.action ?? 'approve',
        value: JSON.stringify({ approvalId, firstRunId: 'x', stage: overrides.stage ?? 1 }),
      },
    ],
  });

  /** Sends an interaction that is signed like one of Slack, by default now and with the right secret. */
  async function send(
    payload: unknown,
    { secret = SLACK_SIGNING_SECRET, ageSeconds = 0, signedPayload = payload } = {},
  ) {
    const encode = (value: unknown) => new URLSearchParams({ payload: JSON.stringify(value) }).toString();
    const headers = signSlackBody(encode(signedPayload), { secret, ageSeconds });
    return await api.request<unknown>('POST', PATH, { text: encode(payload), headers });
  }
  /** The value of the buttons of a message. */
  const refOf = ({ blocks }: Awaited<ReturnType<typeof waitForSlackMessage>>) =>
    blocks.flatMap((block) => (block.type === 'actions' ? block.elements : []))[0]!.value!;
  const clickOf = (message: Awaited<ReturnType<typeof waitForSlackMessage>>, user = ANNA.slackUser) => {
    const click = makeClick('', { user });
    click.actions[0]!.value = refOf(message);
    return click;
  };

  test('a click decides as the approver of the Slack user, and all messages show the outcome', async () => {
    const { input, approvalId, message } = await startSlackApproval();
    await waitForSlackMessage(shop.fakes, input, { slackUser: BEN.slackUser });
    expect((await shop.fakes.slack.click(message, 'approve')).status).toBe(200);

    const { decision } = await closed(approvalId);
    expect(decision).toMatchObject({ approver: ANNA.id, decision: 'approve', via: 'slack', stage: 1 });
    await waitUntil(
      async () => slackMessagesOf(shop.fakes, input).every(({ updateCount }) => updateCount > 0) || undefined,
      {
        description: 'both messages being updated',
        timeoutMs: 10_000,
      },
    );
    for (const each of slackMessagesOf(shop.fakes, input)) {
      expect(buttonsOf(each)).toEqual([]);
      expect(textOf(each)).toContain(`Approved by ${ANNA.id}`);
    }
  });

  test('the user who clicks decides, not the receiver of the message', async () => {
    const { approvalId, message } = await startSlackApproval();
    await shop.fakes.slack.click(message, 'reject', BEN.slackUser);
    expect((await closed(approvalId)).decision).toMatchObject({ approver: BEN.id, decision: 'reject' });
  });

  test('a click counts, and is answered with 200, while the database does not respond', async () => {
    const { approvalId, message } = await startSlackApproval();
    const findApproval = () => Promise.reject(new Error('the database does not respond'));
    const other = await startApi({ ...shop, store: { ...shop.store, findApproval } });
    try {
      const text = new URLSearchParams({ payload: JSON.stringify(clickOf(message)) }).toString();
      const headers = signSlackBody(text, { secret: SLACK_SIGNING_SECRET, ageSeconds: 0 });
      expect((await other.request('POST', PATH, { text, headers })).status).toBe(200);
    } finally {
      await other.close();
      shop.fakes.slack.setInteractionsUrl(`${api.url}${PATH}`);
      shop.fakes.setCallbackUrl(`${api.url}/v1/callbacks/shipments`);
    }
    expect((await closed(approvalId)).decision).toMatchObject({ approver: ANNA.id, decision: 'approve' });
  });

  test('the modal decides with a comment', async () => {
    const { approvalId, message } = await startSlackApproval();
    expect((await shop.fakes.slack.click(message, 'decide_with_comment')).status).toBe(200);
    const view = shop.fakes.slack.viewOf(ANNA.slackUser)!;
    expect(await shop.fakes.slack.submit(view, { decision: 'reject', comment: ' too <expensive> ' })).toEqual({
      status: 200,
      body: '',
    });
    expect((await closed(approvalId)).decision).toMatchObject({
      approver: ANNA.id,
      decision: 'reject',
      comment: 'too <expensive>',
      via: 'slack',
    });
  });

  test.each(['x'.repeat(1_001), 'a\u0000b', 'a\ud800b'])(
    'shows an error in the modal for a comment that cannot be stored, and records no decision: %j',
    async (comment) => {
      const { approvalId, message } = await startSlackApproval();
      await shop.fakes.slack.click(message, 'decide_with_comment');
      const view = shop.fakes.slack.viewOf(ANNA.slackUser)!;
      const { status, body } = await shop.fakes.slack.submit(view, { decision: 'reject', comment });
      expect(status).toBe(200);
      expect(JSON.parse(body)).toMatchObject({
        response_action: 'errors',
        errors: { comment: expect.stringContaining('at most 1000 characters') },
      });
      expect(await signalsOf(approvalId)).toBe(0);
    },
  );

  test('an unknown Slack user gets an answer and decides nothing', async () => {
    const { approvalId, message } = await startSlackApproval();
    expect((await shop.fakes.slack.click(message, 'approve', 'U0UNKNOWN')).status).toBe(200);
    await waitForAnswer('U0UNKNOWN', 'your Slack user is not connected to an approver');
    expect(await signalsOf(approvalId)).toBe(0);
    expect(await get(approvalId)).toMatchObject({ status: 'pending', trail: [{ event: 'requested' }] });
  });

  test('an unknown Slack user sees an error in the modal', async () => {
    const { approvalId, message } = await startSlackApproval();
    const submission = {
      type: 'view_submission',
      user: { id: 'U0UNKNOWN' },
      view: {
        callback_id: 'decision',
        private_metadata: refOf(message),
        state: {
          values: {
            decision: { decision: { selected_option: { value: 'approve' } } },
            comment: { comment: { value: null } },
          },
        },
      },
    };
    const { status, body } = await send(submission);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      response_action: 'errors',
      errors: { comment: expect.stringContaining('Slack user') },
    });
    expect(await signalsOf(approvalId)).toBe(0);
  });

  test('the requester and the approvers of another stage cannot decide', async () => {
    const { approvalId, message } = await startSlackApproval({
      requestedBy: BEN.id,
      stages: [makeStage({ id: ANNA.id }, { id: BEN.id })],
    });
    await shop.fakes.slack.click(message, 'approve', BEN.slackUser);
    await waitForAnswer(BEN.slackUser, 'You are not an approver of the current stage');
    const { status, trail } = await waitForView(approvalId, (view) => view.trail.length > 1);
    expect(status).toBe('pending');
    expect(trail[1]).toMatchObject({
      event: 'ignored',
      approver: BEN.id,
      via: 'slack',
      reason: { type: 'SelfApproval' },
    });
  });

  test('a click for a stage that has passed does not decide', async () => {
    const { approvalId, message } = await startSlackApproval({
      stages: [{ timeoutSeconds: 1, approvers: [{ id: ANNA.id }] }, makeStage({ id: BEN.id })],
    });
    const click = clickOf(message);
    await waitForView(approvalId, ({ stage }) => stage === 2);
    await waitUntil(async () => buttonsOf(message).length === 0 || undefined, {
      description: 'the buttons of the first stage being removed',
      timeoutMs: 10_000,
    });
    expect(textOf(message)).toContain(`The request went to ${BEN.id}`);
    expect((await send(click)).status).toBe(200);
    const { status, trail } = await waitForView(approvalId, (view) =>
      view.trail.some(({ event }) => event === 'ignored'),
    );
    expect(status).toBe('pending');
    expect(trail.at(-1)).toMatchObject({ reason: { type: 'StagePassed' } });
  });

  test('a decision for a stage that has passed gets the reason, also from an approver of both stages', async () => {
    const { approvalId, message } = await startSlackApproval({
      stages: [{ timeoutSeconds: 2, approvers: [{ id: ANNA.id }] }, makeStage({ id: ANNA.id })],
    });
    const click = clickOf(message);
    expect((await shop.fakes.slack.click(message, 'decide_with_comment')).status).toBe(200);
    const view = shop.fakes.slack.viewOf(ANNA.slackUser)!;
    await waitForView(approvalId, ({ stage }) => stage === 2);
    await waitUntil(async () => (await shop.store.findApproval(approvalId))?.summary.stage === 2 || undefined, {
      description: 'the store having the second stage',
      timeoutMs: 10_000,
      intervalMs: 50,
    });

    const reason = 'Your decision does not count, because it is for stage 1, and the approval is in stage 2.';
    const { body } = await shop.fakes.slack.submit(view, { decision: 'approve' });
    expect(JSON.parse(body)).toEqual({ response_action: 'errors', errors: { comment: reason } });
    expect((await send(click)).status).toBe(200);
    await waitForAnswer(ANNA.slackUser, reason);
    const { status, trail } = await waitForView(
      approvalId,
      (resource) => resource.trail.filter(({ event }) => event === 'ignored').length === 2,
    );
    expect(status).toBe('pending');
    expect(trail.at(-1)).toMatchObject({ reason: { type: 'StagePassed' } });
  });

  test('a decision gets the reason when the approval is decided and its workflow still reports the outcome', async () => {
    // Nobody listens on this port, so the workflow retries the report for hours.
    const callbackUrl = `http://127.0.0.1:${await freePort()}/outcome`;
    const { approvalId, message } = await startSlackApproval({ callbackUrl });
    const click = clickOf(message, BEN.slackUser);
    await shop.fakes.slack.click(message, 'decide_with_comment');
    const view = shop.fakes.slack.viewOf(ANNA.slackUser)!;
    await api.post(`/v1/approvals/${approvalId}/decision`, { approver: ANNA.id, decision: 'reject' });
    const { status } = await shop.client.workflow.getHandle(approvalWorkflowId(approvalId)).describe();
    expect(status.name).toBe('RUNNING');
    expect((await send(click)).status).toBe(200);
    await waitForAnswer(BEN.slackUser, `Your decision does not count: ${ANNA.id} has already decided: reject.`);
    // Repeating the decision does not contradict it.
    expect(await shop.fakes.slack.submit(view, { decision: 'reject' })).toEqual({ status: 200, body: '' });
  });

  test('a repeated delivery is stored once', async () => {
    const { approvalId, message } = await startSlackApproval({ requestedBy: BEN.id });
    // The requester does not close the approval, so the second delivery reaches an open workflow.
    const click = clickOf(message, BEN.slackUser);
    expect((await send(click, { ageSeconds: 2 })).status).toBe(200);
    expect((await send(click)).status).toBe(200);
    expect(await signalsOf(approvalId)).toBe(1);
  });

  test('a click after the outcome gets an answer, and the outcome stays', async () => {
    const { approvalId, message } = await startSlackApproval();
    const click = clickOf(message, BEN.slackUser);
    await api.post(`/v1/approvals/${approvalId}/decision`, { approver: ANNA.id, decision: 'reject' });
    await waitUntil(
      async () => {
        const { status } = await shop.client.workflow.getHandle(approvalWorkflowId(approvalId)).describe();
        return status.name !== 'RUNNING' || undefined;
      },
      { description: 'the workflow being closed', timeoutMs: 10_000 },
    );
    expect((await send(click)).status).toBe(200);
    await waitForAnswer(BEN.slackUser, `Your decision does not count: ${ANNA.id} has already decided: reject.`);
    expect(await get(approvalId)).toMatchObject({ status: 'rejected', decision: { approver: ANNA.id } });
  });

  test('rejects forged and stale requests with 401', async () => {
    const { approvalId, message } = await startSlackApproval();
    const click = clickOf(message);
    const forged = await send(click, { secret: 'another-secret-of-32-characters-0' });
    const changed = await send(click, { signedPayload: { ...click, user: { id: 'U0OTHER' } } });
    const stale = await send(click, { ageSeconds: 5 * 60 + 1 });
    const unsigned = await api.request('POST', PATH, {
      text: 'payload=%7B%7D',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect([forged, changed, stale, unsigned].map(({ status }) => status)).toEqual([401, 401, 401, 401]);
    expect(await signalsOf(approvalId)).toBe(0);
  });

  test('ignores interactions and values that the app does not know', async () => {
    const { approvalId, message } = await startSlackApproval();
    const click = clickOf(message);
    for (const payload of [
      { type: 'shortcut' },
      { ...click, actions: [{ action_id: 'open_link', value: refOf(message) }] },
      { ...click, actions: [{ action_id: 'approve', value: 'not JSON' }] },
      { ...click, actions: [{ action_id: 'approve', value: '{"approvalId":"../x"}' }] },
    ])
      expect((await send(payload)).status).toBe(200);
    expect(await signalsOf(approvalId)).toBe(0);
  });

  test('a signed body without a payload gets 400', async () => {
    const { status } = await api.request('POST', PATH, { text: 'a=b', headers: signSlackBody('a=b') });
    expect(status).toBe(400);
  });

  test('tells the user when the form cannot open', async () => {
    const { message } = await startSlackApproval();
    shop.fakes.slack.faults.add({ on: 'views.open', fault: 'expired_trigger_id' });
    await shop.fakes.slack.click(message, 'decide_with_comment');
    await waitForAnswer(ANNA.slackUser, 'The form could not be opened');
  });

  test('when the response of Slack is lost, both messages decide the same approval', async () => {
    shop.fakes.slack.faults.add({ on: 'chat.postMessage', fault: 'lose-response' });
    const { input, approvalId } = await startSlackApproval({ stages: [makeStage({ id: ANNA.id })] });
    const [first] = await waitUntil(
      async () => {
        const messages = slackMessagesOf(shop.fakes, input);
        return messages.length === 2 ? messages : undefined;
      },
      { description: 'the second message', timeoutMs: 20_000 },
    );
    await shop.fakes.slack.click(first!, 'approve');
    expect(await closed(approvalId)).toMatchObject({ status: 'approved', decision: { approver: ANNA.id } });
  });

  test('counts the interactions that do not decide', async () => {
    const lines = (await registry.metrics()).split('\n');
    for (const reason of ['unknown_user', 'invalid_comment', 'not_an_approver', 'stage_passed', 'approval_closed']) {
      const line = lines.find((each) => each.includes(`callback="slack",reason="${reason}"`));
      expect(Number(line?.split(' ')[1]), reason).toBeGreaterThan(0);
    }
  });

  // This is the last test, because it stops the worker.
  test('stores a click while no worker runs, and applies it later', async () => {
    const { approvalId, message } = await startSlackApproval();
    await worker.stop();
    const startedAt = Date.now();
    expect((await shop.fakes.slack.click(message, 'approve')).status).toBe(200);
    expect(Date.now() - startedAt).toBeLessThan(3_000);
    worker = await startWorker(server, shop, { taskQueues: ['approvals'] });
    expect((await closed(approvalId)).decision).toMatchObject({ approver: ANNA.id, via: 'slack' });
  });
});
