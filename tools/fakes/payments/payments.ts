import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type FakeResponse, idempotencyMismatchResponse, errorResponse } from '../calls/responses.js';
import type { IdempotencyKeys } from '../ledger/idempotency-keys.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Charge, Refund } from '../ledger/ledger-entries.js';
import type { ChargeListRequest, ChargeRequest, RefundRequest } from '../ledger/requests.js';

const DECLINE_REASONS: Readonly<Record<string, { code: string; message: string }>> = {
  tok_declined: { code: 'card_declined', message: 'The card was declined.' },
  tok_insufficient_funds: { code: 'insufficient_funds', message: 'The card has insufficient funds.' },
};

/** Returns the token without its suffix: `tok_ok-0042` behaves like `tok_ok`. */
const tokenKind = ({ token }: Pick<ChargeRequest, 'token'>): string => token.replace(/-.*$/, '');

/**
 * The fake payment gateway charges by token, and refunds or voids by order id. The gateway deduplicates only by
 * idempotency key. Keys expire, and a repeated charge or refund with an expired key moves money again.
 */
export function createFakePayments(ledger: Ledger, keys: IdempotencyKeys) {
  function charge(key: string, request: ChargeRequest): FakeResponse {
    const { orderId } = request;
    const earlier = keys.unlessExpired(ledger.charges.findByKey(key));
    if (earlier)
      return isDeepStrictEqual(earlier.request, request) ? chargeResponse(earlier) : idempotencyMismatchResponse(key);
    if (ledger.refunds.findByOrder(orderId).length > 0)
      return errorResponse(
        409,
        'charge_voided',
        `The order "${orderId}" was voided or refunded before this charge arrived.`,
      );

    const token = tokenKind(request);
    if (token === 'tok_gateway_down') return errorResponse(503, 'gateway_unavailable', 'The bank cannot be reached.');
    const decline = Object.hasOwn(DECLINE_REASONS, token) ? DECLINE_REASONS[token] : undefined;
    if (token !== 'tok_ok' && !decline)
      return errorResponse(400, 'unknown_token', `There is no token "${request.token}".`);

    const made: Charge = {
      at: new Date().toISOString(),
      key,
      request,
      chargeId: `ch_${randomUUID()}`,
      status: decline ? 'declined' : 'succeeded',
    };
    ledger.append({ type: 'charge', charge: made });
    return chargeResponse(made);
  }

  /** Refunds the charge of an order. Voids an order without a successful charge, so that later charges are rejected. */
  function refund(key: string, request: RefundRequest): FakeResponse {
    const earlier = keys.unlessExpired(ledger.refunds.findByKey(key));
    if (earlier)
      return isDeepStrictEqual(earlier.request, request) ? refundResponse(earlier) : idempotencyMismatchResponse(key);
    const charged = chargeOf(request.orderId);
    const [voided] = ledger.refunds.findByOrder(request.orderId);
    if (!charged && voided) return refundResponse(voided);

    const refund: Refund = {
      at: new Date().toISOString(),
      key,
      request,
      outcome: charged
        ? { status: 'refunded', refundId: `re_${randomUUID()}`, amount: charged.request.amount }
        : { status: 'voided' },
    };
    ledger.append({ type: 'refund', refund });
    return refundResponse(refund);
  }

  /** Returns the charge and the refund of an order. Unlike idempotency keys, order ids never expire. */
  function find(orderId: string): FakeResponse {
    const charge = chargeOf(orderId) ?? ledger.charges.findByOrder(orderId).at(-1);
    const refund = ledger.refunds.findByOrder(orderId).at(-1);
    return {
      status: 200,
      body: {
        charge: charge ? { chargeId: charge.chargeId, status: charge.status, amount: charge.request.amount } : null,
        refund: refund ? refund.outcome : null,
      },
    };
  }

  /** Lists charges, oldest first. The cursor is the id of the last charge of the page before. */
  function list({ createdFrom, createdBefore, limit, after }: ChargeListRequest) {
    const inPeriod = ledger.charges.all.filter(({ at }) => at >= createdFrom && at < createdBefore);
    const first = inPeriod.findIndex(({ chargeId }) => chargeId === after) + 1;
    const page = inPeriod.slice(first, first + limit);
    return {
      charges: page.map((charge) => ({
        chargeId: charge.chargeId,
        orderId: charge.request.orderId,
        amount: charge.request.amount,
        status: charge.status,
        refunded: isRefunded(charge),
      })),
      next: first + limit < inPeriod.length ? page.at(-1)!.chargeId : null,
    };
  }

  /** Each refund belongs to a charge of the order, the last refund to the last charge. */
  function isRefunded({ chargeId, request: { orderId } }: Charge): boolean {
    const charges = ledger.charges.findByOrder(orderId).filter(({ status }) => status === 'succeeded');
    const refunds = ledger.refunds.findByOrder(orderId).filter(({ outcome }) => outcome.status === 'refunded');
    const index = charges.findIndex((charge) => charge.chargeId === chargeId);
    return index >= 0 && charges.length - index <= refunds.length;
  }

  const chargeOf = (orderId: string): Charge | undefined =>
    ledger.charges.findByOrder(orderId).findLast(({ status }) => status === 'succeeded');

  return { charge, refund, find, list };
}

function chargeResponse({ chargeId, status, request }: Charge): FakeResponse {
  const decline = DECLINE_REASONS[tokenKind(request)];
  if (decline) return errorResponse(402, decline.code, decline.message);
  return { status: 201, body: { chargeId, status, amount: request.amount } };
}

function refundResponse({ outcome }: Refund): FakeResponse {
  return { status: outcome.status === 'refunded' ? 201 : 200, body: outcome };
}
