import { createPlainPaymentGateway } from '../../../src/activities/external/payments/plain.js';
import { createStripePaymentGateway } from '../../../src/activities/external/payments/stripe/gateway.js';
import { buildFakes } from '../../fakes/app.js';
import type { PaymentPartner } from './partner.js';
import { stripeEvents } from './stripe-events.js';

const FAKE_CARDS = {
  accepted: 'tok_ok',
  declined: 'tok_declined',
  insufficientFunds: 'tok_insufficient_funds',
  unknown: 'tok_of_nobody',
};

/** Starts the fake payment gateway for the plain adapter. */
export async function startPlainPartner(): Promise<PaymentPartner> {
  const { url, partner } = await startFakePartner();
  return {
    ...partner,
    name: 'plain (the fake payment gateway)',
    createGateway: () => createPlainPaymentGateway({ url: `${url}/payments`, keyRetentionHours: 24 }),
  };
}

/** Starts the fake Stripe for the Stripe adapter. */
export async function startFakeStripe(): Promise<PaymentPartner & { url: string }> {
  const { url, partner } = await startFakePartner();
  return {
    ...partner,
    name: 'stripe (the fake Stripe)',
    events: stripeEvents,
    url,
    createGateway: ({ findOrder }) => createStripePaymentGateway({ secretKey: 'sk_test_fake', apiUrl: url, findOrder }),
  };
}

async function startFakePartner() {
  const fakes = buildFakes();
  const url = await fakes.app.listen({ host: '127.0.0.1', port: 0 });
  const partner: Omit<PaymentPartner, 'name' | 'createGateway'> = {
    cards: FAKE_CARDS,
    amount: { value: 1999, currency: 'EUR' },
    countEffects: async (orderId) => {
      const { charges, refunds } = fakes.records(orderId);
      return {
        charges: charges.filter(({ status }) => status === 'succeeded').length,
        refunds: refunds.filter(({ status }) => status === 'refunded').length,
      };
    },
    loseNextResponse: async (on, orderId) => fakes.faults.add({ on, orderId, fault: 'lose-response' }),
    garbleNextResponse: async (on, orderId) => fakes.faults.add({ on, orderId, fault: 'malformed' }),
    failNextRequest: async (on, orderId, response) => fakes.faults.add({ on, orderId, fault: 'error', ...response }),
    holdCharge: async (orderId) => fakes.hold('charge', orderId, { waitBefore: 'effect' }),
    expireKeys: async (orderId) => fakes.idempotencyKeys.expire(orderId),
    close: fakes.close,
  };
  return { url, partner };
}
