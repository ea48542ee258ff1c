import Fastify, { type FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createHttpMetrics } from '../../../src/observability/metrics/http.js';
import { waitUntil } from '../../support/processes.js';

let app: FastifyInstance;
let registry: Registry;
let release: () => void;
beforeEach(async () => {
  registry = new Registry();
  app = Fastify({ forceCloseConnections: true });
  await app.register(createHttpMetrics(registry).plugin);
  const released = new Promise<void>((resolve) => (release = resolve));
  app.get('/v1/orders/:orderId', async () => ({}));
  app.get('/slow', async () => {
    await released;
    return {};
  });
  app.get('/events', async (_, reply) => {
    await released;
    return reply.header('content-type', 'text/event-stream').send('event: end\n\n');
  });
  app.get('/broken', async () => {
    throw new Error('broken');
  });
});
afterEach(() => app.close());

const requestCounts = async () =>
  (await registry.metrics())
    .split('\n')
    .filter((line) => line.startsWith('http_request_duration_seconds_count'))
    .map((line) => line.replace('http_request_duration_seconds_count', ''))
    .sort();
const readInFlight = async () => Number(/^http_requests_in_flight (\d+)$/m.exec(await registry.metrics())?.[1]);

test('counts requests by route template and status', async () => {
  for (const url of ['/v1/orders/ada', '/v1/orders/grace', '/broken', '/nothing/of?this=name']) await app.inject(url);
  expect(await requestCounts()).toEqual([
    '{method="GET",route="/broken",status="500"} 1',
    '{method="GET",route="/v1/orders/:orderId",status="200"} 2',
    '{method="GET",route="unknown",status="404"} 1',
  ]);
  expect(await readInFlight()).toBe(0);
});

test('counts a request with an unknown method under the method "other"', async () => {
  await app.inject({ method: 'MKCOL' as 'GET', url: '/v1/orders/ada' });
  expect(await requestCounts()).toEqual(['{method="other",route="unknown",status="404"} 1']);
});

test('counts a request as in flight until the response is sent', async () => {
  const response = app.inject('/slow').then(({ statusCode }) => statusCode);
  await waitUntil(async () => (await readInFlight()) === 1 || undefined, {
    description: 'the request in flight',
    timeoutMs: 5_000,
  });
  release();
  expect(await response).toBe(200);
  expect(await readInFlight()).toBe(0);
});

test('counts an event stream as in flight and does not record its duration', async () => {
  const followed = app.inject('/events').then(({ statusCode }) => statusCode);
  await waitUntil(async () => (await readInFlight()) === 1 || undefined, {
    description: 'the request in flight',
    timeoutMs: 5_000,
  });
  release();
  expect(await followed).toBe(200);
  expect(await readInFlight()).toBe(0);
  expect(await requestCounts()).toEqual([]);
});

test('stops counting a request as in flight when the client disconnects', async () => {
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const gone = new AbortController();
  const slowRequest = fetch(`${url}/slow`, { signal: gone.signal }).catch(() => undefined);
  await waitUntil(async () => (await readInFlight()) === 1 || undefined, {
    description: 'the request in flight',
    timeoutMs: 5_000,
  });
  gone.abort();
  await slowRequest;
  await waitUntil(async () => (await readInFlight()) === 0 || undefined, {
    description: 'the end of the request',
    timeoutMs: 5_000,
  });
});
