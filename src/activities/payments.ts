import type { Money } from '../schemas/shared/money.js';
import type { Store } from '../store/index.js';
import { assertStockHeld } from './orders.js';
import type { PaymentGateway, RefundStatus } from './payment-gateway.js';

export interface ChargePaymentInput {
  orderId: string;
  /** The first run id of the order's execution. */
  firstRunId: string;
  amount: Money;
  token: string;
}

export interface PaymentSettings {
  payments: PaymentGateway;
  store: Pick<Store, 'recordStageIfStockHeld'>;
}

export function createPaymentActivities({ payments, store }: PaymentSettings) {
  return {
    /**
     * Charges the total of an order once.
     *
     * @throws `ReservationReleased` when the order's stock is no longer held, and the failures of
     * `PaymentGateway.charge`.
     */
    async chargePayment({ orderId, firstRunId, amount, token }: ChargePaymentInput): Promise<{ chargeId: string }> {
      const placedAt = await assertStockHeld(store, { orderId, firstRunId }, 'charging_payment');
      return await payments.charge({ orderId, amount, token, placedAt });
    },

    /**
     * Refunds an order once, or voids an order that was not charged. The response to the charge may have been lost, so
     * the caller does not know which of the two happens.
     */
    async refundPayment({ orderId }: { orderId: string }): Promise<{ status: RefundStatus }> {
      return await payments.refund({ orderId });
    },
  };
}
