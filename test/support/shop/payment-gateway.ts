import { createPlainPaymentGateway } from '../../../src/activities/external/payments/plain.js';
import { createStripePaymentGateway } from '../../../src/activities/external/payments/stripe/gateway.js';
import type { PaymentGateway } from '../../../src/activities/payment-gateway.js';
import type { Store } from '../../../src/store/index.js';
import type { RunningFakes } from '../fakes/running-fakes.js';

type FakeGateway = Pick<RunningFakes, 'paymentsUrl'>;

/** Creates the plain adapter to the fake payment gateway. The fakes keep idempotency keys for 24 hours. */
export function createTestPaymentGateway({ paymentsUrl }: FakeGateway): PaymentGateway {
  return createPlainPaymentGateway({ url: paymentsUrl, keyRetentionHours: 24 });
}

/** The adapters to the fake payment gateway and to the fake Stripe. */
export const PAYMENT_ADAPTERS = ['plain', 'stripe'] as const;
export type PaymentAdapter = (typeof PAYMENT_ADAPTERS)[number];

/** Creates an adapter, by default the one that `PAYMENTS` names, so that all tests of the workflows can run with Stripe. */
export function createChosenPaymentGateway(
  fakes: FakeGateway,
  store: Pick<Store, 'findOrder'>,
  adapter: PaymentAdapter = process.env.PAYMENTS === 'stripe' ? 'stripe' : 'plain',
): PaymentGateway {
  if (adapter === 'plain') return createTestPaymentGateway(fakes);
  return createStripePaymentGateway({
    secretKey: 'sk_test_fake',
    apiUrl: new URL(fakes.paymentsUrl).origin,
    findOrder: (orderId) => store.findOrder(orderId),
  });
}

/**
 * Returns the path of the plain call that has the effect of a call of Stripe, so that tests work with both adapters.
 * Undefined for the creation of a PaymentIntent, which has no effect.
 */
export function plainPathOf(path: string): string | undefined {
  if (path === '/v1/payment_intents') return undefined;
  if (/^\/v1\/payment_intents\/\w+\/confirm$/.test(path)) return '/payments/charges';
  return path.startsWith('/v1/') ? '/payments/refunds' : path;
}
