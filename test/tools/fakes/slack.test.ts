import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { findSignatureProblem } from '../../../src/slack/signature.js';
import { buildFakes, type FakesOptions } from '../../../tools/fakes/app.js';

const SECRET = 'signing-secret-of-the-fake-slack-0';
const button = { type: 'button', action_id: 'approve', text: { type: 'plain_text', text: 'Approve' }, value: 'v1' };
const request = {
  channel: 'U0ANNA',
  text: 'Please decide',
  blocks: [
    { type: 'section', text: { type: 'mrkdwn', text: '*&lt;b&gt;Buy?&lt;/b&gt;*' } },
    { type: 'actions', elements: [button] },
  ],
};

async function startSlack(options: FakesOptions = {}) {
  const fakes = buildFakes({ slackSigningSecret: SECRET, ...options });
  onTestFinished(() => fakes.close());
  const base = await fakes.app.listen({ host: '127.0.0.1', port: 0 });
  const call = async (method: string, body: unknown, token = 'xoxb-1') => {
    const response = await fetch(`${base}/slack/api/${method}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    };
  };
  return { ...fakes, base, call };
}

/** Starts an app that records the interactions and responds 200. */
async function startApp() {
  const received: { headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
  const server = createServer((incoming, response) => {
    void readText(incoming).then((body) => {
      received.push({ headers: incoming.headers, body });
      response.end();
    });
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test('posts, updates and lists messages like Slack', async () => {
  const { call, base } = await startSlack();
  const { body } = await call('chat.postMessage', request);
  expect(body).toMatchObject({ ok: true, channel: 'D0ANNA', ts: expect.stringMatching(/^\d+\.\d{6}$/) });
  expect((await call('chat.update', { channel: body.channel, ts: body.ts, text: 'Approved' })).body.ok).toBe(true);
  const listed = (await (await fetch(`${base}/test/slack/messages?user=U0ANNA`)).json()) as { messages: unknown };
  expect(listed.messages).toMatchObject([{ ts: body.ts, text: 'Approved', blocks: [], updateCount: 1 }]);
});

test.each([
  ['chat.postMessage', { ...request, channel: 'general' }, 'channel_not_found'],
  ['chat.postMessage', { ...request, thread_ts: '1.000001' }, 'thread_not_found'],
  ['chat.postMessage', { ...request, text: '' }, 'invalid_arguments'],
  ['chat.update', { channel: 'D0ANNA', ts: '1.000001', text: 'x' }, 'message_not_found'],
])('%s returns 200 with the error for %j', async (method, body, error) => {
  const { call } = await startSlack();
  const response = await call(method, body);
  expect([response.status, response.body]).toEqual([200, { ok: false, error }]);
});

test('rejects a call without a bot token', async () => {
  const { call } = await startSlack();
  expect((await call('auth.test', {}, 'xoxp-1')).body).toEqual({ ok: false, error: 'not_authed' });
});

test('an injected fault affects the next call of its method', async () => {
  const { call, slack } = await startSlack();
  slack.faults.add({ on: 'chat.postMessage', fault: 'ratelimited', retryAfter: 7 });
  const limited = await call('chat.postMessage', request);
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
  slack.faults.add({ on: 'chat.postMessage', fault: 'invalid_auth' });
  expect((await call('chat.postMessage', request)).body).toEqual({ ok: false, error: 'invalid_auth' });
  expect(slack.messages()).toEqual([]);
  slack.faults.add({ on: 'chat.postMessage', fault: 'lose-response' });
  await expect(call('chat.postMessage', request)).rejects.toThrow();
  expect(slack.messages()).toHaveLength(1);
});

test('a click on the page sends a signed interaction, and the page shows escaped text', async () => {
  const app = await startApp();
  const { call, base } = await startSlack({ slackInteractionsUrl: app.url });
  const { body } = await call('chat.postMessage', request);
  const page = await (await fetch(`${base}/slack`)).text();
  expect(page).toContain('<strong>&lt;b&gt;Buy?&lt;/b&gt;</strong>');
  const clicked = await fetch(`${base}/slack/messages/${String(body.ts)}/actions/approve`, {
    method: 'POST',
    redirect: 'manual',
  });
  expect([clicked.status, clicked.headers.get('location')]).toEqual([303, '/slack?result=200']);
  const [{ headers, body: sent }] = app.received as [(typeof app.received)[number]];
  const signed = {
    timestamp: headers['x-slack-request-timestamp'],
    signature: headers['x-slack-signature'],
    rawBody: Buffer.from(sent),
  };
  expect(findSignatureProblem([SECRET], signed, new Date())).toBeUndefined();
  expect(JSON.parse(new URLSearchParams(sent).get('payload')!)).toMatchObject({
    type: 'block_actions',
    user: { id: 'U0ANNA' },
    actions: [{ action_id: 'approve', value: 'v1' }],
  });
});

test('a trigger opens one modal', async () => {
  const app = await startApp();
  const { call, slack } = await startSlack({ slackInteractionsUrl: app.url });
  const { body } = await call('chat.postMessage', request);
  await slack.click(slack.message(String(body.ts))!, 'approve');
  const { trigger_id } = JSON.parse(new URLSearchParams(app.received[0]!.body).get('payload')!) as {
    trigger_id: string;
  };
  const plain = (text: string) => ({ type: 'plain_text', text });
  const view = {
    type: 'modal',
    callback_id: 'c',
    private_metadata: 'm',
    title: plain('Decide'),
    submit: plain('Submit'),
    close: plain('Cancel'),
    blocks: [],
  };
  expect((await call('views.open', { trigger_id, view })).body).toMatchObject({ ok: true });
  expect((await call('views.open', { trigger_id, view })).body).toEqual({ ok: false, error: 'expired_trigger_id' });
});
