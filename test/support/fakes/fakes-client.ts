import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { buildFakes, type FakesOptions } from '../../../tools/fakes/app.js';
import type { Fakes } from '../../../tools/fakes/fakes.js';

/** The secret with which the fake carrier of `startFakesWithClient` signs its reports. */
export const webhookSecret = `whsec_${Buffer.from('a secret that only the tests know').toString('base64')}`;
/** The amount that `charge` charges by default. */
export const amount = { value: 1999, currency: 'EUR' };
/** The lines of the parcel that `ship` requests by default. */
export const lines = [{ sku: 'mug-blue', quantity: 2 }];
/** How long a test waits for an event in a fake, as options of `vi.waitFor`. */
export const deadline = { timeout: 10_000, interval: 10 };

export const newOrderId = (): string => `order-${randomUUID()}`;

/** Returns the path of a ledger file in a new folder, which is deleted after the test. */
export function makeLedgerPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fakes-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'ledger.jsonl');
}

interface FakeResponse {
  status: number;
  body: Record<string, unknown>;
}

interface FakeRequest {
  body?: unknown;
  idempotencyKey?: string | undefined;
  signal?: AbortSignal | undefined;
}

export async function sendRequest(
  method: string,
  url: string,
  { body, idempotencyKey, signal }: FakeRequest = {},
): Promise<FakeResponse> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: signal ?? null,
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

/** Returns a client of the fakes at the URL `base`, with one method for each call. */
export function fakesClient(base: string) {
  const post = (path: string, idempotencyKey: string | undefined, body: unknown, signal?: AbortSignal) =>
    sendRequest('POST', base + path, { body, idempotencyKey, signal });
  return {
    base,
    post,
    charge: (
      orderId: string,
      {
        key = `${orderId}/charge`,
        token = 'tok_ok',
        value = amount.value,
        signal = undefined as AbortSignal | undefined,
      } = {},
    ) => post('/payments/charges', key, { orderId, amount: { ...amount, value }, token }, signal),
    refund: (orderId: string, { key = `${orderId}/refund` } = {}) => post('/payments/refunds', key, { orderId }),
    payment: (orderId: string) => sendRequest('GET', `${base}/payments/orders/${encodeURIComponent(orderId)}`),
    ship: (orderId: string, { key = `${orderId}/shipment`, sku = 'mug-blue' } = {}) =>
      post('/carrier/shipments', key, { orderId, lines: [{ sku, quantity: 2 }] }),
    cancel: (orderId: string, { key = `${orderId}/cancellation` } = {}) =>
      post('/carrier/cancellations', key, { orderId }),
    track: (orderId: string) => sendRequest('GET', `${base}/carrier/shipments/${encodeURIComponent(orderId)}`),
    test: (method: string, path: string, body?: unknown) => sendRequest(method, `${base}/test/${path}`, { body }),
  };
}

/**
 * Starts the fakes for one test, with a client. The carrier moves a parcel only when the test requests it, unless
 * `options` says otherwise.
 */
export async function startFakesWithClient(
  options: FakesOptions = {},
): Promise<Fakes & ReturnType<typeof fakesClient>> {
  const fakes = buildFakes({ webhookSecret, autoDeliver: false, ...options });
  onTestFinished(fakes.close);
  const base = await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  return { ...fakes, ...fakesClient(base) };
}
