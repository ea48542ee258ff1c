import { createPlainPaymentGateway } from '../../activities/external/payments/plain.js';
import type { PaymentGateway } from '../../activities/payment-gateway.js';
import type { Config } from '../../config/read.js';

/** Creates the adapter that the configuration names. */
export function createConfiguredPaymentGateway(config: Config<'worker'>): PaymentGateway {
  return createPlainPaymentGateway({
    url: config.PAYMENTS_URL,
    keyRetentionHours: config.PAYMENTS_KEY_RETENTION_HOURS,
  });
}
