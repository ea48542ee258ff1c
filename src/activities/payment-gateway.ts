import { ApplicationFailure } from '@temporalio/common';
import type { Money } from '../schemas/shared/money.js';

/** The name of the gateway in failure types and messages. */
export const PAYMENT_GATEWAY = 'PaymentGateway';

/**
 * The port to the payment provider. An adapter in `external/payments` implements it, and `npm run contract` checks an
 * adapter. docs/guides/write-an-adapter.md explains each promise.
 *
 * All methods run inside an activity. They heartbeat and obey its cancellation (`withHeartbeat`), end within 15
 * seconds, and never retry: Temporal repeats the activity. Methods throw only these failures:
 *
 * - `PaymentGatewayUnavailable`, which is retried: a lost connection, a timeout, a rate limit, an error of the provider,
 *   or an answer that the adapter cannot read. `Retry-After` sets the delay.
 * - `PaymentGatewayMisconfigured`, which is retried slowly: wrong credentials or a wrong URL.
 * - `RejectedByExternalSystem`, which is final: the provider considers the request invalid, so the adapter has a bug.
 * - The rejections that a method names, which are final.
 */
export interface PaymentGateway {
  /**
   * Charges an order at most once, however often and however late the method is called. All calls for an order use the
   * same idempotency key. The provider deletes the key after its retention, so for an older order the adapter
   * first looks up an existing charge.
   *
   * @throws `CardDeclined` (also for an unknown token); `InsufficientFunds`; `ChargeVoided` when the order was already
   * refunded or voided; `RejectedByExternalSystem` when the order was charged with another amount.
   */
  charge(request: ChargeRequest): Promise<{ chargeId: string }>;

  /**
   * Refunds the whole charge of an order, at most once. The caller may not know whether the order was charged, because
   * the response to the charge may have been lost. If the order was not charged, the method voids the order instead: a
   * charge that arrives later must fail with `ChargeVoided` and must not move money. Repeated calls return the same
   * outcome, also after the retention of the key.
   */
  refund(request: { orderId: string }): Promise<{ status: RefundStatus }>;

  /** Returns the newest charge and the newest refund of an order. */
  findPayment(orderId: string): Promise<Payment>;

  /**
   * Returns the order of a charge, for disputes, which name only the charge. Undefined for a charge that is not from this
   * shop. A provider that reports no disputes needs no such method.
   */
  findOrderId?(chargeId: string): Promise<string | undefined>;

  /** Lists the charges of a period, in an order that does not change between pages. */
  listCharges(request: ChargeListRequest): Promise<ChargeList>;
}

export interface ChargeRequest {
  orderId: string;
  amount: Money;
  /** The card token that the customer's browser got from the provider. */
  token: string;
  /** The time before which no attempt was made. */
  placedAt: Date;
}

/** `voided` means that the order had no charge and that later charges are rejected. */
export type RefundStatus = 'refunded' | 'voided';

export interface Payment {
  charge: { chargeId: string; status: ChargeStatus; amount: Money } | null;
  refund: { status: RefundStatus } | null;
}

export type ChargeStatus = 'succeeded' | 'declined';

export interface ListedCharge {
  chargeId: string;
  orderId: string;
  amount: Money;
  status: ChargeStatus;
  /** Whether the whole amount was refunded. */
  refunded: boolean;
}

export interface ChargeListRequest {
  /** Inclusive. */
  createdFrom: Date;
  /** Exclusive. */
  createdBefore: Date;
  limit: number;
  /** The `next` of the previous page. */
  after?: string | undefined;
}

export interface ChargeList {
  charges: ListedCharge[];
  /** Null on the last page. */
  next: string | null;
}

/**
 * Checks that an existing charge has the expected amount.
 *
 * @throws `RejectedByExternalSystem` for a different amount. A provider causes the same failure when a key is repeated
 * with a different amount.
 */
export function assertSameAmount<Charge extends { amount: Money }>(charge: Charge, { value, currency }: Money): Charge {
  if (charge.amount.value === value && charge.amount.currency === currency) return charge;
  throw ApplicationFailure.nonRetryable(
    'the order was already charged with a different amount',
    'RejectedByExternalSystem',
  );
}
