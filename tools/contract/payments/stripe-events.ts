import type { FastifyRequest } from 'fastify';
import Stripe from 'stripe';
import { toPaymentEvent } from '../../../src/api/callbacks/stripe/payment-event.js';
import { createStripeVerifiers } from '../../../src/api/callbacks/stripe/signatures.js';
import { readSignedJson } from '../../../src/api/callbacks/signed-body.js';
import { parseInput } from '../../../src/api/http/parse-input.js';
import { HttpProblem } from '../../../src/api/problems/http-problem.js';
import type { PaymentEvent } from '../../../src/schemas/payment-event.js';
import { stripeEvent } from '../../../src/schemas/stripe-event.js';
import type { EventReceiver, PaymentEvents, SigningSecret } from './partner.js';

const SECRETS: Readonly<Record<SigningSecret, string>> = {
  current: 'whsec_contractSecret0002',
  previous: 'whsec_contractSecret0001',
  foreign: 'whsec_secretOfAnotherAccount',
};

const TYPES: Readonly<Record<PaymentEvent['type'], string>> = {
  charged: 'payment_intent.succeeded',
  refunded: 'charge.refunded',
  dispute_opened: 'charge.dispute.created',
  dispute_closed: 'charge.dispute.closed',
};

/** The events of Stripe, signed as Stripe signs them, and a receiver that reads them like the API. Needs no account. */
export const stripeEvents: PaymentEvents = {
  makeBody({ eventId, type, chargeId, orderId, disputeId }) {
    const metadata = { orderId };
    const object =
      type === 'charged'
        ? { id: chargeId, object: 'payment_intent', metadata }
        : { id: disputeId ?? 'ch_1', payment_intent: chargeId, refunded: true, metadata };
    return JSON.stringify({ id: eventId, object: 'event', type: TYPES[type], data: { object } });
  },

  sign(body, { secrets = ['current'] as readonly SigningSecret[], at = new Date() } = {}) {
    const timestamp = Math.floor(at.getTime() / 1_000);
    const signatures = secrets.map((name) => {
      const header = Stripe.webhooks.generateTestHeaderString({ payload: body, secret: SECRETS[name], timestamp });
      return header.split(',')[1];
    });
    return { body, headers: { 'stripe-signature': [`t=${timestamp}`, ...signatures].join(',') } };
  },

  async createReceiver(): Promise<EventReceiver> {
    const verifiers = await createStripeVerifiers([SECRETS.current, SECRETS.previous]);
    const recorded = new Map<string, PaymentEvent>();
    return {
      recorded: () => [...recorded.values()],
      receive({ headers, body }) {
        try {
          const request = { headers, body: Buffer.from(body) } as unknown as FastifyRequest;
          const event = toPaymentEvent(parseInput(stripeEvent, readSignedJson(verifiers, request).value));
          if (!event) return 'ignored';
          recorded.set(event.eventId, event);
          return 'recorded';
        } catch (error) {
          if (error instanceof HttpProblem) return 'rejected';
          throw error;
        }
      },
    };
  },
};
