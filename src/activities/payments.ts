import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { rejectionFailure } from '../failures/rejections.js';
import type { Money } from '../schemas/shared/money.js';
import type { Store } from '../store/index.js';
import { orderWorkflowId } from '../workflows/order/contract.js';
import { assertStockHeld } from './orders.js';
import { callExternalSystem, mayKeyHaveExpired } from './external/external-calls.js';
import { createPaymentReader, gatewayId, PAYMENT_GATEWAY, refund } from './external/payment-gateway.js';

export interface ChargePaymentInput {
  orderId: string;
  /** The first run id of the order's execution. */
  firstRunId: string;
  amount: Money;
  token: string;
}

const charge = z.object({ chargeId: gatewayId, status: z.literal('succeeded') });

/** All attempts of a charge use the same idempotency key, and so do all attempts of a refund. */
const chargeKey = (orderId: string) => `${orderWorkflowId(orderId)}:charge`;
const refundKey = (orderId: string) => `${orderWorkflowId(orderId)}:refund`;

export interface PaymentSettings {
  /** Base URL of the payment gateway. */
  paymentsUrl: string;
  /** How long the gateway keeps an idempotency key. */
  paymentsKeyRetentionHours: number;
  store: Pick<Store, 'recordStageIfStockHeld'>;
}

export function createPaymentActivities({ paymentsUrl, paymentsKeyRetentionHours, store }: PaymentSettings) {
  const system = PAYMENT_GATEWAY;
  const { findPayment } = createPaymentReader(paymentsUrl);

  return {
    /**
     * Charges the total of an order once. The gateway keeps idempotency keys for a limited time, so the charge of an
     * older order is first looked up by order id.
     *
     * @throws `CardDeclined` (also for an unknown token); `InsufficientFunds`; `ChargeVoided` when the order was
     * already refunded or voided; `ReservationReleased` when the order's stock is no longer held; and the failures of
     * `callExternalSystem`.
     */
    async chargePayment({ orderId, firstRunId, amount, token }: ChargePaymentInput): Promise<{ chargeId: string }> {
      const placedAt = await assertStockHeld(store, { orderId, firstRunId }, 'charging_payment');
      if (mayKeyHaveExpired(placedAt, paymentsKeyRetentionHours)) {
        const existing = await findPayment(orderId);
        if (existing.refund) throw rejectionFailure('ChargeVoided', 'the charge was refunded or voided');
        if (existing.charge?.status === 'succeeded')
          return { chargeId: assertSameAmount(existing.charge, amount).chargeId };
      }
      const { chargeId } = await callExternalSystem({
        system,
        url: `${paymentsUrl}/charges`,
        idempotencyKey: chargeKey(orderId),
        body: { orderId, amount, token },
        responseSchema: charge,
        rejectionHandlers: {
          card_declined: (message) => rejectionFailure('CardDeclined', message),
          insufficient_funds: (message) => rejectionFailure('InsufficientFunds', message),
          // Omits the gateway's message, because it quotes the card and failures are logged.
          unknown_token: () => rejectionFailure('CardDeclined', 'the payment gateway does not know the card'),
          charge_voided: (message) => rejectionFailure('ChargeVoided', message),
        },
      });
      return { chargeId };
    },

    /**
     * Refunds an order once. The gateway finds the charge by order id, because the response to the charge may have been
     * lost. If there was no charge, the gateway voids the order id and rejects a later charge. Refund attempts can
     * continue for a year, which is longer than the gateway keeps the idempotency key. Every attempt therefore first
     * looks up an existing refund.
     */
    async refundPayment({ orderId }: { orderId: string }): Promise<{ status: 'refunded' | 'voided' }> {
      const existing = await findPayment(orderId);
      if (existing.refund) return { status: existing.refund.status };
      const { status } = await callExternalSystem({
        system,
        url: `${paymentsUrl}/refunds`,
        idempotencyKey: refundKey(orderId),
        body: { orderId },
        responseSchema: refund,
      });
      return { status };
    },
  };
}

/**
 * Checks that an existing charge has the expected amount.
 *
 * @throws `RejectedByExternalSystem` for a different amount. The gateway causes the same failure when a key is repeated
 * with a different amount.
 */
function assertSameAmount<Charge extends { amount: Money }>(charge: Charge, { value, currency }: Money): Charge {
  if (charge.amount.value === value && charge.amount.currency === currency) return charge;
  throw ApplicationFailure.nonRetryable(
    'the order was already charged with a different amount',
    'RejectedByExternalSystem',
  );
}
