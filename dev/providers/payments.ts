import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type Answer, idempotencyMismatch, refused } from './answer.js';
import type { Charge, Ledger, Refund } from './ledger.js';

const amountSchema = z.strictObject({ value: z.int().positive(), currency: z.string().regex(/^[A-Z]{3}$/) });

export const chargeSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  amount: amountSchema,
  token: z.string().min(1).max(200),
});

export const refundSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  chargeKey: z.string().min(1).max(255),
});

export type Amount = z.infer<typeof amountSchema>;
export type ChargeRequest = z.infer<typeof chargeSchema>;
export type RefundRequest = z.infer<typeof refundSchema>;

const declineReasons: Readonly<Record<string, { code: string; message: string }>> = {
  tok_declined: { code: 'card_declined', message: 'The card was declined.' },
  tok_insufficient_funds: { code: 'insufficient_funds', message: 'The card has insufficient funds.' },
};

/** What kind of card it is. `tok_ok-0042` is one of the cards that are `tok_ok`. */
const cardOf = ({ token }: Pick<ChargeRequest, 'token'>): string => token.replace(/-.*$/, '');

/** The payment gateway: charges by token, refunds by the charge's idempotency key. */
export function createPayments(ledger: Ledger) {
  /** Takes the money once a key. */
  function charge(key: string, request: ChargeRequest): Answer {
    const earlier = ledger.charges.get(key);
    if (earlier) return isDeepStrictEqual(earlier.request, request) ? chargeAnswer(earlier) : idempotencyMismatch(key);
    if (ledger.refundOf(key)) return refused(409, 'charge_voided', `The charge "${key}" was voided before it arrived.`);

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

  /** Gives the money of a charge back once; a charge that is not there, or took nothing, is voided for good. */
  function refund(key: string, request: RefundRequest): Answer {
    const earlier = ledger.refunds.get(key);
    if (earlier && !isDeepStrictEqual(earlier.request, request)) return idempotencyMismatch(key);
    const charged = ledger.charges.get(request.chargeKey);
    const made = ledger.refundOf(request.chargeKey);
    const orderId = (made ?? charged)?.request.orderId ?? request.orderId;
    if (orderId !== request.orderId) {
      return refused(422, 'order_mismatch', `The charge "${request.chargeKey}" belongs to another order.`);
    }
    if (made) return refundAnswer(made);

    const refund: Refund = {
      at: new Date().toISOString(),
      key,
      request,
      outcome:
        charged?.status === 'succeeded'
          ? { status: 'refunded', refundId: `re_${randomUUID()}`, amount: charged.request.amount }
          : { status: 'voided' },
    };
    ledger.append({ type: 'refund', refund });
    return refundAnswer(refund);
  }

  return { charge, refund };
}

function chargeAnswer({ chargeId, status, request }: Charge): Answer {
  const decline = declineReasons[cardOf(request)];
  if (decline) return refused(402, decline.code, decline.message);
  return { status: 201, body: { chargeId, status, amount: request.amount } };
}

function refundAnswer({ outcome }: Refund): Answer {
  return { status: outcome.status === 'refunded' ? 201 : 200, body: outcome };
}
