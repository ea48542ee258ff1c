import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type Answer, idempotencyMismatch, refused } from './answer.js';
import type { KeyMemory } from './keys.js';
import type { Charge, Ledger, Refund } from './ledger.js';

const amountSchema = z.strictObject({ value: z.int().positive(), currency: z.string().regex(/^[A-Z]{3}$/) });

export const chargeSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  amount: amountSchema,
  token: z.string().min(1).max(200),
});

export const refundSchema = z.strictObject({ orderId: z.string().min(1).max(200) });

export type Amount = z.infer<typeof amountSchema>;
export type ChargeRequest = z.infer<typeof chargeSchema>;
export type RefundRequest = z.infer<typeof refundSchema>;

const declineReasons: Readonly<Record<string, { code: string; message: string }>> = {
  tok_declined: { code: 'card_declined', message: 'The card was declined.' },
  tok_insufficient_funds: { code: 'insufficient_funds', message: 'The card has insufficient funds.' },
};

/** The kind of card. `tok_ok-0042` is one of the `tok_ok` cards. */
const cardOf = ({ token }: Pick<ChargeRequest, 'token'>): string => token.replace(/-.*$/, '');

/**
 * The fake payment gateway: charges by token, refunds and voids by order id. It deduplicates by idempotency key only
 * and forgets keys after a time: a repeated charge or refund with a forgotten key moves money again.
 */
export function createPayments(ledger: Ledger, keys: KeyMemory) {
  function charge(key: string, request: ChargeRequest): Answer {
    const { orderId } = request;
    const earlier = keys.recall(ledger.charges.withKey(key));
    if (earlier) return isDeepStrictEqual(earlier.request, request) ? chargeAnswer(earlier) : idempotencyMismatch(key);
    if (ledger.refunds.ofOrder(orderId).length > 0)
      return refused(409, 'charge_voided', `The order "${orderId}" was voided or refunded before this charge arrived.`);

    const token = cardOf(request);
    if (token === 'tok_gateway_down') return refused(503, 'gateway_unavailable', 'The bank cannot be reached.');
    const decline = Object.hasOwn(declineReasons, token) ? declineReasons[token] : undefined;
    if (token !== 'tok_ok' && !decline) return refused(400, 'unknown_token', `There is no token "${request.token}".`);

    const made: Charge = {
      at: new Date().toISOString(),
      key,
      request,
      chargeId: `ch_${randomUUID()}`,
      status: decline ? 'declined' : 'succeeded',
    };
    ledger.append({ type: 'charge', charge: made });
    return chargeAnswer(made);
  }

  /** Refunds the charge of an order. An order without a successful charge is voided: later charges are rejected. */
  function refund(key: string, request: RefundRequest): Answer {
    const earlier = keys.recall(ledger.refunds.withKey(key));
    if (earlier) return isDeepStrictEqual(earlier.request, request) ? refundAnswer(earlier) : idempotencyMismatch(key);
    const charged = chargeOf(request.orderId);
    const [voided] = ledger.refunds.ofOrder(request.orderId);
    if (!charged && voided) return refundAnswer(voided);

    const refund: Refund = {
      at: new Date().toISOString(),
      key,
      request,
      outcome: charged
        ? { status: 'refunded', refundId: `re_${randomUUID()}`, amount: charged.request.amount }
        : { status: 'voided' },
    };
    ledger.append({ type: 'refund', refund });
    return refundAnswer(refund);
  }

  /** The charge and refund of an order, by the caller's reference. References are never forgotten. */
  function find(orderId: string): Answer {
    const charge = chargeOf(orderId) ?? ledger.charges.ofOrder(orderId).at(-1);
    const refund = ledger.refunds.ofOrder(orderId).at(-1);
    return {
      status: 200,
      body: {
        charge: charge ? { chargeId: charge.chargeId, status: charge.status, amount: charge.request.amount } : null,
        refund: refund ? refund.outcome : null,
      },
    };
  }

  const chargeOf = (orderId: string): Charge | undefined =>
    ledger.charges.ofOrder(orderId).findLast(({ status }) => status === 'succeeded');

  return { charge, refund, find };
}

function chargeAnswer({ chargeId, status, request }: Charge): Answer {
  const decline = declineReasons[cardOf(request)];
  if (decline) return refused(402, decline.code, decline.message);
  return { status: 201, body: { chargeId, status, amount: request.amount } };
}

function refundAnswer({ outcome }: Refund): Answer {
  return { status: outcome.status === 'refunded' ? 201 : 200, body: outcome };
}
