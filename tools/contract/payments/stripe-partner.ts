import { createStripePaymentGateway } from '../../../src/activities/external/payments/stripe/gateway.js';
import type { PaymentPartner } from './partner.js';
import { stripeEvents } from './stripe-events.js';

/** Stripe's search index is usually less than a minute behind. */
const SEARCH_DELAY_MS = 120_000;

/** The test mode of a Stripe account. The suite cannot make Stripe misbehave, but it can use Stripe's test cards. */
export function createStripePartner({ secretKey, apiUrl }: { secretKey: string; apiUrl: string }): PaymentPartner {
  return {
    name: `stripe (${new URL(apiUrl).host})`,
    createGateway: ({ findOrder }) => createStripePaymentGateway({ secretKey, apiUrl, findOrder }),
    cards: {
      accepted: 'pm_card_visa',
      declined: 'pm_card_chargeDeclined',
      insufficientFunds: 'pm_card_chargeDeclinedInsufficientFunds',
      unknown: 'pm_card_of_nobody',
    },
    amount: { value: 1999, currency: 'EUR' },
    lookupDelayMs: SEARCH_DELAY_MS,
    concurrency: 2,
    caseTimeLimitMs: 5 * SEARCH_DELAY_MS,
    events: stripeEvents,
  };
}
