import { z } from 'zod';
import { money } from '../../schemas/shared/money.js';
import { text } from '../../schemas/shared/primitives.js';
import { readExternalSystem } from './external-calls.js';

/** The name of the gateway in failure types and messages. */
export const PAYMENT_GATEWAY = 'PaymentGateway';

export const gatewayId = text(200);

export const refund = z.discriminatedUnion('status', [
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
  /** Whether the whole amount was refunded. */
  refunded: z.boolean(),
});

const chargePage = z.object({ charges: z.array(listedCharge), next: text(1_000).nullable() });

export type ListedCharge = z.infer<typeof listedCharge>;

interface ChargeListRequest {
  /** Inclusive. */
  createdFrom: Date;
  /** Exclusive. */
  createdBefore: Date;
  limit: number;
  /** The `next` of the previous page. */
  after?: string | undefined;
}

/** The read-only calls to the payment gateway. They throw the failures of `readExternalSystem`. */
export function createPaymentReader(paymentsUrl: string) {
  return {
    /** Returns the newest charge and the newest refund of an order. */
    async findPayment(orderId: string): Promise<z.infer<typeof payment>> {
      return await readExternalSystem({
        system: PAYMENT_GATEWAY,
        url: `${paymentsUrl}/orders/${encodeURIComponent(orderId)}`,
        responseSchema: payment,
      });
    },

    /** Lists charges, oldest first. */
    async listCharges({
      createdFrom,
      createdBefore,
      limit,
      after,
    }: ChargeListRequest): Promise<z.infer<typeof chargePage>> {
      const query = new URLSearchParams({
        createdFrom: createdFrom.toISOString(),
        createdBefore: createdBefore.toISOString(),
        limit: String(limit),
        ...(after !== undefined && { after }),
      });
      return await readExternalSystem({
        system: PAYMENT_GATEWAY,
        url: `${paymentsUrl}/charges?${query.toString()}`,
        responseSchema: chargePage,
      });
    },
  };
}
