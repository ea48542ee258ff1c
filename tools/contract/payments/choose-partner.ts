import { stripeApiUrl } from '../../../src/config/parsers.js';
import { UsageError } from '../usage-error.js';
import { startFakeStripe, startPlainPartner } from './fake-partners.js';
import type { PaymentPartner } from './partner.js';
import { createStripePartner } from './stripe-partner.js';

/** Starts the partner that the environment chooses, with the same variables as a worker. */
export async function choosePaymentPartner({
  PAYMENTS = 'plain',
  STRIPE_SECRET_KEY,
  STRIPE_API_URL,
}: Readonly<Record<string, string | undefined>>): Promise<PaymentPartner> {
  if (PAYMENTS === 'plain') return await startPlainPartner();
  if (PAYMENTS !== 'stripe')
    throw new UsageError(`PAYMENTS: must be plain or stripe, got "${PAYMENTS}" (example: PAYMENTS=stripe)`);
  if (!STRIPE_SECRET_KEY) return await startFakeStripe();
  if (!/^(sk|rk)_test_/.test(STRIPE_SECRET_KEY)) {
    throw new UsageError('STRIPE_SECRET_KEY: must be a key of the test mode (example: STRIPE_SECRET_KEY=sk_test_51…)');
  }
  const apiUrl = stripeApiUrl.safeParse(STRIPE_API_URL || 'https://api.stripe.com');
  if (!apiUrl.success) throw new UsageError(`STRIPE_API_URL: ${apiUrl.error.issues[0]!.message}`);
  return createStripePartner({
    secretKey: STRIPE_SECRET_KEY,
    apiUrl: apiUrl.data,
  });
}
