import { z } from 'zod';
import { rejectionFailure } from '../../../failures/rejections.js';
import { money } from '../../../schemas/shared/money.js';
import { text } from '../../../schemas/shared/primitives.js';
import { orderWorkflowId } from '../../../workflows/order/contract.js';
import { assertSameAmount, PAYMENT_GATEWAY, type PaymentGateway } from '../../payment-gateway.js';
import { callExternalSystem, mayKeyHaveExpired, readExternalSystem } from '../external-calls.js';

const gatewayId = text(200);

const createdCharge = z.object({ chargeId: gatewayId, status: z.literal('succeeded') });

const refund = z.discriminatedUnion('status', [
  z.object({ status: z.literal('refunded'), refundId: gatewayId }),
  z.object({ status: z.literal('voided') }),
]);

const chargeStatus = z.enum(['succeeded', 'declined']);

/** The response of the gateway to a lookup by order id. */
const payment = z.object({
  charge: z.object({ chargeId: gatewayId, status: chargeStatus, amount: money }).nullable(),
  refund: refund.nullable(),
});

const listedCharge = z.object({
  chargeId: gatewayId,
  orderId: gatewayId,
  amount: money,
  status: chargeStatus,
  refunded: z.boolean(),
});

const chargePage = z.object({ charges: z.array(listedCharge), next: text(1_000).nullable() });

/** All attempts of a charge use the same idempotency key, and so do all attempts of a refund. */
const chargeKey = (orderId: string) => `${orderWorkflowId(orderId)}:charge`;
const refundKey = (orderId: string) => `${orderWorkflowId(orderId)}:refund`;

interface PlainGatewaySettings {
  /** Base URL of the payment gateway. */
  url: string;
  /** How long the gateway keeps an idempotency key. */
  keyRetentionHours: number;
}

/**
 * The adapter to a gateway with plain HTTP and JSON, such as the fake payment gateway. tools/fakes/README.md describes
 * the calls. The gateway finds charges by order id and voids orders itself.
 */
export function createPlainPaymentGateway({ url, keyRetentionHours }: PlainGatewaySettings): PaymentGateway {
  const system = PAYMENT_GATEWAY;

  const findPayment = (orderId: string) =>
    readExternalSystem({
      system,
      url: `${url}/orders/${encodeURIComponent(orderId)}`,
      responseSchema: payment,
    });

  return {
    async charge({ orderId, amount, token, placedAt }) {
      if (mayKeyHaveExpired(placedAt, keyRetentionHours)) {
        const existing = await findPayment(orderId);
        if (existing.refund) throw rejectionFailure('ChargeVoided', 'the charge was refunded or voided');
        if (existing.charge?.status === 'succeeded')
          return { chargeId: assertSameAmount(existing.charge, amount).chargeId };
      }
      const { chargeId } = await callExternalSystem({
        system,
        url: `${url}/charges`,
        idempotencyKey: chargeKey(orderId),
        body: { orderId, amount, token },
        responseSchema: createdCharge,
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

    // Refund attempts can continue for a year, which is longer than the gateway keeps the idempotency key. Every
    // attempt therefore first looks up an existing refund.
    async refund({ orderId }) {
      const existing = await findPayment(orderId);
      if (existing.refund) return { status: existing.refund.status };
      const { status } = await callExternalSystem({
        system,
        url: `${url}/refunds`,
        idempotencyKey: refundKey(orderId),
        body: { orderId },
        responseSchema: refund,
      });
      return { status };
    },

    findPayment,

    /** Lists charges, oldest first. */
    async listCharges({ createdFrom, createdBefore, limit, after }) {
      const query = new URLSearchParams({
        createdFrom: createdFrom.toISOString(),
        createdBefore: createdBefore.toISOString(),
        limit: String(limit),
        ...(after !== undefined && { after }),
      });
      return await readExternalSystem({
        system,
        url: `${url}/charges?${query.toString()}`,
        responseSchema: chargePage,
      });
    },
  };
}
