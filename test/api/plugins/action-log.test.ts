import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Api } from '../../support/api/api.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { FROM_OWN_PAGE, signInToConsole } from '../../support/api/sign-in.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';
import { waitUntil } from '../../support/processes.js';

const operator = createCaller(['operator']);
const shopper = createCaller(['shopper']);
const approver = createCaller(['approver']);

let api: Api;
let log = '';

beforeAll(async () => {
  api = await startApiWithoutBackends({
    auth: authOf(operator, shopper, approver),
    logger: pino({ level: 'info' }, { write: (line: string) => void (log += line) }),
  });
});
beforeEach(() => void (log = ''));
afterAll(() => api?.close());

/** The fields of the actions that the API has logged. */
const loggedActions = () =>
  log
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === 'action');

/** Sends a form of the console as an operator. */
const sendForm = (path: string, form: Record<string, string>) =>
  fetch(api.url + path, {
    method: 'POST',
    body: new URLSearchParams(form),
    headers: { ...FROM_OWN_PAGE, ...operator.authHeader },
  });

test('logs who sent a request that may change state, for what, and with which status', async () => {
  const { status } = await operator.send(api, 'POST', '/v1/orders/order-1/cancel', { json: { reason: 'a secret' } });
  expect(status).toBe(503);
  expect(loggedActions()).toEqual([
    expect.objectContaining({
      level: 30,
      reqId: expect.any(String) as string,
      caller: operator.id,
      operation: 'cancelOrder',
      from: 'api',
      params: { orderId: 'order-1' },
      status: 503,
    }),
  ]);
  for (const hidden of ['a secret', operator.key]) expect(log).not.toContain(hidden);
});

test.each([
  ['without a valid key', { 'x-api-key': 'wop_wrong' }, { caller: 'anonymous', status: 401 }],
  ['of a caller without the role', shopper.authHeader, { caller: shopper.id, status: 403 }],
])('logs a denied request %s', async (_what, headers, expected) => {
  await api.request('POST', '/v1/batches/batch-1/pause', { headers });
  expect(loggedActions()).toEqual([expect.objectContaining({ ...expected, operation: 'pauseBatch' })]);
});

test.each([
  ['orders/order-1/compensation', { compensation: 'refundPayment', attempt: 1, action: 'skip' }, 'skip'],
  ['orders/order-1/delivery', { attempt: 1, action: 'write_off' }, 'write_off'],
  ['approvals/approval-1/decision', { approver: approver.id, decision: 'reject', comment: 'a secret' }, 'reject'],
])('logs the decision of POST /v1/%s', async (path, json, action) => {
  const caller = path.startsWith('orders') ? operator : approver;
  await caller.send(api, 'POST', `/v1/${path}`, { json });
  expect(loggedActions()).toEqual([expect.objectContaining({ caller: caller.id, action, status: 503 })]);
  expect(log).not.toContain('a secret');
});

test('logs no action of an invalid decision', async () => {
  await operator.send(api, 'POST', '/v1/orders/order-1/delivery', { json: { attempt: 1, action: 'a secret' } });
  expect(loggedActions()).toEqual([expect.objectContaining({ operation: 'resolveDelivery', status: 400 })]);
  expect(log).not.toContain('a secret');
});

test('logs a line for each item of a bulk request', async () => {
  const json = { action: 'cancel', orderIds: ['order-1', 'order-2'], reason: 'a secret' };
  await operator.send(api, 'POST', '/v1/orders/bulk', { json });
  const shared = { caller: operator.id, operation: 'changeManyOrders', from: 'api', action: 'cancel' };
  expect(loggedActions()).toHaveLength(3);
  expect(loggedActions()).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ ...shared, params: { orderId: 'order-1' }, result: 'failed' }),
      expect.objectContaining({ ...shared, params: { orderId: 'order-2' }, result: 'failed' }),
      expect.objectContaining({ ...shared, status: 200 }),
    ]),
  );
  expect(log).not.toContain('a secret');
});

test('logs a bulk request that changes nothing as a dry run', async () => {
  const json = { action: 'retry', batchIds: ['batch-1'], dryRun: true };
  await operator.send(api, 'POST', '/v1/batches/bulk', { json });
  expect(loggedActions()).toEqual([expect.objectContaining({ action: 'retry', dryRun: true, status: 200 })]);
});

test('logs a sign-in to the console, but not the key', async () => {
  await signInToConsole(api.url, { key: operator.key, next: '/console?tab=1' });
  await signInToConsole(api.url, { key: 'wop_a-wrong-key' });
  expect(loggedActions()).toEqual([
    expect.objectContaining({
      caller: operator.id,
      operation: 'signIn',
      from: 'console',
      location: '/console?tab=1',
      status: 303,
    }),
    expect.objectContaining({ caller: 'anonymous', operation: 'signIn', status: 403 }),
  ]);
  for (const hidden of [operator.key, 'wop_a-wrong-key']) expect(log).not.toContain(hidden);
});

test('logs a signed message without a caller id', async () => {
  await api.post('/v1/callbacks/shipments', {});
  expect(loggedActions()).toEqual([
    expect.objectContaining({ caller: 'signed', operation: 'receiveShipmentCallback', status: 401 }),
  ]);
});

test('does not log the token of an approval link', async () => {
  await fetch(`${api.url}/approvals/an-unknown-token`, { method: 'POST', body: new URLSearchParams() });
  expect(loggedActions()).toEqual([expect.objectContaining({ operation: 'submitApprovalForm', status: 404 })]);
  expect(log).not.toContain('an-unknown-token');
});

test('logs no action for requests that change nothing', async () => {
  await operator.send(api, 'GET', '/v1/orders/order-1');
  await operator.send(api, 'POST', '/codec/decode', { json: {} });
  await fetch(`${api.url}/console`);
  await sendForm('/console/start/order/curl', {});
  expect(await (await sendForm('/console/start/order', { _add: '/lines/1' })).text()).toContain('/lines/1/sku');
  await operator.send(api, 'POST', '/v1/unknown');
  expect(loggedActions()).toEqual([]);
});

test('logs a form that starts a workflow', async () => {
  await sendForm('/console/start/order', {});
  expect(loggedActions()).toEqual([expect.objectContaining({ operation: 'start_order', status: 400 })]);
});

test('logs the action of a caller who does not wait for the response', async () => {
  const aborted = new AbortController();
  const sent = fetch(`${api.url}/v1/orders/order-2/cancel`, {
    method: 'POST',
    headers: { ...operator.authHeader, 'content-type': 'application/json' },
    body: '{}',
    signal: aborted.signal,
  });
  await waitUntil(async () => log.includes('incoming request') || undefined, {
    description: 'the request in the log',
    timeoutMs: 5_000,
  });
  aborted.abort();
  await sent.catch(() => undefined);
  await waitUntil(async () => loggedActions().length > 0 || undefined, {
    description: 'the action in the log',
    timeoutMs: 5_000,
  });
  expect(loggedActions()).toEqual([expect.objectContaining({ params: { orderId: 'order-2' }, caller: operator.id })]);
});
