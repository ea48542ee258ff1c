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
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { buildProviders, type Providers, type ProvidersOptions } from '../../dev/providers/app.js';

const secret = `whsec_${Buffer.from('a secret that only the tests know').toString('base64')}`;
const amount = { value: 1999, currency: 'EUR' };
const lines = [{ sku: 'mug-blue', quantity: 2 }];
const deadline = { timeout: 10_000, interval: 10 };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

let orders = 0;
const anOrderId = () => `order-${++orders}`;

function aLedgerFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'providers-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'ledger.jsonl');
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function call(url: string, method: string, body?: unknown, key?: string, signal?: AbortSignal): Promise<Answer> {
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
    call(base + path, 'POST', body, key, signal);
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
    payment: (orderId: string) => call(`${base}/payments/orders/${encodeURIComponent(orderId)}`, 'GET'),
    ship: (orderId: string, { key = `${orderId}/shipment`, sku = 'mug-blue' } = {}) =>
      post('/carrier/shipments', key, { orderId, lines: [{ sku, quantity: 2 }] }),
    cancel: (orderId: string, { key = `${orderId}/cancellation` } = {}) =>
      post('/carrier/cancellations', key, { orderId }),
    track: (orderId: string) => call(`${base}/carrier/shipments/${encodeURIComponent(orderId)}`, 'GET'),
    test: (method: string, path: string, body?: unknown) => call(`${base}/test/${path}`, method, body),
  };
}

async function startProviders(options: ProvidersOptions = {}): Promise<Providers & ReturnType<typeof clientOf>> {
  const providers = buildProviders({ webhookSecret: secret, autoDeliver: false, ...options });
  cleanups.push(providers.close);
  const base = await providers.app.listen({ port: 0, host: '127.0.0.1' });
  return { ...providers, ...clientOf(base) };
}

interface ReceivedWebhook {
  headers: Record<string, string>;
  body: string;
  status: string;
}

/** A shop that answers each webhook with the next given status, and 202 when there is none left. */
async function startShop(statuses: number[] = []) {
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

describe('payments', () => {
  it('when a charge is repeated with its key, then the first answer comes again and the money is taken once', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();

    const first = await providers.charge(orderId);
    const again = await Promise.all([providers.charge(orderId), providers.charge(orderId)]);

    expect(first).toEqual({
      status: 201,
      body: { chargeId: expect.stringMatching(/^ch_/), status: 'succeeded', amount },
    });
    expect(again).toEqual([first, first]);
    expect(providers.statement(orderId).charges).toEqual([
      { orderId, key: `${orderId}/charge`, chargeId: first.body['chargeId'], amount, status: 'succeeded' },
    ]);
  });

  it('when a key comes again with another body, then it is refused as a mismatch without an effect', async () => {
    const providers = await startProviders();
    const [orderId, other] = [anOrderId(), anOrderId()];
    await providers.charge(orderId);
    await providers.refund(orderId);
    await providers.ship(orderId);
    await providers.cancel(orderId);
    const before = providers.ledger.statement();

    const answers = [
      await providers.charge(orderId, { value: 5 }),
      await providers.refund(other, { key: `${orderId}/refund` }),
      await providers.ship(orderId, { sku: 'another' }),
      await providers.cancel(other, { key: `${orderId}/cancellation` }),
    ];

    const mismatch = { status: 422, body: { error: { code: 'idempotency_mismatch', message: expect.any(String) } } };
    expect(answers).toEqual([mismatch, mismatch, mismatch, mismatch]);
    expect(providers.ledger.statement()).toEqual(before);
  });

  it.each([
    ['tok_declined', 402, 'card_declined', ['declined']],
    ['tok_insufficient_funds', 402, 'insufficient_funds', ['declined']],
    ['tok_gateway_down', 503, 'gateway_unavailable', []],
    ['tok_unheard_of', 400, 'unknown_token', []],
    ['constructor', 400, 'unknown_token', []],
  ])('when %s pays, then the answer is %i %s each time and nothing is taken', async (token, status, code, charges) => {
    const providers = await startProviders();
    const orderId = anOrderId();

    const answers = [await providers.charge(orderId, { token }), await providers.charge(orderId, { token })];

    const expected = { status, body: { error: { code, message: expect.any(String) } } };
    expect(answers).toEqual([expected, expected]);
    expect(providers.statement(orderId).charges.map((charge) => charge.status)).toEqual(charges);
  });

  it('refunds the whole amount once for each key, and tells by order id what was done', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    const unknown = await providers.payment(orderId);
    const { body: charge } = await providers.charge(orderId);
    const charged = await providers.payment(orderId);

    const first = await providers.refund(orderId);
    const again = await providers.refund(orderId);
    const refunded = await providers.payment(orderId);
    // Whoever loses the key pays twice: the look-up by order id is what protects from that.
    await providers.refund(orderId, { key: 'another' });

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
    expect(providers.statement(orderId).refunds).toMatchObject([
      { orderId, key: `${orderId}/refund`, ...first.body },
      { orderId, key: 'another', status: 'refunded', amount },
    ]);
  });

  it('takes a call with a forgotten key for a new one, and still knows the order', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    const first = await providers.charge(orderId);
    expect(await providers.charge(orderId)).toEqual(first);

    expect(await providers.test('PUT', 'keys', { retentionSeconds: 0 })).toMatchObject({
      status: 200,
      body: { retentionSeconds: 0 },
    });
    await providers.charge(orderId);
    await providers.ship(orderId);
    await providers.ship(orderId);

    expect(providers.statement(orderId)).toMatchObject({
      charges: [
        { key: `${orderId}/charge`, chargeId: first.body['chargeId'], status: 'succeeded' },
        { key: `${orderId}/charge`, status: 'succeeded' },
      ],
      shipments: [{ key: `${orderId}/shipment` }, { key: `${orderId}/shipment` }],
    });
    const { chargeId } = providers.statement(orderId).charges[1]!;
    expect((await providers.payment(orderId)).body).toMatchObject({ charge: { chargeId }, refund: null });

    await providers.test('PUT', 'keys', { retentionSeconds: null });
    expect((await providers.charge(orderId)).body).toMatchObject({ chargeId });
    expect(providers.statement(orderId).charges).toHaveLength(2);
  });

  it('refuses a charge and a shipment that arrive after their void, also when the keys are forgotten', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    providers.keys.retentionSeconds = 0;

    expect(await providers.refund(orderId)).toEqual({ status: 200, body: { status: 'voided' } });
    expect(await providers.cancel(orderId)).toEqual({ status: 200, body: { status: 'voided' } });

    expect(await providers.charge(orderId)).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
    expect(await providers.ship(orderId)).toMatchObject({
      status: 409,
      body: { error: { code: 'shipment_cancelled' } },
    });
    expect((await providers.payment(orderId)).body).toEqual({ charge: null, refund: { status: 'voided' } });
  });

  it('when a charge that never came is refunded, then the order is void and the late charge is refused', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();

    const refunds = [await providers.refund(orderId), await providers.refund(orderId)];
    const late = await providers.charge(orderId);
    const afterwards = await providers.refund(orderId);

    const voided = { status: 200, body: { status: 'voided' } };
    expect([...refunds, afterwards]).toEqual([voided, voided, voided]);
    expect(late).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
    expect(providers.statement(orderId).charges).toEqual([]);
  });

  it('when a declined charge is refunded, then it is voided', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    await providers.charge(orderId, { token: 'tok_declined' });

    expect(await providers.refund(orderId)).toEqual({ status: 200, body: { status: 'voided' } });
  });

  it.each([
    ['no idempotency key', undefined, { orderId: 'o', amount, token: 'tok_ok' }, 'idempotency_key_required'],
    ['an unknown field', 'k', { orderId: 'o', amount, token: 'tok_ok', tip: 1 }, 'invalid_request'],
    ['an amount of zero', 'k', { orderId: 'o', amount: { ...amount, value: 0 }, token: 'tok_ok' }, 'invalid_request'],
    ['an empty order id', 'k', { orderId: '', amount, token: 'tok_ok' }, 'invalid_request'],
    ['no object', 'k', [], 'invalid_request'],
  ])('when a charge has %s, then it is 400 and nothing happens', async (_what, key, body, code) => {
    const providers = await startProviders();

    const answer = await providers.post('/payments/charges', key, body);

    expect(answer).toEqual({ status: 400, body: { error: { code, message: expect.any(String) } } });
    expect(providers.statement().charges).toEqual([]);
  });
});

describe('carrier', () => {
  it('when a shipment is repeated with its key, then there is one parcel and the same answer, even after it moved', async () => {
    const shop = await startShop();
    const providers = await startProviders({ callbackUrl: shop.url });
    const orderId = anOrderId();

    const first = await providers.ship(orderId);
    await providers.carrier.reportNow(orderId, 'in_transit');
    const again = await providers.ship(orderId);

    expect(first).toEqual({ status: 201, body: { shipmentId: expect.stringMatching(/^sh_/), status: 'accepted' } });
    expect(again).toEqual(first);
    expect(providers.statement(orderId).shipments).toEqual([
      { orderId, key: `${orderId}/shipment`, shipmentId: first.body['shipmentId'], lines, status: 'in_transit' },
    ]);
  });

  it('when a parcel is tracked, then its place in the ledger is told; one that nobody sent is unknown', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();

    const before = await providers.track(orderId);
    const { body } = await providers.ship(orderId);
    await providers.carrier.reportNow(orderId, 'in_transit');

    expect(before).toMatchObject({ status: 404, body: { error: { code: 'unknown_shipment' } } });
    expect(await providers.track(orderId)).toEqual({
      status: 200,
      body: { shipmentId: body['shipmentId'], status: 'in_transit' },
    });
  });

  it('when a parcel is cancelled before the pick-up, then it never moves', async () => {
    const shop = await startShop();
    const providers = await startProviders({ callbackUrl: shop.url });
    const [orderId, other] = [anOrderId(), anOrderId()];
    await providers.test('PUT', 'carrier', { autoDeliver: true, pickupSeconds: 0.5, deliverySeconds: 0.5 });
    const { body } = await providers.ship(orderId);

    const answers = [
      await providers.cancel(orderId),
      await providers.cancel(orderId),
      await providers.cancel(orderId, { key: 'another' }),
    ];
    await providers.ship(other);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    const cancelled = { status: 200, body: { status: 'cancelled', shipmentId: body['shipmentId'] } };
    expect(answers).toEqual([cancelled, cancelled, cancelled]);
    expect(shop.received.map(({ body }) => (JSON.parse(body) as { orderId: string }).orderId)).toEqual([other, other]);
    expect(providers.statement(orderId)).toMatchObject({
      shipments: [{ status: 'cancelled' }],
      cancellations: [{ orderId, key: `${orderId}/cancellation`, status: 'cancelled' }],
      reports: [],
    });
  });

  it.each(['in_transit', 'delivered', 'lost'] as const)(
    'when a parcel is %s, then it cannot be cancelled any more',
    async (status) => {
      const shop = await startShop();
      const providers = await startProviders({ callbackUrl: shop.url });
      const orderId = anOrderId();
      await providers.ship(orderId);
      await providers.carrier.reportNow(orderId, status);

      const answers = [await providers.cancel(orderId), await providers.cancel(orderId)];

      const refused = { status: 409, body: { error: { code: 'already_picked_up', message: expect.any(String) } } };
      expect(answers).toEqual([refused, refused]);
      expect(providers.statement(orderId)).toMatchObject({ shipments: [{ status }], cancellations: [] });
    },
  );

  it('when a shipment that never came is cancelled, then the order is void and the late shipment is refused', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();

    const cancelled = await providers.cancel(orderId);
    const late = await providers.ship(orderId);

    expect(cancelled).toEqual({ status: 200, body: { status: 'voided' } });
    expect(late).toMatchObject({ status: 409, body: { error: { code: 'shipment_cancelled' } } });
    expect(providers.statement(orderId).shipments).toEqual([]);
  });

  it('when a parcel moves by itself, then signed reports arrive in order at a shop that was made known later', async () => {
    const shop = await startShop();
    const providers = await startProviders({ autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0.05 });
    const orderId = anOrderId();
    const { body } = await providers.ship(orderId);
    await vi.waitFor(() => expect(providers.statement(orderId).reports).toHaveLength(2), deadline);
    expect(providers.statement(orderId).reports.map((report) => report.state)).toEqual(['pending', 'pending']);

    providers.setCallbackUrl(shop.url);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    const verified = shop.received.map(({ body, headers }) => new Webhook(secret).verify(body, headers));
    const { shipmentId } = body;
    expect(verified).toEqual([
      { orderId, shipmentId, status: 'in_transit' },
      { orderId, shipmentId, status: 'delivered' },
    ]);
    await vi.waitFor(
      () =>
        expect(providers.statement(orderId).reports.map((report) => report.state)).toEqual(['delivered', 'delivered']),
      deadline,
    );
  });

  it('when the shop refuses a report, then it is retried with the same id before the next one is sent', async () => {
    const shop = await startShop([503, 404, 302]);
    const providers = await startProviders({
      callbackUrl: shop.url,
      autoDeliver: true,
      pickupSeconds: 0,
      deliverySeconds: 0,
    });
    await providers.ship(anOrderId());

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

  it('when the shop does not know the order for too long, then the report is given up and the next one is sent', async () => {
    const shop = await startShop([503, 503, 404]);
    const providers = await startProviders({ callbackUrl: shop.url, giveUpUnknownAfterSeconds: 0 });
    const orderId = anOrderId();
    await providers.ship(orderId);

    expect(await providers.carrier.reportNow(orderId, 'in_transit')).toEqual({ delivered: false, status: 503 });
    await vi.waitFor(() => expect(providers.statement(orderId).reports[0]?.state).toBe('given_up'), deadline);
    expect(shop.received).toHaveLength(3);

    expect(await providers.carrier.reportNow(orderId, 'delivered')).toEqual({ delivered: true, status: 202 });
    expect(providers.statement(orderId).reports.map((report) => report.state)).toEqual(['given_up', 'delivered']);
  });

  it('when told to report, then the carrier sends a webhook each time, also a duplicate or one out of order', async () => {
    const shop = await startShop();
    const providers = await startProviders({ callbackUrl: shop.url });
    const orderId = anOrderId();
    await providers.ship(orderId);

    const answers = [];
    for (const status of ['delivered', 'delivered', 'in_transit']) {
      answers.push(await providers.test('POST', `shipments/${orderId}`, { status }));
    }

    const delivered = { status: 202, body: { delivered: true, status: 202 } };
    expect(answers).toEqual([delivered, delivered, delivered]);
    expect(shop.received.map(({ status }) => status)).toEqual(['delivered', 'delivered', 'in_transit']);
    expect(new Set(shop.received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    expect(providers.statement(orderId).shipments[0]?.status).toBe('delivered');
  });

  it('keeps its reports while it is silent, and sends them late', async () => {
    const shop = await startShop();
    const providers = await startProviders({ callbackUrl: shop.url });
    const orderId = anOrderId();
    const moves = { autoDeliver: true, pickupSeconds: 0, deliverySeconds: 0 };
    await providers.test('PUT', 'carrier', { orderId, silent: true, ...moves });
    await providers.ship(orderId);

    await vi.waitFor(
      async () => expect((await providers.track(orderId)).body).toMatchObject({ status: 'delivered' }),
      deadline,
    );
    expect(providers.statement(orderId).reports.map(({ state }) => state)).toEqual(['pending', 'pending']);
    expect(shop.received).toEqual([]);

    await providers.test('PUT', 'carrier', { orderId, silent: false });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
  });

  it('cancels a parcel itself when told to, and says so to the tracking and to a later cancellation', async () => {
    const shop = await startShop();
    const providers = await startProviders({ callbackUrl: shop.url });
    const orderId = anOrderId();
    const { body } = await providers.ship(orderId);

    await providers.test('POST', `shipments/${orderId}`, { status: 'cancelled' });

    expect(shop.received.map(({ status }) => status)).toEqual(['cancelled']);
    expect((await providers.track(orderId)).body).toEqual({ shipmentId: body['shipmentId'], status: 'cancelled' });
    expect((await providers.cancel(orderId)).body).toMatchObject({ status: 'cancelled' });
  });

  it('reports about another parcel, an unknown status and more fields when told to; the parcel stays as it is', async () => {
    const shop = await startShop();
    const providers = await startProviders({ callbackUrl: shop.url });
    const [orderId, withoutParcel] = [anOrderId(), anOrderId()];
    const { body } = await providers.ship(orderId);

    await providers.test('POST', `shipments/${orderId}`, { status: 'delivered', shipmentId: 'sh_other' });
    await providers.test('POST', `shipments/${withoutParcel}`, { status: 'in_transit', shipmentId: 'sh_early' });
    await providers.test('POST', `shipments/${orderId}`, { status: 'out_for_delivery', extra: { depot: 'B12' } });

    expect(shop.received.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { orderId, shipmentId: 'sh_other', status: 'delivered' },
      { orderId: withoutParcel, shipmentId: 'sh_early', status: 'in_transit' },
      { orderId, shipmentId: body['shipmentId'], status: 'out_for_delivery', depot: 'B12' },
    ]);
    expect((await providers.track(orderId)).body).toMatchObject({ status: 'accepted' });
  });

  it('answers questions as told: tracking is down for a while, a cancellation comes too late', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    await providers.ship(orderId);
    await providers.test('POST', 'faults', { on: 'tracking', orderId, fault: 'error', times: 2 });
    const tooLate = { fault: 'error', status: 409, code: 'already_picked_up' };
    await providers.test('POST', 'faults', { on: 'cancellation', orderId, ...tooLate });
    await providers.test('POST', 'faults', { on: 'payment', orderId, fault: 'unreachable' });

    expect([await providers.track(orderId), await providers.track(orderId)]).toMatchObject([
      { status: 503 },
      { status: 503 },
    ]);
    expect(await providers.track(orderId)).toMatchObject({ status: 200, body: { status: 'accepted' } });
    expect(await providers.cancel(orderId)).toMatchObject({
      status: 409,
      body: { error: { code: 'already_picked_up' } },
    });
    await expect(providers.payment(orderId)).rejects.toThrow('fetch failed');
    expect(await providers.payment(orderId)).toMatchObject({ status: 200 });
  });

  it('answers with a page and Retry-After when told to', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    providers.faults.add({ on: 'charge', orderId, fault: 'error', status: 503, code: null, retryAfter: '7' });

    const response = await fetch(`${providers.base}/payments/charges`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'k' },
      body: JSON.stringify({ orderId, amount, token: 'tok_ok' }),
    });

    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7']);
    expect(await response.text()).toContain('<html>');
  });

  it('when told to report while the shop is away, then the answer says so and the report is retried', async () => {
    const shop = await startShop([503]);
    const providers = await startProviders({ callbackUrl: shop.url });
    const orderId = anOrderId();
    await providers.ship(orderId);

    const answer = await providers.test('POST', `shipments/${orderId}`, { status: 'lost' });

    expect(answer).toEqual({ status: 202, body: { delivered: false, status: 503 } });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);
    expect(shop.received[0]?.headers['webhook-id']).toBe(shop.received[1]?.headers['webhook-id']);
  });

  it('when one order is told how to move, then its parcel moves at those times and the others stay', async () => {
    const shop = await startShop();
    const providers = await startProviders({ callbackUrl: shop.url, deliverySeconds: 600 });
    const [orderId, other] = [anOrderId(), anOrderId()];
    await providers.ship(other);
    await providers.ship(orderId);

    const answer = await providers.test('PUT', 'carrier', { orderId, autoDeliver: true, pickupSeconds: 0 });
    await vi.waitFor(() => expect(shop.received).toHaveLength(1), deadline);
    const inBetween = providers.statement(orderId).shipments[0]?.status;
    providers.carrier.configure({ deliverySeconds: 0 }, orderId);
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    expect(answer).toEqual({
      status: 200,
      body: { autoDeliver: true, pickupSeconds: 0, deliverySeconds: 600, silent: false },
    });
    expect(inBetween).toBe('in_transit');
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
    expect(providers.statement(other).shipments[0]?.status).toBe('accepted');
  });
});

describe('ledger', () => {
  it('when the server restarts, also after a torn write, then it knows all that it answered', async () => {
    const ledgerFile = aLedgerFile();
    const [orderId, voided] = [anOrderId(), anOrderId()];
    const first = await startProviders({ ledgerFile });
    const before = [
      await first.charge(orderId),
      await first.refund(orderId),
      await first.refund(voided),
      await first.ship(orderId),
      await first.cancel(orderId),
    ];
    const statement = first.ledger.statement();
    await first.close();
    appendFileSync(ledgerFile, '{"type":"charge","charge":{"key":"to');

    const second = await startProviders({ ledgerFile });
    expect(second.ledger.statement()).toEqual(statement);
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
    const another = await second.charge(anOrderId());
    await second.close();

    const third = await startProviders({ ledgerFile });
    expect(third.statement().charges.map((charge) => charge.chargeId)).toEqual([
      before[0]?.body['chargeId'],
      another.body['chargeId'],
    ]);
  });

  it('when a line in the middle of the journal is damaged, then the server refuses to start and names it', async () => {
    const ledgerFile = aLedgerFile();
    appendFileSync(ledgerFile, 'not an entry\n{"type":"reportClosed","reportId":"r","state":"delivered"}\n');

    expect(() => buildProviders({ ledgerFile })).toThrow(/ledger\.jsonl is damaged at line 1/);
  });

  it('when an answer arrives, then its entry is already in the journal', async () => {
    const ledgerFile = aLedgerFile();
    const providers = await startProviders({ ledgerFile });
    const orderIds = Array.from({ length: 20 }, anOrderId);

    await Promise.all(
      orderIds.map(async (orderId) => {
        const { body } = await providers.charge(orderId);
        expect(readFileSync(ledgerFile, 'utf8')).toContain(String(body['chargeId']));
      }),
    );
  });

  it('when the server restarts with parcels on the way, then it moves them on and sends the open reports', async () => {
    const ledgerFile = aLedgerFile();
    const orderId = anOrderId();
    const first = await startProviders({ ledgerFile });
    await first.ship(orderId);
    await first.carrier.reportNow(orderId, 'in_transit');
    const reportId = first.statement(orderId).reports[0]?.reportId;
    await first.close();

    const shop = await startShop();
    const second = await startProviders({ ledgerFile, callbackUrl: shop.url, autoDeliver: true, deliverySeconds: 0 });
    await vi.waitFor(() => expect(shop.received).toHaveLength(2), deadline);

    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered']);
    expect(shop.received[0]?.headers['webhook-id']).toBe(reportId);
    await vi.waitFor(
      () => expect(second.statement(orderId).reports.every((report) => report.state === 'delivered')).toBe(true),
      deadline,
    );
    await second.close();

    const third = await startProviders({ ledgerFile, callbackUrl: shop.url, autoDeliver: true });
    const other = anOrderId();
    await third.ship(other);
    await third.carrier.reportNow(other, 'lost');
    expect(shop.received.map(({ status }) => status)).toEqual(['in_transit', 'delivered', 'lost']);
  });
});

describe('faults', () => {
  it.each([
    ['lose-answer', 1],
    ['unreachable', 0],
  ] as const)('when the fault is %s, then the connection breaks after %i effects', async (fault, effects) => {
    const providers = await startProviders();
    const orderId = anOrderId();
    await providers.test('POST', 'faults', { on: 'charge', orderId, fault });

    await expect(providers.charge(orderId)).rejects.toThrow('fetch failed');
    expect(providers.statement(orderId).charges).toHaveLength(effects);

    expect(await providers.charge(orderId)).toMatchObject({ status: 201 });
    const { charges, requests } = providers.statement(orderId);
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

  it('when the fault is an error, then the status is answered without an effect as often as told', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    providers.faults.add({ on: 'refund', fault: 'error', status: 500, times: 2 });

    const answers = [await providers.refund(orderId), await providers.refund(orderId)];

    expect(answers.map(({ status }) => status)).toEqual([500, 500]);
    expect(providers.statement(orderId).refunds).toEqual([]);
    expect(await providers.refund(orderId)).toMatchObject({ status: 200 });
  });

  it('when the fault is malformed, then the effect happens and the body is not the agreed one', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    providers.faults.add({ on: 'shipment', orderId, fault: 'malformed' });

    expect(await providers.ship(orderId)).toEqual({ status: 200, body: { unexpected: 'shape' } });
    expect(providers.statement(orderId).shipments).toHaveLength(1);
  });

  it('when the fault is slow, then the effect happens at once and the answer comes after the delay', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    providers.faults.add({ on: 'charge', orderId, fault: 'slow', delayMs: 100 });
    providers.faults.add({ on: 'charge', orderId, fault: 'slow', delayMs: 600_000 });
    const started = performance.now();

    expect(await providers.charge(orderId)).toMatchObject({ status: 201 });
    expect(performance.now() - started).toBeGreaterThanOrEqual(99);

    const unanswered = providers.charge(orderId, { key: 'another' });
    await vi.waitFor(() => expect(providers.statement(orderId).charges).toHaveLength(2), deadline);
    expect(providers.statement(orderId).requests.at(-1)).toMatchObject({ status: null, fault: 'slow' });
    await providers.close();
    expect(await unanswered).toMatchObject({ status: 201 });
  });

  it('when a fault is for another kind, another order or deleted, then the call is not hit', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    providers.faults.add({ on: 'charge', fault: 'error', times: -1 });
    expect((await providers.charge(orderId)).status).toBe(503);
    expect((await providers.charge(orderId)).status).toBe(503);
    await providers.test('DELETE', 'faults');
    providers.faults.add({ on: 'refund', orderId, fault: 'error' });
    providers.faults.add({ on: 'charge', orderId: 'another', fault: 'error' });

    expect((await providers.charge(orderId)).status).toBe(201);
  });

  it('when a fault is not one, then it is refused', async () => {
    const providers = await startProviders();

    const answer = await providers.test('POST', 'faults', { on: 'charge', fault: 'explode' });

    expect(answer).toEqual({
      status: 400,
      body: { error: { code: 'invalid_request', message: expect.stringContaining('fault') } },
    });
  });
});

describe('holds', () => {
  it('when the answer is held, then the effect is in the ledger on arrival and the answer comes at the release', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    const hold = providers.hold('charge', orderId);

    const answer = providers.charge(orderId);
    await hold.arrived;
    expect(providers.statement(orderId)).toMatchObject({
      charges: [{ status: 'succeeded' }],
      requests: [{ status: null }],
    });
    await hold.release();

    expect(await answer).toMatchObject({ status: 201 });
    expect(await providers.charge(orderId)).toEqual(await answer);
  });

  it('when the effect is held and the key voided meanwhile, then the released charge is refused', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    const hold = providers.hold('charge', orderId, { effect: 'after' });

    const answer = providers.charge(orderId);
    await hold.arrived;
    expect(providers.statement(orderId).charges).toEqual([]);
    expect(await providers.refund(orderId)).toMatchObject({ body: { status: 'voided' } });
    await hold.release();

    expect(await answer).toMatchObject({ status: 409, body: { error: { code: 'charge_voided' } } });
  });

  it.each([
    [true, 1],
    [false, 0],
  ])(
    'when the client leaves during a held effect and evenIfAborted is %s, then there are %i effects',
    async (evenIfAborted, effects) => {
      const providers = await startProviders();
      const orderId = anOrderId();
      const hold = providers.hold('charge', orderId, { effect: 'after', evenIfAborted });
      const client = new AbortController();

      const answer = providers.charge(orderId, { signal: client.signal });
      const aborted = expect(answer).rejects.toThrow('aborted');
      await hold.arrived;
      client.abort();
      await aborted;
      await hold.abandoned;
      await hold.release();

      const { charges, requests } = providers.statement(orderId);
      expect(charges).toHaveLength(effects);
      expect(requests).toMatchObject([{ status: null }]);
    },
  );

  it('when held over HTTP, then arrivals can be read, other orders pass and deleting releases', async () => {
    const providers = await startProviders();
    const [orderId, other] = [anOrderId(), anOrderId()];
    const { status, body } = await providers.test('POST', 'holds', { on: 'shipment', orderId });
    const hold = `holds/${String(body['holdId'])}`;
    expect({ status, body }).toMatchObject({ status: 201, body: { arrived: 0, abandoned: 0, effect: 'before' } });

    const answer = providers.ship(orderId);
    await vi.waitFor(
      async () => expect((await providers.test('GET', hold)).body).toMatchObject({ arrived: 1 }),
      deadline,
    );
    expect(await providers.ship(other)).toMatchObject({ status: 201 });
    expect(await providers.test('DELETE', hold)).toMatchObject({ status: 204 });

    expect(await answer).toMatchObject({ status: 201 });
    expect(await providers.test('GET', hold)).toMatchObject({ status: 404 });
  });

  it('when the server closes, then a held call ends without an effect', async () => {
    const providers = await startProviders();
    const orderId = anOrderId();
    const hold = providers.hold('charge', orderId, { effect: 'after' });

    const broken = expect(providers.charge(orderId)).rejects.toThrow('fetch failed');
    await hold.arrived;
    await providers.close();

    await broken;
    expect(providers.statement(orderId).charges).toEqual([]);
  });
});

describe('closing', () => {
  it('when a client keeps a connection that never sent a request, then closing does not wait for it', async () => {
    const providers = await startProviders();
    const accepted = once(providers.app.server, 'connection');
    const connection = connect(Number(new URL(providers.base).port), '127.0.0.1');
    await accepted;
    const closed = once(connection, 'close');

    await providers.close();

    await closed;
  });
});

describe('the process', () => {
  const main = fileURLToPath(new URL('../../dev/providers/main.ts', import.meta.url));

  function start(env: Record<string, string>) {
    const child = spawn(process.execPath, ['--import', 'tsx', main], {
      env: { PATH: process.env['PATH'], PROVIDERS_PORT: '0', PROVIDERS_SMTP_PORT: '0', ...env },
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

  it(
    'when it is killed and started again, then it still knows a charge; on SIGTERM it ends with 0',
    { timeout: 60_000 },
    async () => {
      const PROVIDERS_LEDGER = aLedgerFile();
      const orderId = anOrderId();
      const first = start({ PROVIDERS_LEDGER });
      const charge = await (await listening(first)).charge(orderId);
      first.child.kill('SIGKILL');
      await first.exited;

      const second = start({ PROVIDERS_LEDGER });
      const client = await listening(second);
      expect(charge.status).toBe(201);
      expect(await client.charge(orderId)).toEqual(charge);
      expect(await call(`${client.base}/healthz`, 'GET')).toEqual({ status: 200, body: { status: 'ok' } });

      second.child.kill('SIGTERM');
      expect(await second.exited).toEqual([0, null]);
    },
  );

  it('when its settings are wrong, then it ends at once and names each of them', { timeout: 60_000 }, async () => {
    const { output, exited } = start({ PROVIDERS_PORT: 'many', CARRIER_WEBHOOK_SECRET: 'hush' });

    expect(await exited).toEqual([1, null]);
    expect(output.text).toMatch(/PROVIDERS_PORT/);
    expect(output.text).toMatch(/CARRIER_WEBHOOK_SECRET/);
  });

  it.each(['PROVIDERS_PORT', 'PROVIDERS_SMTP_PORT'])(
    'when the port of %s is taken, then it ends and names both',
    { timeout: 60_000 },
    async (variable) => {
      const providers = await startProviders();
      const port = new URL(providers.base).port;

      const { output, exited } = start({ [variable]: port });

      expect(await exited).toEqual([1, null]);
      expect(output.text).toContain(`Port ${port} on 127.0.0.1 is taken; set ${variable} to another one.`);
    },
  );

  it(
    'when it stops while the mail server hangs, then it ends, and the mail is in its folder; without a port it takes none',
    { timeout: 60_000 },
    async () => {
      const PROVIDERS_MAILS = join(aLedgerFile(), 'mails');
      const first = start({ PROVIDERS_MAILS });
      const client = await listening(first);
      const transport = createTransport(/mailbox at (smtp:[\d./:]+)/.exec(first.output.text)?.[1]);
      await client.test('POST', 'mails/refusals', { to: 'b@example.com', delayMs: 600_000, kept: true });
      const broken = expect(
        transport.sendMail({ from: 'a@example.com', to: 'b@example.com', text: 'Hello' }),
      ).rejects.toThrow();
      const mailsOf = async ({ test }: typeof client) => (await test('GET', 'mails?to=b@example.com')).body['mails'];
      await vi.waitFor(async () => expect(await mailsOf(client)).toHaveLength(1), deadline);
      first.child.kill('SIGTERM');
      expect(await first.exited).toEqual([0, null]);
      await broken;

      const second = start({ PROVIDERS_MAILS, PROVIDERS_SMTP_PORT: 'none' });
      expect(await mailsOf(await listening(second))).toMatchObject([{ to: ['b@example.com'] }]);
      expect(second.output.text).toContain('no mailbox');
    },
  );
});
