import { createPlainPaymentGateway } from '../../activities/external/payments/plain.js';
import type { PaymentGateway } from '../../activities/payment-gateway.js';
import type { Config } from '../../config/read.js';
import type { Store } from '../../store/index.js';

const STRIPE_API_URL = 'https://api.stripe.com';

/**
 * Creates the adapter that `PAYMENTS` names. `src/config/checks.ts` checks that its variables are set. Loads the package
 * of Stripe only if it is used.
 */
export async function createConfiguredPaymentGateway(
  config: Config<'worker'>,
  store: Pick<Store, 'findOrder'>,
): Promise<PaymentGateway> {
  if (config.PAYMENTS === 'stripe') {
    const { createStripePaymentGateway } = await import('../../activities/external/payments/stripe/gateway.js');
    return createStripePaymentGateway({
      secretKey: config.STRIPE_SECRET_KEY!,
      apiUrl: paymentGatewayUrl(config),
      findOrder: (orderId) => store.findOrder(orderId),
    });
  }
  return createPlainPaymentGateway({
    url: paymentGatewayUrl(config),
    keyRetentionHours: config.PAYMENTS_KEY_RETENTION_HOURS,
  });
}

/** The URL of the payment gateway that the worker calls. */
export function paymentGatewayUrl(config: Config<'worker'>): string {
  return config.PAYMENTS === 'stripe' ? (config.STRIPE_API_URL ?? STRIPE_API_URL) : config.PAYMENTS_URL!;
}
