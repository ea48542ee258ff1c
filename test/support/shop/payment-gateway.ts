import { createPlainPaymentGateway } from '../../../src/activities/external/payments/plain.js';
import type { PaymentGateway } from '../../../src/activities/payment-gateway.js';
import type { RunningFakes } from '../fakes/running-fakes.js';

/** Creates an adapter to the fake payment gateway. The fakes keep idempotency keys for 24 hours. */
export function createTestPaymentGateway({ paymentsUrl }: Pick<RunningFakes, 'paymentsUrl'>): PaymentGateway {
  return createPlainPaymentGateway({ url: paymentsUrl, keyRetentionHours: 24 });
}
