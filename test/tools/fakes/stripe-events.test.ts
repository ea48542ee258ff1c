import Stripe from 'stripe';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  deadline,
  makeLedgerPath,
  newOrderId,
  sendRequest,
  startFakesWithClient,
} from '../../support/fakes/fakes-client.js';
import { STRIPE_WEBHOOK_SECRET } from '../../support/fakes/running-fakes.js';
import {
  startWebhookReceiver,
  type ReceivedWebhook,
  type WebhookReceiver,
} from '../../support/network/webhook-receiver.js';

interface Event {
  id: string;
  type: string;
  data: { object: Record<string, unknown> };
}

async function start(options: { ledgerFile?: string } = {}) {
  const receiver = await startWebhookReceiver();
  onTestFinished(() => receiver.close());
  const fakes = await startFakesWithClient({
    stripeEventsUrl: receiver.url,
    stripeWebhookSecret: STRIPE_WEBHOOK_SECRET,
    ...options,
  });
  const { hostname: host, port } = new URL(fakes.base);
  const stripe = new Stripe('sk_test_fake', { host, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
  return { receiver, fakes, stripe, orderId: newOrderId() };
}

type Started = Awaited<ReturnType<typeof start>>;

const createIntent = async ({ stripe, orderId }: Started) =>
  (await stripe.paymentIntents.create({ amount: 1999, currency: 'eur', metadata: { orderId } })).id;

async function pay(started: Started, payment_method = 'pm_card_visa'): Promise<string> {
  const id = await createIntent(started);
  await started.stripe.paymentIntents.confirm(id, { payment_method }).catch(() => undefined);
  return id;
}

const eventOf = ({ body }: ReceivedWebhook) => JSON.parse(body) as Event;

function isValid({ body, headers }: ReceivedWebhook): boolean {
  try {
    Stripe.webhooks.constructEvent(body, headers['stripe-signature']!, STRIPE_WEBHOOK_SECRET);
    return true;
  } catch {
    return false;
  }
}

async function received({ receiver }: { receiver: WebhookReceiver }, count: number): Promise<ReceivedWebhook[]> {
  await vi.waitFor(() => expect(receiver.received).toHaveLength(count), deadline);
  return receiver.received;
}

describe('the events of the fake Stripe', () => {
  test('report each effect once, with a signature that the package of Stripe accepts', async () => {
    const started = await start();
    const { stripe, orderId } = started;
    const paid = await pay(started);
    await stripe.refunds.create({ payment_intent: paid });
    await stripe.paymentIntents.cancel(await createIntent(started));
    await pay(started, 'pm_card_chargeDeclined');

    const requests = await received(started, 4);
    expect(requests.every(isValid)).toBe(true);
    const events = new Map(requests.map(eventOf).map(({ type, data }) => [type, data.object]));
    expect([...events.keys()].sort()).toEqual([
      'charge.refunded',
      'payment_intent.canceled',
      'payment_intent.payment_failed',
      'payment_intent.succeeded',
    ]);
    expect(events.get('payment_intent.succeeded')).toMatchObject({
      id: paid,
      status: 'succeeded',
      metadata: { orderId },
    });
    expect(events.get('charge.refunded')).toMatchObject({
      payment_intent: paid,
      refunded: true,
      amount_refunded: 1999,
      metadata: { orderId },
    });
  });

  test('are repeated until the receiver accepts them, also after a restart', async () => {
    const ledgerFile = makeLedgerPath();
    const started = await start({ ledgerFile });
    started.receiver.respondWith(503);
    await pay(started);
    await vi.waitFor(() => expect(started.receiver.received.length).toBeGreaterThan(1), deadline);
    await started.fakes.close();

    const restarted = await start({ ledgerFile });
    const [request] = await received(restarted, 1);
    expect(eventOf(request!).id).toBe(eventOf(started.receiver.received[0]!).id);
    await vi.waitFor(
      () => expect(restarted.fakes.stripeEvents.list()).toMatchObject([{ state: 'delivered' }]),
      deadline,
    );
  });

  test.each([
    ['duplicate', [true, true]],
    ['stale', [false, true]],
    ['forged', [false, true]],
    ['delay', [true]],
  ] as const)('have the injected fault %s', async (fault, valid) => {
    const started = await start();
    const { fakes, orderId } = started;
    expect((await fakes.test('POST', 'stripe/faults', { fault, orderId, delayMs: 20 })).status).toBe(201);
    await pay(started);

    const requests = await received(started, valid.length);
    expect(requests.map(isValid)).toEqual(valid);
    expect(new Set(requests.map((request) => eventOf(request).id)).size).toBe(1);
  });

  test('arrive in the wrong order when a test sets the fault', async () => {
    const started = await start();
    await started.fakes.test('POST', 'stripe/faults', { fault: 'out-of-order', orderId: started.orderId });
    const id = await pay(started);
    await started.stripe.refunds.create({ payment_intent: id });

    expect((await received(started, 2)).map((request) => eventOf(request).type)).toEqual([
      'charge.refunded',
      'payment_intent.succeeded',
    ]);
  });

  test('report a dispute that a test opens', async () => {
    const started = await start();
    const { fakes, orderId } = started;
    const type = 'charge.dispute.created';
    expect((await fakes.test('POST', `stripe/events/${orderId}`, { type })).status).toBe(404);
    const id = await pay(started);
    expect((await fakes.test('POST', `stripe/events/${orderId}`, { type })).status).toBe(202);

    const dispute = (await received(started, 2)).map(eventOf).find((event) => event.type === type);
    expect(dispute).toMatchObject({ data: { object: { object: 'dispute', payment_intent: id } } });
    const { body } = await sendRequest('GET', `${fakes.base}/test/stripe/events?orderId=${orderId}`);
    expect(body['events']).toHaveLength(2);
  });

  test('are neither recorded nor sent without a receiver', async () => {
    const fakes = await startFakesWithClient();
    expect(fakes.stripeEvents.report({ orderId: 'any', type: 'payment_intent.succeeded', object: {} })).toBeUndefined();
    expect(fakes.stripeEvents.list()).toEqual([]);
  });
});
