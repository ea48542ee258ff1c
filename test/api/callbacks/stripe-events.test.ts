import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore, type Store } from '../../../src/store/index.js';
import { createClient } from '../../../src/temporal/connections.js';
import { PREVIOUS_STRIPE_WEBHOOK_SECRET, signStripeEvent, startApi, type Api } from '../../support/api/api.js';
import { createDatabase } from '../../support/database/database.js';
import { STRIPE_WEBHOOK_SECRET } from '../../support/fakes/running-fakes.js';
import { freePort } from '../../support/processes.js';

const PATH = '/v1/callbacks/stripe';
const OTHER_SECRET = 'whsec_secretOfAnotherAccount';

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;
let api: Api;
beforeAll(async () => {
  database = await createDatabase();
  // The privileges of worker and API.
  store = openStore({ databaseUrl: database.appUrl, maxConnections: 2, onIdleError: () => undefined });
  const client = createClient({ TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`, TEMPORAL_NAMESPACE: 'default' });
  api = await startApi({ client, store });
});
afterAll(async () => {
  await api?.close();
  await store?.close();
  await database?.drop();
});

const newId = (prefix: string) => `${prefix}_${randomUUID().replaceAll('-', '')}`;

function makeEvent(type: string, object: object) {
  return { id: newId('evt'), object: 'event', type, created: 1_772_357_400, livemode: false, data: { object } };
}

function makeSuccess(orderId: string, chargeId = newId('pi')) {
  return makeEvent('payment_intent.succeeded', { id: chargeId, object: 'payment_intent', metadata: { orderId } });
}

const send = (event: unknown, signing: Parameters<typeof signStripeEvent>[1] = {}) =>
  api.request('POST', PATH, signStripeEvent(event, signing));

const recorded = (column: 'charge_id' | 'order_id', value: string) =>
  store.db.selectFrom('payment_events').selectAll().where(column, '=', value).execute();

const minutesFromNow = (minutes: number) => new Date(Date.now() + minutes * 60_000);

describe(`POST ${PATH}`, () => {
  test('records an event once when Stripe repeats it, also at the same time', async () => {
    const event = makeSuccess('stripe-repeated', 'pi_repeated');
    const answers = await Promise.all([send(event), send(event), send(event)]);

    for (const answer of answers) expect(answer).toMatchObject({ status: 202, body: { status: 'accepted' } });
    expect(await send(event)).toMatchObject({ status: 202 });
    expect(await recorded('order_id', 'stripe-repeated')).toEqual([
      {
        event_id: event.id,
        type: 'charged',
        charge_id: 'pi_repeated',
        order_id: 'stripe-repeated',
        dispute_id: null,
        received_at: expect.any(Date),
      },
    ]);
  });

  test('records refunds and disputes with the charge', async () => {
    const chargeId = newId('pi');
    const object = { id: 'ch_1', payment_intent: chargeId, refunded: true, metadata: { orderId: 'stripe-refunded' } };
    const dispute = { id: 'dp_1', payment_intent: chargeId };
    for (const event of [
      makeEvent('charge.refunded', object),
      makeEvent('charge.dispute.closed', dispute),
      makeEvent('charge.dispute.created', dispute),
    ])
      expect((await send(event)).status).toBe(202);

    expect(await recorded('charge_id', chargeId)).toMatchObject([
      { type: 'refunded', order_id: 'stripe-refunded', dispute_id: null },
      { type: 'dispute_closed', order_id: null, dispute_id: 'dp_1' },
      { type: 'dispute_opened', order_id: null, dispute_id: 'dp_1' },
    ]);
  });

  test.each([
    ['with the previous secret of the shop during a rotation', [PREVIOUS_STRIPE_WEBHOOK_SECRET]],
    ['twice while the secret is rolled in Stripe', [OTHER_SECRET, STRIPE_WEBHOOK_SECRET]],
  ])('accepts an event that is signed %s', async (_kind, secrets) => {
    const chargeId = newId('pi');
    expect((await send(makeSuccess('stripe-rotated', chargeId), { secrets })).status).toBe(202);
    expect(await recorded('charge_id', chargeId)).toHaveLength(1);
  });

  test.each([
    ['four minutes old', minutesFromNow(-4), 202],
    ['four minutes ahead', minutesFromNow(4), 202],
    ['six minutes old', minutesFromNow(-6), 401],
    ['six minutes ahead', minutesFromNow(6), 401],
  ])('answers an event whose signature is %s', async (_age, timestamp, status) => {
    const chargeId = newId('pi');
    expect((await send(makeSuccess('stripe-timestamps', chargeId), { timestamp })).status).toBe(status);
    expect(await recorded('charge_id', chargeId)).toHaveLength(status === 202 ? 1 : 0);
  });

  test.each<[string, (text: string) => Record<string, string>]>([
    ['the secret of another account', (text) => signStripeEvent(text, { secrets: [OTHER_SECRET] }).headers!],
    ['another body', () => signStripeEvent('{}').headers!],
    ['no signature', () => ({ 'content-type': 'application/json' })],
    ['an empty signature', () => ({ 'content-type': 'application/json', 'stripe-signature': '' })],
    ['an unreadable signature', () => ({ 'content-type': 'application/json', 'stripe-signature': 't=now,v1=,=,,v0' })],
    [
      'a signature of another scheme',
      (text) => {
        const { headers } = signStripeEvent(text);
        return { ...headers, 'stripe-signature': headers!['stripe-signature']!.replace('v1=', 'v0=') };
      },
    ],
    [
      'a timestamp that was changed',
      (text) => {
        const { headers } = signStripeEvent(text, { timestamp: minutesFromNow(-6) });
        const signature = headers!['stripe-signature']!;
        return { ...headers, 'stripe-signature': `${signature},t=${Math.floor(Date.now() / 1_000)}` };
      },
    ],
  ])('rejects an event with %s with 401', async (_kind, headersFor) => {
    const chargeId = newId('pi');
    const text = JSON.stringify(makeSuccess('stripe-forged', chargeId));

    expect(await api.request('POST', PATH, { text, headers: headersFor(text) })).toMatchObject({
      status: 401,
      body: { status: 401, detail: expect.stringContaining('stripe-signature') },
    });
    expect(await recorded('charge_id', chargeId)).toEqual([]);
  });

  test.each([
    ['of an unknown type', makeEvent('invoice.paid', { id: 'in_1' })],
    ['of a failed payment', makeEvent('payment_intent.payment_failed', { id: 'pi_ignored', metadata: {} })],
    ['about a payment without an order', makeEvent('payment_intent.succeeded', { id: 'pi_ignored', metadata: {} })],
    [
      'about an order id that the shop cannot have',
      makeEvent('payment_intent.succeeded', { id: 'pi_ignored', metadata: { orderId: 'no order!' } }),
    ],
    [
      'about a partial refund',
      makeEvent('charge.refunded', {
        payment_intent: 'pi_ignored',
        refunded: false,
        metadata: { orderId: 'stripe-partial' },
      }),
    ],
    ['about a dispute without a PaymentIntent', makeEvent('charge.dispute.created', { id: 'dp_ignored' })],
  ])('ignores an event %s with 200', async (_kind, event) => {
    expect(await send(event)).toMatchObject({ status: 200, body: { status: 'ignored' } });
    expect(await recorded('charge_id', 'pi_ignored')).toEqual([]);
  });

  test.each([
    ['not JSON', '{', '400'],
    ['not an object', '[]', '400'],
    ['not an event', JSON.stringify({ object: 'event' }), '400'],
    ['an event without a charge id', JSON.stringify(makeEvent('payment_intent.succeeded', { id: '' })), '400'],
    ['an event with NUL', JSON.stringify(makeSuccess('stripe-nul', 'pi_\u0000')), '400'],
    [
      'an event whose metadata is a text',
      JSON.stringify(makeEvent('payment_intent.succeeded', { id: 'pi_1', metadata: 'x' })),
      '400',
    ],
    ['too deeply nested', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, '400'],
    ['too long', JSON.stringify({ id: 'x'.repeat(300_000) }), '413'],
  ])('rejects a signed body that is %s', async (_kind, text, status) => {
    expect(await send(text)).toMatchObject({ status: Number(status), body: { status: Number(status) } });
  });

  test('ignores fields that the shop does not know, also with inexact numbers', async () => {
    const chargeId = newId('pi');
    const event = makeSuccess('stripe-unknown-fields', chargeId);
    const text = JSON.stringify({ ...event, future: true }).replace(
      '"livemode"',
      '"rate":0.1234567890123456789,"livemode"',
    );
    expect((await send(text)).status).toBe(202);
    expect(await recorded('charge_id', chargeId)).toHaveLength(1);
  });
});
