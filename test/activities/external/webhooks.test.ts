import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { CancelledFailure, type ApplicationFailure } from '@temporalio/common';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { CALL_TIMEOUT_MS } from '../../../src/activities/external/external-calls.js';
import { createWebhooks, type WebhookMessage } from '../../../src/activities/external/webhooks.js';
import { createOutgoingHttpClient } from '../../../src/http-client/outgoing-http-client.js';
import { freePort } from '../../support/processes.js';
import { createActivityEnvironment, runActivity } from '../../support/workers/activity-environment.js';

const secrets = ['new', 'old'].map((name) => `whsec_${Buffer.from(name.repeat(8)).toString('base64')}`);

afterEach(() => void vi.restoreAllMocks());

interface Delivery {
  headers: Record<string, string>;
  body: string;
}

/** Starts a webhook receiver on loopback that records deliveries and responds with `respond`. */
async function startReceiver(
  respond: (response: ServerResponse) => void = (response) => response.writeHead(204).end(),
) {
  const deliveries: Delivery[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      deliveries.push({ headers: request.headers as Record<string, string>, body });
      server.emit('delivery', response);
      respond(response);
    });
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const arrived = once(server, 'delivery').then(([response]) => response as ServerResponse);
  return { deliveries, host, url: `http://${host}/hook?token=s3cret`, arrived };
}

function sendWebhook(
  message: Partial<WebhookMessage> & { url: string },
  env = createActivityEnvironment(),
  allowPrivate = true,
) {
  const outgoing = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: allowPrivate });
  onTestFinished(() => outgoing.close());
  const { send } = createWebhooks({ outgoing, secrets });
  return runActivity(send, { id: 'msg_1', type: 'approval.decided', data: { approvalId: 'a1' }, ...message }, env);
}

async function catchFailure(sent: Promise<void>): Promise<unknown> {
  return await sent.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('sending a webhook', () => {
  test.each(secrets)('a webhook can be verified with the configured secret %s', async (secret) => {
    const { url, deliveries } = await startReceiver();
    const env = createActivityEnvironment();
    await sendWebhook({ url, data: { approvalId: 'grün' } }, env);

    const [{ headers, body } = {} as Delivery] = deliveries;
    expect(new Webhook(secret).verify(body, headers)).toEqual({
      type: 'approval.decided',
      timestamp: new Date(env.context.info.scheduledTimestampMs).toISOString(),
      data: { approvalId: 'grün' },
    });
    expect(headers).toMatchObject({ 'webhook-id': 'msg_1', 'content-type': 'application/json' });
  });

  test('a webhook cannot be verified with another secret', async () => {
    const { url, deliveries } = await startReceiver();
    await sendWebhook({ url });

    const [{ headers, body } = {} as Delivery] = deliveries;
    expect(() => new Webhook('whsec_c29tZWJvZHkgZWxzZQ==').verify(body, headers)).toThrow('No matching signature');
  });

  test('sends the same webhook id and body on a retry', async () => {
    const { url, deliveries } = await startReceiver();
    const env = createActivityEnvironment();
    await sendWebhook({ url }, env);
    await sendWebhook({ url }, env);

    const [first, second] = deliveries.map(({ headers, body }) => ({ id: headers['webhook-id'], body }));
    expect(second).toEqual(first);
  });

  test.each([200, 201, 202, 204])('a webhook is delivered when the receiver returns %i', async (status) => {
    const { url } = await startReceiver((response) => response.writeHead(status).end());

    await sendWebhook({ url });
  });

  test.each([301, 302, 307, 400, 401, 404, 408, 429, 500, 503])(
    'fails with a retryable error when the receiver returns %i, and reports only host and status',
    async (status) => {
      const { url, host } = await startReceiver((response) =>
        response.writeHead(status, { location: 'http://127.0.0.1/' }).end('inner workings'),
      );

      expect(await catchFailure(sendWebhook({ url }))).toMatchObject({
        type: 'ReceiverUnavailable',
        nonRetryable: false,
        message: `${host} answered ${status}`,
        cause: undefined,
      });
    },
  );

  test.each([
    [429, '300', 300_000],
    [503, '300', 300_000],
    // One minute is the minimum delay, so that a receiver cannot make the shop retry every second.
    [503, '1', 60_000],
    [503, '86400', 60 * 60_000],
    [500, '300', undefined],
  ])(
    'when the receiver returns %i with Retry-After %s, sets the retry delay to %s ms',
    async (status, retryAfter, delayMs) => {
      const { url } = await startReceiver((response) =>
        response.writeHead(status, { 'retry-after': retryAfter }).end(),
      );

      const failure = (await catchFailure(sendWebhook({ url }))) as ApplicationFailure;

      expect([failure.type, failure.nextRetryDelay]).toEqual(['ReceiverUnavailable', delayMs]);
    },
  );

  test('fails permanently when the receiver returns 410', async () => {
    const { url, host } = await startReceiver((response) => response.writeHead(410).end());

    expect(await catchFailure(sendWebhook({ url }))).toMatchObject({
      type: 'ReceiverGone',
      nonRetryable: true,
      message: `${host} answered 410`,
    });
  });

  test('fails permanently when the URL has a forbidden address, and sends nothing', async () => {
    const { url, deliveries } = await startReceiver();

    expect(await catchFailure(sendWebhook({ url }, createActivityEnvironment(), false))).toMatchObject({
      type: 'AddressForbidden',
      nonRetryable: true,
      message: 'the URL must be on a public address',
      cause: undefined,
    });
    expect(deliveries).toEqual([]);
  });

  test('fails permanently for an invalid URL, without the URL in the error', async () => {
    const failure = await catchFailure(sendWebhook({ url: 'nonsense?token=s3cret' }));

    expect(failure).toMatchObject({ type: 'AddressForbidden', nonRetryable: true });
    expect((failure as Error).message).not.toContain('s3cret');
  });

  test('fails with a retryable error that contains the reason when the receiver is unreachable', async () => {
    const host = `127.0.0.1:${await freePort()}`;

    expect(await catchFailure(sendWebhook({ url: `http://${host}/?token=s3cret` }))).toMatchObject({
      type: 'ReceiverUnavailable',
      nonRetryable: false,
      message: `${host} could not be reached (ECONNREFUSED)`,
      cause: undefined,
    });
  });

  test.each([
    ['is cut off', (response: ServerResponse) => response.socket?.destroy(), 'UND_ERR_SOCKET'],
    ['is not HTTP', (response: ServerResponse) => response.socket?.end('inner workings'), 'HTTPParserError'],
  ])(
    'fails with a retryable error when the response %s, and does not quote the response',
    async (_description, response, code) => {
      const { url, host } = await startReceiver(response);

      expect(await catchFailure(sendWebhook({ url }))).toMatchObject({
        type: 'ReceiverUnavailable',
        nonRetryable: false,
        message: `${host} could not be reached (${code})`,
      });
    },
  );

  test('times out with a retryable error when the receiver does not respond', async () => {
    const { url, host, arrived } = await startReceiver(() => undefined);
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    const limit = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => timeout(ms / 50));
    const sent = catchFailure(sendWebhook({ url }));
    const left = arrived.then((response) => once(response, 'close'));

    expect(await sent).toMatchObject({
      type: 'ReceiverUnavailable',
      nonRetryable: false,
      message: `${host} could not be reached (TimeoutError)`,
    });
    expect(limit).toHaveBeenCalledWith(CALL_TIMEOUT_MS);
    await left;
  });

  test('a cancelled activity aborts the webhook call and ends as cancelled', async () => {
    const { url, arrived } = await startReceiver(() => undefined);
    const env = createActivityEnvironment();
    const sent = catchFailure(sendWebhook({ url }, env));
    const left = once(await arrived, 'close');
    env.cancel();

    expect(await sent).toBeInstanceOf(CancelledFailure);
    await left;
  });

  test('sends heartbeats during the webhook call, so that the activity receives a cancellation', async () => {
    const { url, arrived } = await startReceiver(() => undefined);
    const env = createActivityEnvironment();
    const heartbeat = once(env, 'heartbeat');
    const sent = sendWebhook({ url }, env);
    await heartbeat;
    (await arrived).writeHead(204).end();

    await sent;
  });
});

describe('createWebhooks', () => {
  const outgoing = createOutgoingHttpClient({ allowedHosts: [], allowPrivateAddresses: false });

  test('createWebhooks rejects an empty list of secrets', () => {
    expect(() => createWebhooks({ outgoing, secrets: [] })).toThrow('webhooks need at least one secret');
  });

  test.each(['', 'whsec_', 'whsec_***'])('createWebhooks rejects the invalid secret "%s"', (secret) => {
    expect(() => createWebhooks({ outgoing, secrets: [...secrets, secret] })).toThrow();
  });
});
