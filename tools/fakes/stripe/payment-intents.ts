import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { FakeResponse } from '../calls/responses.js';
import type { IdempotencyKeys } from '../ledger/idempotency-keys.js';
import type { Charge, PaymentIntent, Refund, StripeEvent } from '../ledger/ledger-entries.js';
import type { Ledger } from '../ledger/ledger.js';
import type { StripeEventSender } from './event-sender.js';
import { isExpanded, type Form } from './form.js';
import { idempotencyError, invalidRequest, noSuchIntent, replayed, stripeError } from './responses.js';

const createSchema = z.object({
  amount: z.coerce.number().int().min(1).max(99_999_999),
  currency: z.string().regex(/^[a-z]{3}$/),
  metadata: z.object({ orderId: z.string().min(1).max(200) }),
});
const confirmSchema = z.object({ payment_method: z.string().min(1) });
const refundSchema = z.object({ payment_intent: z.string().min(1) });
const listSchema = z.object({
  created: z.object({ gte: z.coerce.number(), lt: z.coerce.number() }).partial().default({}),
  limit: z.coerce.number().int().min(1).max(100).default(10),
  starting_after: z.string().optional(),
});

/** Payment methods by their decline code. Stripe's own test payment methods work too. */
const DECLINE_CODES: Readonly<Record<string, string>> = {
  tok_declined: 'generic_decline',
  pm_card_chargeDeclined: 'generic_decline',
  tok_insufficient_funds: 'insufficient_funds',
  pm_card_chargeDeclinedInsufficientFunds: 'insufficient_funds',
};
const ACCEPTED_METHODS: readonly string[] = ['tok_ok', 'pm_card_visa', 'pm_card_mastercard'];
const MESSAGES: Readonly<Record<string, string>> = {
  generic_decline: 'Your card was declined.',
  insufficient_funds: 'Your card has insufficient funds.',
};

/** `tok_ok-0042` behaves like `tok_ok`. */
const methodKind = (method: string) => method.replace(/-.*$/, '');

/**
 * The calls of Stripe's API that the shop uses, on the ledger of the fake payment gateway. The amounts in the ledger are
 * the amounts of Stripe's wire.
 */
export function createPaymentIntents(ledger: Ledger, keys: IdempotencyKeys, events: StripeEventSender) {
  function create(key: string, form: Form): FakeResponse {
    const parsed = createSchema.safeParse(form);
    if (!parsed.success) return invalidRequest(z.prettifyError(parsed.error));
    const earlier = keys.unlessExpired(ledger.intents.findByKey(key));
    if (earlier)
      return isDeepStrictEqual(earlier.parameters, form)
        ? replayed({ status: 200, body: { ...toBody(earlier, form), status: 'requires_payment_method' } })
        : idempotencyError(key);
    const { amount, currency, metadata } = parsed.data;
    const intent: PaymentIntent = {
      at: new Date().toISOString(),
      key,
      request: { orderId: metadata.orderId, amount: { value: amount, currency: currency.toUpperCase() } },
      intentId: `pi_${randomUUID().replaceAll('-', '')}`,
      parameters: form,
    };
    ledger.append({ type: 'intent', intent });
    return { status: 200, body: toBody(intent, form) };
  }

  function confirm(key: string, intent: PaymentIntent, form: Form): FakeResponse {
    const parsed = confirmSchema.safeParse(form);
    if (!parsed.success) return invalidRequest(z.prettifyError(parsed.error));
    const token = parsed.data.payment_method;
    const request = { ...intent.request, token };
    const earlier = keys.unlessExpired(ledger.charges.findByKey(key));
    if (earlier)
      return earlier.chargeId === intent.intentId && earlier.request.token === token
        ? replayed(confirmResponse(earlier, intent, form))
        : idempotencyError(key);
    const status = statusOf(intent);
    if (status === 'canceled' || status === 'succeeded') return unexpectedState(intent, 'confirm');

    const kind = methodKind(token);
    if (kind === 'tok_gateway_down')
      return stripeError(503, { type: 'api_error', message: 'The bank cannot be reached.' });
    const isDeclined = Object.hasOwn(DECLINE_CODES, kind);
    if (!isDeclined && !ACCEPTED_METHODS.includes(kind))
      return invalidRequest(`No such PaymentMethod: '${token}'`, { code: 'resource_missing', param: 'payment_method' });
    const charge: Charge = {
      at: new Date().toISOString(),
      key,
      request,
      chargeId: intent.intentId,
      status: isDeclined ? 'declined' : 'succeeded',
    };
    ledger.append({ type: 'charge', charge });
    report(intent, isDeclined ? 'payment_intent.payment_failed' : 'payment_intent.succeeded');
    return confirmResponse(charge, intent, form);
  }

  function cancel(key: string, intent: PaymentIntent, form: Form): FakeResponse {
    const earlier = keys.unlessExpired(ledger.refunds.findByKey(key));
    if (earlier)
      return earlier.intentId === intent.intentId
        ? replayed({ status: 200, body: toBody(intent, form) })
        : idempotencyError(key);
    const status = statusOf(intent);
    if (status === 'canceled' || status === 'succeeded') return unexpectedState(intent, 'cancel');
    appendRefund(key, intent, { status: 'voided' });
    report(intent, 'payment_intent.canceled');
    return { status: 200, body: toBody(intent, form) };
  }

  function refund(key: string, form: Form): FakeResponse {
    const parsed = refundSchema.safeParse(form);
    if (!parsed.success) return invalidRequest(z.prettifyError(parsed.error));
    const intent = ledger.findIntent(parsed.data.payment_intent);
    if (!intent) return noSuchIntent(parsed.data.payment_intent);
    const earlier = keys.unlessExpired(ledger.refunds.findByKey(key));
    if (earlier)
      return earlier.intentId === intent.intentId
        ? replayed({ status: 200, body: refundBody(earlier) })
        : idempotencyError(key);
    if (statusOf(intent) !== 'succeeded')
      return invalidRequest('This PaymentIntent does not have a successful charge to refund.');
    if (isRefunded(intent))
      return invalidRequest('The charge has already been refunded.', { code: 'charge_already_refunded' });
    const refundId = `re_${randomUUID().replaceAll('-', '')}`;
    const refunded = appendRefund(key, intent, { status: 'refunded', refundId, amount: intent.request.amount });
    report(intent, 'charge.refunded');
    return { status: 200, body: refundBody(refunded) };
  }

  function retrieve(intent: PaymentIntent, query: Form): FakeResponse {
    return { status: 200, body: toBody(intent, query) };
  }

  /** Returns the PaymentIntents of an order, newest first. */
  function search(orderId: string, query: Form): FakeResponse {
    const data = ledger.intents
      .findByOrder(orderId)
      .toReversed()
      .map((intent) => toBody(intent, query));
    return {
      status: 200,
      body: { object: 'search_result', url: '/v1/payment_intents/search', has_more: false, data, next_page: null },
    };
  }

  /** Lists the PaymentIntents of a period, newest first. */
  function list(query: Form): FakeResponse {
    const parsed = listSchema.safeParse(query);
    if (!parsed.success) return invalidRequest(z.prettifyError(parsed.error));
    const { created, limit, starting_after: after } = parsed.data;
    const { gte = 0, lt = Infinity } = created;
    const inPeriod = ledger.intents.all
      .filter((intent) => createdAt(intent) >= gte && createdAt(intent) < lt)
      .reverse();
    const first = inPeriod.findIndex(({ intentId }) => intentId === after) + 1;
    const data = inPeriod.slice(first, first + limit).map((intent) => toBody(intent, query));
    const hasMore = first + limit < inPeriod.length;
    return { status: 200, body: { object: 'list', url: '/v1/payment_intents', has_more: hasMore, data } };
  }

  function appendRefund(key: string, intent: PaymentIntent, outcome: Refund['outcome']): Refund {
    const { orderId } = intent.request;
    const refund: Refund = {
      at: new Date().toISOString(),
      key,
      request: { orderId },
      outcome,
      intentId: intent.intentId,
    };
    ledger.append({ type: 'refund', refund });
    return refund;
  }

  const chargesOf = ({ intentId, request }: PaymentIntent) =>
    ledger.charges.findByOrder(request.orderId).filter(({ chargeId }) => chargeId === intentId);

  const refundOf = ({ intentId, request }: PaymentIntent, status: 'refunded' | 'voided') =>
    ledger.refunds
      .findByOrder(request.orderId)
      .find((each) => each.intentId === intentId && each.outcome.status === status);

  const isRefunded = (intent: PaymentIntent) => refundOf(intent, 'refunded') !== undefined;

  function statusOf(intent: PaymentIntent): 'requires_payment_method' | 'succeeded' | 'canceled' {
    if (refundOf(intent, 'voided')) return 'canceled';
    return chargesOf(intent).some(({ status }) => status === 'succeeded') ? 'succeeded' : 'requires_payment_method';
  }

  function unexpectedState(intent: PaymentIntent, action: string): FakeResponse {
    const message = `You cannot ${action} this PaymentIntent because it has a status of ${statusOf(intent)}.`;
    return invalidRequest(message, { code: 'payment_intent_unexpected_state' });
  }

  function confirmResponse({ request }: Charge, intent: PaymentIntent, form: Form): FakeResponse {
    const declineCode = DECLINE_CODES[methodKind(request.token)];
    if (declineCode === undefined) return { status: 200, body: { ...toBody(intent, form), status: 'succeeded' } };
    const message = MESSAGES[declineCode]!;
    return stripeError(402, { type: 'card_error', code: 'card_declined', decline_code: declineCode, message });
  }

  function toBody(intent: PaymentIntent, form: Form) {
    const { amount, orderId } = intent.request;
    const hasCharge = chargesOf(intent).length > 0;
    const chargeId = intent.intentId.replace(/^pi_/, 'ch_');
    const refunded = isRefunded(intent);
    const charge = {
      id: chargeId,
      object: 'charge',
      refunded,
      amount: amount.value,
      amount_refunded: refunded ? amount.value : 0,
    };
    const isChargeExpanded = isExpanded(form, 'latest_charge') || isExpanded(form, 'data.latest_charge');
    return {
      id: intent.intentId,
      object: 'payment_intent',
      amount: amount.value,
      currency: amount.currency.toLowerCase(),
      created: createdAt(intent),
      livemode: false,
      metadata: { orderId },
      payment_method_types: ['card'],
      status: statusOf(intent),
      latest_charge: !hasCharge ? null : isChargeExpanded ? charge : chargeId,
    };
  }

  /** Reports an event about a PaymentIntent to the receiver of events, if there is one. */
  function report(intent: PaymentIntent, type: string): StripeEvent | undefined {
    const { orderId } = intent.request;
    return events.report({ orderId, type, object: objectOf(intent, type) });
  }

  /** The object in an event of this type. */
  function objectOf(intent: PaymentIntent, type: string) {
    const { intentId, request } = intent;
    const { value: amount } = request.amount;
    const currency = request.amount.currency.toLowerCase();
    const charge = { id: intentId.replace(/^pi_/, 'ch_'), payment_intent: intentId, amount, currency };
    if (type.startsWith('charge.dispute.')) {
      const id = intentId.replace(/^pi_/, 'dp_');
      return { ...charge, object: 'dispute', id, charge: charge.id };
    }
    if (!type.startsWith('charge.')) return toBody(intent, {});
    const refunded = isRefunded(intent);
    const metadata = { orderId: request.orderId };
    return { ...charge, object: 'charge', refunded, amount_refunded: refunded ? amount : 0, metadata };
  }

  /** Reports an event about the newest PaymentIntent of an order, as after an action in Stripe's dashboard. */
  function reportNewest(orderId: string, type: string): StripeEvent | undefined {
    const intent = ledger.intents.findByOrder(orderId).at(-1);
    return intent && report(intent, type);
  }

  return { create, confirm, cancel, refund, retrieve, search, list, reportNewest };
}

export type StripePayments = ReturnType<typeof createPaymentIntents>;

const createdAt = ({ at }: PaymentIntent) => Math.floor(Date.parse(at) / 1_000);

function refundBody({ outcome, intentId }: Refund) {
  const amount = outcome.status === 'refunded' ? outcome.amount : undefined;
  return {
    id: outcome.status === 'refunded' ? outcome.refundId : null,
    object: 'refund',
    amount: amount?.value,
    currency: amount?.currency.toLowerCase(),
    payment_intent: intentId,
    status: 'succeeded',
  };
}
