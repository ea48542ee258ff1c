import { z } from 'zod';
import type { Money } from '../schemas/money.js';
import type { Store } from '../store/index.js';
import { refused } from './failures.js';
import { assertStockHeld } from './orders.js';
import { callOutside } from './outside.js';

export interface ChargePayment {
  orderId: string;
  /** The first run id of the order's execution. */
  owner: string;
  amount: Money;
  token: string;
}

const charge = z.object({ chargeId: z.string(), status: z.literal('succeeded') });

const refund = z.discriminatedUnion('status', [
  z.object({ status: z.literal('refunded'), refundId: z.string() }),
  z.object({ status: z.literal('voided') }),
]);

/** One charge and one refund for an order, whatever the attempt. */
const chargeKey = (orderId: string) => `order:${orderId}:charge`;
const refundKey = (orderId: string) => `order:${orderId}:refund`;

export function createPaymentActivities({
  paymentsUrl,
  store,
}: {
  paymentsUrl: string;
  store: Pick<Store, 'holdsStock'>;
}) {
  const system = 'PaymentGateway';
  return {
    /**
     * Charges the whole order once.
     *
     * @throws `CardDeclined` (also for a token that the gateway does not know), `InsufficientFunds`,
     * `ChargeVoided` when the order was already undone; `PaymentGatewayUnavailable` is retried.
     */
    async chargePayment({ orderId, owner, amount, token }: ChargePayment): Promise<{ chargeId: string }> {
      await assertStockHeld(store, { orderId, owner }, 'charging_payment');
      const { chargeId } = await callOutside({
        system,
        url: `${paymentsUrl}/charges`,
        idempotencyKey: chargeKey(orderId),
        body: { orderId, amount, token },
        answer: charge,
        refusals: {
          card_declined: (message) => refused('CardDeclined', message),
          insufficient_funds: (message) => refused('InsufficientFunds', message),
          // Its words quote the card, and failures are logged.
          unknown_token: () => refused('CardDeclined', 'the payment gateway does not know the card'),
          charge_voided: (message) => refused('ChargeVoided', message),
        },
      });
      return { chargeId };
    },

    /**
     * Gives the money of an order back. The charge is named by its key, because its answer may have been lost. If it
     * never happened the gateway notes the key, so that a charge which arrives later is refused.
     */
    async refundPayment({ orderId }: { orderId: string }): Promise<{ status: 'refunded' | 'voided' }> {
      const { status } = await callOutside({
        system,
        url: `${paymentsUrl}/refunds`,
        idempotencyKey: refundKey(orderId),
        body: { orderId, chargeKey: chargeKey(orderId) },
        answer: refund,
      });
      return { status };
    },
  };
}
