import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Fastify from 'fastify';
import { createTransport } from 'nodemailer';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test, onTestFinished, vi } from 'vitest';
import { buildFakes, type FakesOptions } from '../../../tools/fakes/app.js';
import type { Fakes } from '../../../tools/fakes/fakes.js';

const secret = `whsec_${Buffer.from('a secret that only the tests know').toString('base64')}`;
const amount = { value: 1999, currency: 'EUR' };
const lines = [{ sku: 'mug-blue', quantity: 2 }];
const deadline = { timeout: 10_000, interval: 10 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let orders = 0;
const newOrderId = () => `order-${++orders}`;

function makeLedgerPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'providers-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'ledger.jsonl');
}

interface FakeResponse {
  status: number;
  body: Record<string, unknown>;
}

async function sendRequest(
  url: string,
  method: string,
  body?: unknown,
  key?: string,
  signal?: AbortSignal,
): Promise<FakeResponse> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key ? { 'idempotency-key': key } : {}),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: signal ?? null,
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

function clientOf(base: string) {
  const post = (path: string, key: string | undefined, body: unknown, signal?: AbortSignal) =>
    sendRequest(base + path, 'POST', body, key, signal);
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
    payment: (orderId: string) => sendRequest(`${base}/payments/orders/${encodeURIComponent(orderId)}`, 'GET'),
    ship: (orderId: string, { key = `${orderId}/shipment`, sku = 'mug-blue' } = {}) =>
      post('/carrier/shipments', key, { orderId, lines: [{ sku, quantity: 2 }] }),
    cancel: (orderId: string, { key = `${orderId}/cancellation` } = {}) =>
      post('/carrier/cancellations', key, { orderId }),
    track: (orderId: string) => sendRequest(`${base}/carrier/shipments/${encodeURIComponent(orderId)}`, 'GET'),
    test: (method: string, path: string, body?: unknown) => sendRequest(`${base}/test/${path}`, method, body),
  };
}

async function startFakes(options: FakesOptions = {}): Promise<Fakes & ReturnType<typeof clientOf>> {
  const fakes = buildFakes({ webhookSecret: secret, autoDeliver: false, ...options });
  cleanups.push(fakes.close);
  const base = await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  return { ...fakes, ...clientOf(base) };
}

interface ReceivedWebhook {
  headers: Record<string, string>;
  body: string;
  status: string;
}

/** Starts a shop that returns the given statuses for webhooks, and then 202. */
async function startWebhookShop(statuses: number[] = []) {
  const received: ReceivedWebhook[] = [];
  const shop = Fastify();
  shop.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  shop.post('/callbacks', (request, reply) => {
    const body = request.body as string;
    received.push({
      headers: request.headers as Record<string, string>,
      body,
      status: (JSON.parse(body) as { status: string }).status,
    });
    return reply
      .header('location', '/elsewhere')
      .code(statuses.shift() ?? 202)
      .send();
  });
  shop.get('/elsewhere', () => 'a page that takes anything');
  await shop.listen({ port: 0, host: '127.0.0.1' });
  cleanups.push(() => shop.close());
  return { received, statuses, url: `http://127.0.0.1:${(shop.server.address() as AddressInfo).port}/callbacks` };
}

describe('the fake payment gateway', () => {
  test('returns the first response for a repeated charge, and charges only once', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();

    const first = await fakes.charge(orderId);
    const again = await Promise.all([fakes.charge(orderId), fakes.charge(orderId)]);

    expect(first).toEqual({
      status: 201,
      body: { chargeId: expect.stringMatching(/^ch_/), status: 'succeeded', amount },
    });
    expect(again).toEqual([first, first]);
    expect(fakes.records(orderId).charges).toEqual([
      { orderId, key: `${orderId}/charge`, chargeId: first.body['chargeId'], amount, status: 'succeeded' },
    ]);
  });

  test('a different body with the same key is rejected and has no effect', async () => {
    const fakes = await startFakes();
    const [orderId, other] = [newOrderId(), newOrderId()];
    await fakes.charge(orderId);
    await fakes.refund(orderId);
    await fakes.ship(orderId);
    await fakes.cancel(orderId);
    const before = fakes.ledger.records();

    const responses = [
      await fakes.charge(orderId, { value: 5 }),
      await fakes.refund(other, { key: `${orderId}/refund` }),
      await fakes.ship(orderId, { sku: 'another' }),
      await fakes.cancel(other, { key: `${orderId}/cancellation` }),
    ];

    const mismatch = { status: 422, body: { error: { code: 'idempotency_mismatch', message: expect.any(String) } } };
    expect(responses).toEqual([mismatch, mismatch, mismatch, mismatch]);
    expect(fakes.ledger.records()).toEqual(before);
  });

  test.each([
    ['tok_declined', 402, 'card_declined', ['declined']],
    ['tok_insufficient_funds', 402, 'insufficient_funds', ['declined']],
    ['tok_gateway_down', 503, 'gateway_unavailable', []],
    ['tok_unheard_of', 400, 'unknown_token', []],
    ['constructor', 400, 'unknown_token', []],
  ])('for a payment with %s, returns %i %s each time and charges nothing', async (token, status, code, charges) => {
    const fakes = await startFakes();
    const orderId = newOrderId();

    const responses = [await fakes.charge(orderId, { token }), await fakes.charge(orderId, { token })];

    const expected = { status, body: { error: { code, message: expect.any(String) } } };
    expect(responses).toEqual([expected, expected]);
    expect(fakes.records(orderId).charges.map((charge) => charge.status)).toEqual(charges);
  });

  test('refunds the whole amount once per key, and returns the refund by order id', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    const unknown = await fakes.payment(orderId);
    const { body: charge } = await fakes.charge(orderId);
    const charged = await fakes.payment(orderId);

    const first = await fakes.refund(orderId);
    const again = await fakes.refund(orderId);
    const refunded = await fakes.payment(orderId);
    // A caller that loses its key refunds twice. To prevent this, the caller can look up refunds by order id.
    await fakes.refund(orderId, { key: 'another' });

    expect(first).toEqual({
      status: 201,
      body: { refundId: expect.stringMatching(/^re_/), status: 'refunded', amount },
    });
    expect(again).toEqual(first);
    expect([unknown, charged, refunded]).toEqual([
      { status: 200, body: { charge: null, refund: null } },
      { status: 200, body: { charge, refund: null } },
      { status: 200, body: { charge, refund: first.body } },
    ]);
    expect(fakes.records(orderId).refunds).toMatchObject([
      { orderId, key: `${orderId}/refund`, ...first.body },
      { orderId, key: 'another', status: 'refunded', amount },
    ]);
  });

  test('treats a call with an expired key as new, and still finds the order', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    const first = await fakes.charge(orderId);
    expect(await fakes.charge(orderId)).toEqual(first);

    expect(await fakes.test('PUT', 'idempotency-keys', { retentionSeconds: 0 })).toMatchObject({
      status: 200,
      body: { retentionSeconds: 0 },
    });
    await fakes.charge(orderId);
    await fakes.ship(orderId);
    await fakes.ship(orderId);

    expect(fakes.records(orderId)).toMatchObject({
      charges: [
        { key: `${orderId}/charge`, chargeId: first.body['chargeId'], status: 'succeeded' },
        { key: `${orderId}/charge`, status: 'succeeded' },
      ],
      shipments: [{ key: `${orderId}/shipment` }, { key: `${orderId}/shipment` }],
    });
    const { chargeId } = fakes.records(orderId).charges[1]!;
    expect((await fakes.payment(orderId)).body).toMatchObject({ charge: { chargeId }, refund: null });

    await fakes.test('PUT', 'idempotency-keys', { retentionSeconds: null });
    expect((await fakes.charge(orderId)).body).toMatchObject({ chargeId });
    expect(fakes.records(orderId).charges).toHaveLength(2);
  });

  test('rejects a charge and a shipment that were voided, even after the idempotency keys expire', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    fakes.idempotencyKeys.retentionSeconds = 0;

    expect(await fakes.refund(orderId)).toEqual({ status: 200, body: { status: 'voided' } });
    expect(await fakes.cancel(orderId)).toEqual({ status: 200, body: { status: 'voided' } });

    expect(await fakes.charge(orderId)).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
    expect(await fakes.ship(orderId)).toMatchObject({
      status: 409,
      body: { error: { code: 'shipment_cancelled' } },
    });
    expect((await fakes.payment(orderId)).body).toEqual({ charge: null, refund: { status: 'voided' } });
  });

  test('when a refund arrives before the charge, voids the order and rejects the late charge', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();

    const refunds = [await fakes.refund(orderId), await fakes.refund(orderId)];
    const late = await fakes.charge(orderId);
    const afterwards = await fakes.refund(orderId);

    const voided = { status: 200, body: { status: 'voided' } };
    expect([...refunds, afterwards]).toEqual([voided, voided, voided]);
    expect(late).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
    expect(fakes.records(orderId).charges).toEqual([]);
  });

  test('voids a declined charge when it is refunded', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    await fakes.charge(orderId, { token: 'tok_declined' });

    expect(await fakes.refund(orderId)).toEqual({ status: 200, body: { status: 'voided' } });
  });

  test.each([
    ['no idempotency key', undefined, { orderId: 'o', amount, token: 'tok_ok' }, 'idempotency_key_required'],
    ['an unknown field', 'k', { orderId: 'o', amount, token: 'tok_ok', tip: 1 }, 'invalid_request'],
    ['an amount of zero', 'k', { orderId: 'o', amount: { ...amount, value: 0 }, token: 'tok_ok' }, 'invalid_request'],
    ['an empty order id', 'k', { orderId: '', amount, token: 'tok_ok' }, 'invalid_request'],
    ['an array as its body', 'k', [], 'invalid_request'],
  ])('a charge with %s returns 400 and has no effect', async (_description, key, body, code) => {
    const fakes = await startFakes();

    const response = await fakes.post('/payments/charges', key, body);

    expect(response).toEqual({ status: 400, body: { error: { code, message: expect.any(String) } } });
    expect(fakes.records().charges).toEqual([]);
  });
});

describe('the fake carrier', () => {
  test('creates one parcel for a repeated shipment and returns the first response, even after the parcel moved', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ callbackUrl: shop.url });
    const orderId = newOrderId();

    const first = await fakes.ship(orderId);
    await fakes.carrier.reportNow(orderId, 'in_transit');
    const again = await fakes.ship(orderId);

    expect(first).toEqual({ status: 201, body: { shipmentId: expect.stringMatching(/^sh_/), status: 'accepted' } });
    expect(again).toEqual(first);
    expect(fakes.records(orderId).shipments).toEqual([
      { orderId, key: `${orderId}/shipment`, shipmentId: first.body['shipmentId'], lines, status: 'in_transit' },
    ]);
  });

  test('returns the status of a parcel, and 404 for an unknown parcel', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();

    const before = await fakes.track(orderId);
    const { body } = await fakes.ship(orderId);
    await fakes.carrier.reportNow(orderId, 'in_transit');

    expect(before).toMatchObject({ status: 404, body: { error: { code: 'unknown_shipment' } } });
    expect(await fakes.track(orderId)).toEqual({
      status: 200,
      body: { shipmentId: body['shipmentId'], status: 'in_transit' },
    });
  });

  test('never moves a parcel that was cancelled before pickup', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ callbackUrl: shop.url });
    const [orderId, other] = [newOrderId(), newOrderId()];
    await fakes.test('PUT', 'carrier', { autoDeliver: true, pickupSeconds: 0.5, deliverySeconds: 0.5 });
    const { body } = await fakes.ship(orderId);

    const responses = [
      await fakes.cancel(orderId),
      await fakes.cancel(orderId),
      await fakes.cancel(orderId, { key: 'another' }),
    ];
    await fakes.ship(other);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    const cancelled = { status: 200, body: { status: 'cancelled', shipmentId: body['shipmentId'] } };
    expect(responses).toEqual([cancelled, cancelled, cancelled]);
    expect(shop.received.map(({ body }) => (JSON.parse(body) as { orderId: string }).orderId)).toEqual([other, other]);
    expect(fakes.records(orderId)).toMatchObject({
      shipments: [{ status: 'cancelled' }],
      cancellations: [{ orderId, key: `${orderId}/cancellation`, status: 'cancelled' }],
      reports: [],
    });
  });

  test.each(['in_transit', 'delivered', 'lost'] as const)(
    'returns 409 for the cancellation of a parcel with status %s',
    async (status) => {
      const shop = await startWebhookShop();
      const fakes = await startFakes({ callbackUrl: shop.url });
      const orderId = newOrderId();
      await fakes.ship(orderId);
      await fakes.carrier.reportNow(orderId, status);

      const responses = [await fakes.cancel(orderId), await fakes.cancel(orderId)];

      const rejected = { status: 409, body: { error: { code: 'already_picked_up', message: expect.any(String) } } };
      expect(responses).toEqual([rejected, rejected]);
      expect(fakes.records(orderId)).toMatchObject({ shipments: [{ status }], cancellations: [] });
    },
  );

  test('when a cancellation arrives before the shipment, voids the order and rejects the late shipment', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();

    const cancelled = await fakes.cancel(orderId);
    const late = await fakes.ship(orderId);

    expect(cancelled).toEqual({ status: 200, body: { status: 'voided' } });
    expect(late).toMatchObject({ status: 409, body: { error: { code: 'shipment_cancelled' } } });
    expect(fakes.records(orderId).shipments).toEqual([]);
  });

  test('sends signed reports of an automatic delivery in order, even if the callback URL is set later', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0.05 });
    const orderId = newOrderId();
    const { body } = await fakes.ship(orderId);
    await vi.waitFor(() => expect(fakes.records(orderId).reports).toHaveLength(2), deadline);
    expect(fakes.records(orderId).reports.map((report) => report.state)).toEqual(['pending', 'pending']);

    fakes.setCallbackUrl(shop.url);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    const verified = shop.received.map(({ body, headers }) => new Webhook(secret).verify(body, headers));
    const { shipmentId } = body;
    expect(verified).toEqual([
      { orderId, shipmentId, status: 'in_transit' },
      { orderId, shipmentId, status: 'delivered' },
    ]);
    await vi.waitFor(
      () => expect(fakes.records(orderId).reports.map((report) => report.state)).toEqual(['delivered', 'delivered']),
      deadline,
    );
  });

  test('retries a failed report with the same id before it sends the next report', async () => {
    const shop = await startWebhookShop([503, 404, 302]);
    const fakes = await startFakes({
      callbackUrl: shop.url,
      autoDeliver: true,
      pickupSeconds: 0,
      deliverySeconds: 0,
    });
    await fakes.ship(newOrderId());

    await vi.waitFor(() => expect(shop.received).toHaveLength(5), deadline);

    expect(shop.received.map(({ status }) => status)).toEqual([
      'in_transit',
      'in_transit',
      'in_transit',
      'in_transit',
      'delivered',
    ]);
    const ids = shop.received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids.slice(0, 4)).size).toBe(1);
    expect(ids[4]).not.toBe(ids[0]);
  });

  test('drops a report on an unknown order after the time limit, and sends the next report', async () => {
    const shop = await startWebhookShop([503, 503, 404]);
    const fakes = await startFakes({ callbackUrl: shop.url, unknownOrderTimeoutSeconds: 0 });
    const orderId = newOrderId();
    await fakes.ship(orderId);

    expect(await fakes.carrier.reportNow(orderId, 'in_transit')).toEqual({ delivered: false, status: 503 });
    await vi.waitFor(() => expect(fakes.records(orderId).reports[0]?.state).toBe('given_up'), deadline);
    expect(shop.received).toHaveLength(3);

    expect(await fakes.carrier.reportNow(orderId, 'delivered')).toEqual({ delivered: true, status: 202 });
    expect(fakes.records(orderId).reports.map((report) => report.state)).toEqual(['given_up', 'delivered']);
  });

  test('sends one webhook for each requested report, including duplicates and reports out of order', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ callbackUrl: shop.url });
    const orderId = newOrderId();
    await fakes.ship(orderId);

    const responses = [];
    for (const status of ['delivered', 'delivered', 'in_transit']) {
      responses.push(await fakes.test('POST', `shipments/${orderId}`, { status }));
    }

    const delivered = { status: 202, body: { delivered: true, status: 202 } };
    expect(responses).toEqual([delivered, delivered, delivered]);
    expect(shop.received.map(({ status }) => status)).toEqual(['delivered', 'delivered', 'in_transit']);
    expect(new Set(shop.received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    expect(fakes.records(orderId).shipments[0]?.status).toBe('delivered');
  });

  test('keeps its reports while it is silent, and sends them afterwards', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ callbackUrl: shop.url });
    const orderId = newOrderId();
    const moves = { autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0 };
    await fakes.test('PUT', 'carrier', { orderId, silent: true, ...moves });
    await fakes.ship(orderId);

    await vi.waitFor(
      async () => expect((await fakes.track(orderId)).body).toMatchObject({ status: 'delivered' }),
      deadline,
    );
    expect(fakes.records(orderId).reports.map(({ state }) => state)).toEqual(['pending', 'pending']);
    expect(shop.received).toEqual([]);

    await fakes.test('PUT', 'carrier', { orderId, silent: false });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
  });

  test('cancels a parcel on request, and returns this status for tracking and for a later cancellation', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ callbackUrl: shop.url });
    const orderId = newOrderId();
    const { body } = await fakes.ship(orderId);

    await fakes.test('POST', `shipments/${orderId}`, { status: 'cancelled' });

    expect(shop.received.map(({ status }) => status)).toEqual(['cancelled']);
    expect((await fakes.track(orderId)).body).toEqual({ shipmentId: body['shipmentId'], status: 'cancelled' });
    expect((await fakes.cancel(orderId)).body).toMatchObject({ status: 'cancelled' });
  });

  test('on request, sends reports with a wrong parcel id, an unknown status or extra fields; the parcel does not change', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ callbackUrl: shop.url });
    const [orderId, withoutParcel] = [newOrderId(), newOrderId()];
    const { body } = await fakes.ship(orderId);

    await fakes.test('POST', `shipments/${orderId}`, { status: 'delivered', shipmentId: 'sh_other' });
    await fakes.test('POST', `shipments/${withoutParcel}`, { status: 'in_transit', shipmentId: 'sh_early' });
    await fakes.test('POST', `shipments/${orderId}`, { status: 'out_for_delivery', extra: { depot: 'B12' } });

    expect(shop.received.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { orderId, shipmentId: 'sh_other', status: 'delivered' },
      { orderId: withoutParcel, shipmentId: 'sh_early', status: 'in_transit' },
      { orderId, shipmentId: body['shipmentId'], status: 'out_for_delivery', depot: 'B12' },
    ]);
    expect((await fakes.track(orderId)).body).toMatchObject({ status: 'accepted' });
  });

  test('fails tracking requests and rejects cancellations as configured', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    await fakes.ship(orderId);
    await fakes.test('POST', 'faults', { on: 'tracking', orderId, fault: 'error', times: 2 });
    const tooLate = { fault: 'error', status: 409, code: 'already_picked_up' };
    await fakes.test('POST', 'faults', { on: 'cancellation', orderId, ...tooLate });
    await fakes.test('POST', 'faults', { on: 'payment', orderId, fault: 'unreachable' });

    expect([await fakes.track(orderId), await fakes.track(orderId)]).toMatchObject([{ status: 503 }, { status: 503 }]);
    expect(await fakes.track(orderId)).toMatchObject({ status: 200, body: { status: 'accepted' } });
    expect(await fakes.cancel(orderId)).toMatchObject({
      status: 409,
      body: { error: { code: 'already_picked_up' } },
    });
    await expect(fakes.payment(orderId)).rejects.toThrow('fetch failed');
    expect(await fakes.payment(orderId)).toMatchObject({ status: 200 });
  });

  test('returns an HTML page with Retry-After as configured', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'charge', orderId, fault: 'error', status: 503, code: null, retryAfter: '7' });

    const response = await fetch(`${fakes.base}/payments/charges`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
      body: JSON.stringify({ orderId, amount, token: 'tok_ok' }),
    });

    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7']);
    expect(await response.text()).toContain('<html>');
  });

  test('returns the result of a failed report to the caller, and retries the report', async () => {
    const shop = await startWebhookShop([503]);
    const fakes = await startFakes({ callbackUrl: shop.url });
    const orderId = newOrderId();
    await fakes.ship(orderId);

    const response = await fakes.test('POST', `shipments/${orderId}`, { status: 'lost' });

    expect(response).toEqual({ status: 202, body: { delivered: false, status: 503 } });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);
    expect(shop.received[0]?.headers['webhook-id']).toBe(shop.received[1]?.headers['webhook-id']);
  });

  test('uses the pickup and delivery times that are set for one order', async () => {
    const shop = await startWebhookShop();
    const fakes = await startFakes({ callbackUrl: shop.url, deliverySeconds: 600 });
    const [orderId, other] = [newOrderId(), newOrderId()];
    await fakes.ship(other);
    await fakes.ship(orderId);

    const response = await fakes.test('PUT', 'carrier', { orderId, autoDeliver: true, pickupSeconds: 0 });
    await vi.waitFor(() => expect(shop.received).toHaveLength(1), deadline);
    const inBetween = fakes.records(orderId).shipments[0]?.status;
    fakes.carrier.configure({ deliverySeconds: 0 }, orderId);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    expect(response).toEqual({
      status: 200,
      body: { autoDeliver: true, pickupSeconds: 0, deliverySeconds: 600, silent: false },
    });
    expect(inBetween).toBe('in_transit');
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
    expect(fakes.records(other).shipments[0]?.status).toBe('accepted');
  });
});

describe('the ledger of the fake partners', () => {
  test('the ledger keeps all responses after a restart, even after a torn write', async () => {
    const ledgerFile = makeLedgerPath();
    const [orderId, voided] = [newOrderId(), newOrderId()];
    const first = await startFakes({ ledgerFile });
    const before = [
      await first.charge(orderId),
      await first.refund(orderId),
      await first.refund(voided),
      await first.ship(orderId),
      await first.cancel(orderId),
    ];
    const statement = first.ledger.records();
    await first.close();
    appendFileSync(ledgerFile, '{"type":"charge","charge":{"key":"to');

    const second = await startFakes({ ledgerFile });
    expect(second.ledger.records()).toEqual(statement);
    const after = [
      await second.charge(orderId),
      await second.refund(orderId),
      await second.refund(voided),
      await second.ship(orderId),
      await second.cancel(orderId),
    ];
    expect(after).toEqual(before);
    expect(await second.charge(orderId, { value: 5 })).toMatchObject({ status: 422 });
    expect(await second.charge(voided)).toMatchObject({ status: 409 });
    const another = await second.charge(newOrderId());
    await second.close();

    const third = await startFakes({ ledgerFile });
    expect(third.records().charges.map((charge) => charge.chargeId)).toEqual([
      before[0]?.body['chargeId'],
      another.body['chargeId'],
    ]);
  });

  test('fails to open a journal with a damaged line, and reports the line number', async () => {
    const ledgerFile = makeLedgerPath();
    appendFileSync(ledgerFile, 'not an entry\n{"type":"reportSettled","reportId":"r","state":"delivered"}\n');

    expect(() => buildFakes({ ledgerFile })).toThrow(/ledger\.jsonl is damaged at line 1/);
  });

  test('the ledger contains an effect before the response is sent', async () => {
    const ledgerFile = makeLedgerPath();
    const fakes = await startFakes({ ledgerFile });
    const orderIds = Array.from({ length: 20 }, newOrderId);

    await Promise.all(
      orderIds.map(async (orderId) => {
        const { body } = await fakes.charge(orderId);
        expect(readFileSync(ledgerFile, 'utf8')).toContain(String(body['chargeId']));
      }),
    );
  });

  test('continues deliveries and pending reports after a restart', async () => {
    const ledgerFile = makeLedgerPath();
    const orderId = newOrderId();
    const first = await startFakes({ ledgerFile });
    await first.ship(orderId);
    await first.carrier.reportNow(orderId, 'in_transit');
    const reportId = first.records(orderId).reports[0]?.reportId;
    await first.close();

    const shop = await startWebhookShop();
    const second = await startFakes({ ledgerFile, callbackUrl: shop.url, autoDeliver: true, deliverySeconds: 0 });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
    expect(shop.received[0]?.headers['webhook-id']).toBe(reportId);
    await vi.waitFor(
      () => expect(second.records(orderId).reports.every((report) => report.state === 'delivered')).toBe(true),
      deadline,
    );
    await second.close();

    const third = await startFakes({ ledgerFile, callbackUrl: shop.url, autoDeliver: true });
    const other = newOrderId();
    await third.ship(other);
    await third.carrier.reportNow(other, 'lost');
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered', 'lost']);
  });
});

describe('fault injection of the fake partners', () => {
  test.each([
    ['lose-response', 1],
    ['unreachable', 0],
  ] as const)('with the fault %s, breaks the connection after %i effects', async (fault, effects) => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    await fakes.test('POST', 'faults', { on: 'charge', orderId, fault });

    await expect(fakes.charge(orderId)).rejects.toThrow('fetch failed');
    expect(fakes.records(orderId).charges).toHaveLength(effects);

    expect(await fakes.charge(orderId)).toMatchObject({ status: 201 });
    const { charges, requests } = fakes.records(orderId);
    expect(charges).toHaveLength(1);
    const request = {
      at: expect.any(String),
      method: 'POST',
      path: '/payments/charges',
      orderId,
      idempotencyKey: `${orderId}/charge`,
      body: { orderId, amount, token: 'tok_ok' },
    };
    expect(requests).toEqual([
      { ...request, status: null, fault },
      { ...request, status: 201 },
    ]);
  });

  test('with the fault error, requests return an error status and have no effect, as often as configured', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'refund', fault: 'error', status: 500, times: 2 });

    const responses = [await fakes.refund(orderId), await fakes.refund(orderId)];

    expect(responses.map(({ status }) => status)).toEqual([500, 500]);
    expect(fakes.records(orderId).refunds).toEqual([]);
    expect(await fakes.refund(orderId)).toMatchObject({ status: 200 });
  });

  test('with the fault malformed, applies the effect but returns an unexpected body', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'shipment', orderId, fault: 'malformed' });

    expect(await fakes.ship(orderId)).toEqual({ status: 200, body: { unexpected: 'shape' } });
    expect(fakes.records(orderId).shipments).toHaveLength(1);
  });

  test('with the fault slow, applies the effect immediately and responds after the delay', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'charge', orderId, fault: 'slow', delayMs: 100 });
    fakes.faults.add({ on: 'charge', orderId, fault: 'slow', delayMs: 600_000 });
    const started = performance.now();

    expect(await fakes.charge(orderId)).toMatchObject({ status: 201 });
    expect(performance.now() - started).toBeGreaterThanOrEqual(99);

    const unanswered = fakes.charge(orderId, { key: 'another' });
    await vi.waitFor(() => expect(fakes.records(orderId).charges).toHaveLength(2), deadline);
    expect(fakes.records(orderId).requests.at(-1)).toMatchObject({ status: null, fault: 'slow' });
    await fakes.close();
    expect(await unanswered).toMatchObject({ status: 201 });
  });

  test('ignores deleted faults and faults for a different call or order', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    fakes.faults.add({ on: 'charge', fault: 'error', times: -1 });
    expect((await fakes.charge(orderId)).status).toBe(503);
    expect((await fakes.charge(orderId)).status).toBe(503);
    await fakes.test('DELETE', 'faults');
    fakes.faults.add({ on: 'refund', orderId, fault: 'error' });
    fakes.faults.add({ on: 'charge', orderId: 'another', fault: 'error' });

    expect((await fakes.charge(orderId)).status).toBe(201);
  });

  test('returns 400 for an unknown fault', async () => {
    const fakes = await startFakes();

    const response = await fakes.test('POST', 'faults', { on: 'charge', fault: 'explode' });

    expect(response).toEqual({
      status: 400,
      body: { error: { code: 'invalid_request', message: expect.stringContaining('fault') } },
    });
  });
});

describe('holds of the fake partners', () => {
  test('when the response is held, the effect is recorded on arrival and the response is sent on release', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    const hold = fakes.hold('charge', orderId);

    const response = fakes.charge(orderId);
    await hold.arrived;
    expect(fakes.records(orderId)).toMatchObject({
      charges: [{ status: 'succeeded' }],
      requests: [{ status: null }],
    });
    await hold.release();

    expect(await response).toMatchObject({ status: 201 });
    expect(await fakes.charge(orderId)).toEqual(await response);
  });

  test('a charge that is voided during its hold is rejected on release', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    const hold = fakes.hold('charge', orderId, { waitBefore: 'effect' });

    const response = fakes.charge(orderId);
    await hold.arrived;
    expect(fakes.records(orderId).charges).toEqual([]);
    expect(await fakes.refund(orderId)).toMatchObject({ body: { status: 'voided' } });
    await hold.release();

    expect(await response).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
  });

  test.each([
    [true, 1],
    [false, 0],
  ])(
    'when the client disconnects during a held effect, applyAfterDisconnect %s leads to %i effects',
    async (applyAfterDisconnect, effects) => {
      const fakes = await startFakes();
      const orderId = newOrderId();
      const hold = fakes.hold('charge', orderId, { waitBefore: 'effect', applyAfterDisconnect });
      const client = new AbortController();

      const response = fakes.charge(orderId, { signal: client.signal });
      const aborted = expect(response).rejects.toThrow('aborted');
      await hold.arrived;
      client.abort();
      await aborted;
      await hold.disconnected;
      await hold.release();

      const { charges, requests } = fakes.records(orderId);
      expect(charges).toHaveLength(effects);
      expect(requests).toMatchObject([{ status: null }]);
    },
  );

  test('holds can be read and released over HTTP, and do not block other orders', async () => {
    const fakes = await startFakes();
    const [orderId, other] = [newOrderId(), newOrderId()];
    const { status, body } = await fakes.test('POST', 'holds', { on: 'shipment', orderId });
    const hold = `holds/${String(body['holdId'])}`;
    expect({ status, body }).toMatchObject({
      status: 201,
      body: { arrived: 0, disconnected: 0, waitBefore: 'response' },
    });

    const response = fakes.ship(orderId);
    await vi.waitFor(async () => expect((await fakes.test('GET', hold)).body).toMatchObject({ arrived: 1 }), deadline);
    expect(await fakes.ship(other)).toMatchObject({ status: 201 });
    expect(await fakes.test('DELETE', hold)).toMatchObject({ status: 204 });

    expect(await response).toMatchObject({ status: 201 });
    expect(await fakes.test('GET', hold)).toMatchObject({ status: 404 });
  });

  test('a held call ends without an effect when the server closes', async () => {
    const fakes = await startFakes();
    const orderId = newOrderId();
    const hold = fakes.hold('charge', orderId, { waitBefore: 'effect' });

    const broken = expect(fakes.charge(orderId)).rejects.toThrow('fetch failed');
    await hold.arrived;
    await fakes.close();

    await broken;
    expect(fakes.records(orderId).charges).toEqual([]);
  });
});

describe('closing the fake partners', () => {
  test('close does not wait for a connection that never sent a request', async () => {
    const fakes = await startFakes();
    const accepted = once(fakes.app.server, 'connection');
    const connection = connect(Number(new URL(fakes.base).port), '127.0.0.1');
    await accepted;
    const closed = once(connection, 'close');

    await fakes.close();

    await closed;
  });
});

describe('the process of the fake partners', () => {
  const main = fileURLToPath(new URL('../../../tools/fakes/main.ts', import.meta.url));

  function start(env: Record<string, string>) {
    const child = spawn(process.execPath, ['--import', 'tsx', main], {
      env: { PATH: process.env['PATH'], FAKES_PORT: '0', FAKES_SMTP_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { text: '' };
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output.text += String(data)));
    const exited = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    onTestFinished(() => void child.kill('SIGKILL'));
    return { child, output, exited };
  }

  async function listening({ output }: { child: ChildProcess; output: { text: string } }) {
    const url = () => /carrier at (http:\/\/[\d.:]+)/.exec(output.text)?.[1];
    await vi.waitFor(() => expect(url(), output.text).toBeDefined(), { ...deadline, timeout: 20_000 });
    return clientOf(url()!);
  }

  test(
    'still finds a charge after SIGKILL and a restart, and exits with 0 on SIGTERM',
    { timeout: 60_000 },
    async () => {
      const FAKES_LEDGER_PATH = makeLedgerPath();
      const orderId = newOrderId();
      const first = start({ FAKES_LEDGER_PATH });
      const charge = await (await listening(first)).charge(orderId);
      first.child.kill('SIGKILL');
      await first.exited;

      const second = start({ FAKES_LEDGER_PATH });
      const client = await listening(second);
      expect(charge.status).toBe(201);
      expect(await client.charge(orderId)).toEqual(charge);
      expect(await sendRequest(`${client.base}/healthz`, 'GET')).toEqual({ status: 200, body: { status: 'ok' } });

      second.child.kill('SIGTERM');
      expect(await second.exited).toEqual([0, null]);
    },
  );

  test('exits immediately and reports each invalid setting', { timeout: 60_000 }, async () => {
    const { output, exited } = start({ FAKES_PORT: 'many', CARRIER_WEBHOOK_SECRET: 'hush' });

    expect(await exited).toEqual([1, null]);
    expect(output.text).toMatch(/FAKES_PORT/);
    expect(output.text).toMatch(/CARRIER_WEBHOOK_SECRET/);
  });

  test.each(['FAKES_PORT', 'FAKES_SMTP_PORT'])(
    'exits with the variable and the port when the port of %s is in use',
    { timeout: 60_000 },
    async (variable) => {
      const fakes = await startFakes();
      const port = new URL(fakes.base).port;

      const { output, exited } = start({ [variable]: port });

      expect(await exited).toEqual([1, null]);
      expect(output.text).toContain(`Port ${port} on 127.0.0.1 is taken; set ${variable} to another port.`);
    },
  );

  test(
    'exits while a mail response is delayed, keeps the e-mail in its folder, and needs no SMTP port',
    { timeout: 60_000 },
    async () => {
      const FAKES_MAILBOX_DIR = join(makeLedgerPath(), 'mails');
      const first = start({ FAKES_MAILBOX_DIR });
      const client = await listening(first);
      const transport = createTransport(/mailbox at (smtp:[\d./:]+)/.exec(first.output.text)?.[1]);
      await client.test('POST', 'mails/faults', { to: 'b@example.com', delayMs: 600_000, stored: true });
      const broken = expect(
        transport.sendMail({ from: 'a@example.com', to: 'b@example.com', text: 'Hello' }),
      ).rejects.toThrow();
      const mailsOf = async ({ test }: typeof client) => (await test('GET', 'mails?to=b@example.com')).body['mails'];
      await vi.waitFor(async () => expect(await mailsOf(client)).toHaveLength(1), deadline);
      first.child.kill('SIGTERM');
      expect(await first.exited).toEqual([0, null]);
      await broken;

      const second = start({ FAKES_MAILBOX_DIR, FAKES_SMTP_PORT: 'none' });
      expect(await mailsOf(await listening(second))).toMatchObject([{ to: ['b@example.com'] }]);
      expect(second.output.text).toContain('no mailbox');
    },
  );
});
