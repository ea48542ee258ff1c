import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { money, type Money } from '../schemas/shared/money.js';
import { text } from '../schemas/shared/primitives.js';
import type { Store } from '../store/index.js';
import { orderWorkflowId } from '../workflows/order/contract.js';
import { rejectionFailure } from './failures.js';
import { assertStockHeld } from './orders.js';
import { callExternalSystem, mayKeyHaveExpired, readExternalSystem } from './external-calls.js';

export interface ChargePaymentInput {
  orderId: string;
  /** The first run id of the order's execution. */
  firstRunId: string;
  amount: Money;
  token: string;
}

const gatewayId = text(200);

const charge = z.object({ chargeId: gatewayId, status: z.literal('succeeded') });

const refund = z.discriminatedUnion('status', [
  z.object({ status: z.literal('refunded'), refundId: gatewayId }),
  z.object({ status: z.literal('voided') }),
]);

/** The gateway's record of an order, found by our order id. */
const payment = z.object({
  charge: z.object({ chargeId: gatewayId, status: z.enum(['succeeded', 'declined']), amount: money }).nullable(),
  refund: refund.nullable(),
});

/** One idempotency key for the charge and one for the refund of an order, the same for all attempts. */
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
  const system = 'PaymentGateway';

  async function findPayment(orderId: string): Promise<z.infer<typeof payment>> {
    return await readExternalSystem({
      system,
      url: `${paymentsUrl}/orders/${encodeURIComponent(orderId)}`,
      responseSchema: payment,
    });
  }

  return {
    /**
     * Charges the whole order once. The gateway deduplicates by key for a limited time, so the charge of an older order
     * is first looked up by order id.
     *
     * @throws `CardDeclined` (also for an unknown token); `InsufficientFunds`; `ChargeVoided` when the order was
     * already refunded or voided; `ReservationReleased` when its stock is no longer held; and the failures of
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
          // The message quotes the card, and failures are logged.
          unknown_token: () => rejectionFailure('CardDeclined', 'the payment gateway does not know the card'),
          charge_voided: (message) => rejectionFailure('ChargeVoided', message),
        },
      });
      return { chargeId };
    },

    /**
     * Refunds an order once. The gateway finds the charge by order id, because the response to the charge may have been
     * lost. If there was no charge, the gateway voids the order id and rejects a later charge. A refund can be repeated
     * for a year, longer than the gateway keeps its key, so every attempt looks it up first.
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
 * Checks the amount of a charge that was found. @throws `RejectedByExternalSystem`, like the gateway for a repeated key with
 * a different amount.
 */
function assertSameAmount<Charge extends { amount: Money }>(charge: Charge, { value, currency }: Money): Charge {
  if (charge.amount.value === value && charge.amount.currency === currency) return charge;
  throw ApplicationFailure.nonRetryable(
    'the order was already charged with a different amount',
    'RejectedByExternalSystem',
  );
}
