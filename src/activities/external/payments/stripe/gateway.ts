import { ApplicationFailure } from '@temporalio/common';
import type Stripe from 'stripe';
import { z } from 'zod';
import { rejectionFailure } from '../../../../failures/rejections.js';
import { orderMetadata } from '../../../../schemas/stripe-event.js';
import { text } from '../../../../schemas/shared/primitives.js';
import { orderWorkflowId } from '../../../../workflows/order/contract.js';
import type { Money } from '../../../../schemas/shared/money.js';
import { unavailableFailure } from '../../../failures.js';
import { assertSameAmount, PAYMENT_GATEWAY, type ListedCharge, type PaymentGateway } from '../../../payment-gateway.js';
import { mayKeyHaveExpired } from '../../external-calls.js';
import { fromStripeAmount, toStripeAmount } from './amounts.js';
import { callWithKey, createStripeClient, parseAnswer, type StripeConnection } from './client.js';
import { isInvalidRequest, isMissing, isRepeatedAnswer, isRepeatedError, isStateConflict } from './errors.js';

/** How long Stripe keeps an idempotency key, at least. */
const KEY_RETENTION_HOURS = 24;

/** Derived from the order id, so all attempts use the same keys. Stripe rejects a key that another object has used. */
const createKey = (orderId: string) => `${orderWorkflowId(orderId)}:charge`;
const confirmKey = (orderId: string, intentId: string) => `${orderWorkflowId(orderId)}:charge-confirm:${intentId}`;
const cancelKey = (orderId: string, intentId: string) => `${orderWorkflowId(orderId)}:charge-cancel:${intentId}`;
const refundKey = (orderId: string, intentId: string) => `${orderWorkflowId(orderId)}:refund:${intentId}`;

/** The fields that the shop reads of a PaymentIntent. `latest_charge` is expanded. */
const paymentIntent = z.object({
  id: text(200),
  amount: z.int(),
  currency: z.string().length(3),
  status: z.string(),
  metadata: orderMetadata,
  latest_charge: z.object({ refunded: z.boolean() }).nullable(),
});
const createdIntent = paymentIntent.pick({ id: true });
const confirmedIntent = paymentIntent.pick({ id: true, status: true });
const intentList = z.object({ data: z.array(paymentIntent), has_more: z.boolean() });
const createdRefund = z.object({ id: text(200), status: z.string().nullable() });

type PaymentIntent = z.infer<typeof paymentIntent>;

/** What the shop knows of an order. A refund needs it, because it repeats the creation of the PaymentIntent. */
export interface ChargedOrder {
  placedAt: Date;
  /** Undefined for an order that was never priced, and therefore never charged. */
  total?: Money;
}

export interface StripeGatewaySettings extends StripeConnection {
  findOrder: (orderId: string) => Promise<ChargedOrder | undefined>;
}

/**
 * The adapter to Stripe. Each order has one PaymentIntent, which is created with a key that is derived from the order
 * id. A refund creates the PaymentIntent with the same key again and so learns its id, even if every response to the
 * charge was lost. Then it cancels the PaymentIntent, or refunds it if it succeeded. Stripe rejects the confirmation of
 * a cancelled PaymentIntent, so a charge that arrives late moves no money.
 */
export function createStripePaymentGateway({ findOrder, ...connection }: StripeGatewaySettings): PaymentGateway {
  const { stripe, attempt } = createStripeClient(connection);

  /** @returns the id only, because Stripe repeats the first response, whose status may be out of date. */
  async function createIntent(orderId: string, total: Money): Promise<string> {
    const request = {
      ...toStripeAmount(total),
      payment_method_types: ['card'],
      metadata: { orderId },
    };
    const answer = await callWithKey(createKey(orderId), (options) => stripe.paymentIntents.create(request, options));
    return parseAnswer(createdIntent, answer).id;
  }

  /**
   * Returns the PaymentIntent of an order whose charge may never have arrived.
   *
   * @returns undefined if Stripe rejects the request as invalid, for example an amount below its minimum. The charge was
   * rejected too, so there is nothing to roll back.
   */
  async function createIntentAgain(orderId: string, total: Money): Promise<PaymentIntent | undefined> {
    try {
      return await readIntent(await createIntent(orderId, total));
    } catch (error) {
      if (isInvalidRequest(error)) return undefined;
      throw error;
    }
  }

  async function readIntent(id: string): Promise<PaymentIntent> {
    return parseAnswer(paymentIntent, await stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] }));
  }

  /**
   * Searches the PaymentIntents of an order, newest first. The search index is up to a minute behind, so a search does
   * not find the newest PaymentIntents. Their keys are still known to Stripe.
   */
  async function searchIntents(orderId: string): Promise<PaymentIntent[]> {
    const query = `metadata["orderId"]:"${orderId}"`;
    const answer = await stripe.paymentIntents.search({ query, limit: 100, expand: ['data.latest_charge'] });
    return parseAnswer(intentList, answer).data;
  }

  /** Returns the PaymentIntent that moved money, or else the newest. */
  async function findIntent(orderId: string): Promise<PaymentIntent | undefined> {
    const intents = await searchIntents(orderId);
    return intents.find(({ status }) => status === 'succeeded') ?? intents[0];
  }

  async function confirmIntent(id: string, { orderId, token }: { orderId: string; token: string }): Promise<void> {
    // An order is charged without the customer, so a card that needs the customer is declined.
    const request = { payment_method: token, error_on_requires_action: true };
    try {
      const answer = await callWithKey(confirmKey(orderId, id), (options) =>
        stripe.paymentIntents.confirm(id, request, options),
      );
      // A repeated answer can be older than a refund.
      if (parseAnswer(confirmedIntent, answer).status === 'succeeded' && !isRepeatedAnswer(answer)) return;
    } catch (error) {
      if (!isStateConflict(error)) throw error;
    }
    // The PaymentIntent was cancelled, refunded or has already succeeded, or the bank has not decided yet.
    assertCharged(await readIntent(id));
  }

  /** Cancels a PaymentIntent that has not succeeded, or refunds it. */
  async function rollBackIntent(orderId: string, intent: PaymentIntent): Promise<'refunded' | 'voided'> {
    if (intent.status === 'canceled') return 'voided';
    if (intent.status === 'succeeded') {
      if (!intent.latest_charge?.refunded) await refundIntent(orderId, intent.id);
      return 'refunded';
    }
    try {
      await callWithKey(
        cancelKey(orderId, intent.id),
        (options) => stripe.paymentIntents.cancel(intent.id, {}, options),
        isRepeatedError,
      );
      return 'voided';
    } catch (error) {
      if (!isStateConflict(error)) throw error;
    }
    // A confirmation arrived in the meantime.
    const changed = await readIntent(intent.id);
    if (changed.status !== 'succeeded' && changed.status !== 'canceled') throw stillProcessing(changed);
    return await rollBackIntent(orderId, changed);
  }

  async function refundIntent(orderId: string, id: string): Promise<void> {
    const request = { payment_intent: id, metadata: { orderId } };
    try {
      const answer = await callWithKey(
        refundKey(orderId, id),
        (options) => stripe.refunds.create(request, options),
        isRepeatedError,
      );
      const { status } = parseAnswer(createdRefund, answer);
      if (status === 'failed' || status === 'canceled')
        throw ApplicationFailure.nonRetryable(`${PAYMENT_GATEWAY}: refund ${status}`, 'RejectedByExternalSystem');
    } catch (error) {
      if (!isStateConflict(error)) throw error;
    }
  }

  return {
    charge: ({ orderId, amount, token, placedAt }) =>
      attempt(async () => {
        const existing = mayKeyHaveExpired(placedAt, KEY_RETENTION_HOURS) ? await findIntent(orderId) : undefined;
        if (existing) {
          if (existing.status === 'canceled' || existing.latest_charge?.refunded) throw chargeVoided();
          assertSameAmount({ amount: fromStripeAmount(existing) }, amount);
          if (existing.status === 'succeeded') return { chargeId: existing.id };
        }
        const id = existing?.id ?? (await createIntent(orderId, amount));
        await confirmIntent(id, { orderId, token });
        return { chargeId: id };
      }),

    refund: ({ orderId }) =>
      attempt(async () => {
        const order = await findOrder(orderId);
        const mayHaveExpired = !order || mayKeyHaveExpired(order.placedAt, KEY_RETENTION_HOURS);
        const existing = mayHaveExpired ? await findIntent(orderId) : undefined;
        const intent = existing ?? (order?.total && (await createIntentAgain(orderId, order.total)));
        return { status: intent ? await rollBackIntent(orderId, intent) : 'voided' };
      }),

    findPayment: (orderId) =>
      attempt(async () => {
        const intent = await findIntent(orderId);
        if (!intent) return { charge: null, refund: null };
        const charge = toListedCharge(intent);
        const isVoided = intent.status === 'canceled';
        return {
          charge: charge ? { chargeId: charge.chargeId, status: charge.status, amount: charge.amount } : null,
          refund: charge?.refunded ? { status: 'refunded' } : isVoided ? { status: 'voided' } : null,
        };
      }),

    findOrderId: (chargeId) =>
      attempt(async () => {
        try {
          return (await readIntent(chargeId)).metadata.orderId;
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      }),

    /** Lists charges, newest first, as Stripe does. Excludes payments that are not from this shop. */
    listCharges: ({ createdFrom, createdBefore, limit, after }) =>
      attempt(async () => {
        const seconds = (date: Date) => Math.ceil(date.getTime() / 1_000);
        const request: Stripe.PaymentIntentListParams = {
          created: { gte: seconds(createdFrom), lt: seconds(createdBefore) },
          limit,
          expand: ['data.latest_charge'],
          ...(after !== undefined && { starting_after: after }),
        };
        const { data, has_more: hasMore } = parseAnswer(intentList, await stripe.paymentIntents.list(request));
        const charges = data.map(toListedCharge).filter((charge) => charge !== undefined);
        return { charges, next: hasMore ? (data.at(-1)?.id ?? null) : null };
      }),
  };
}

/** @throws `ChargeVoided` when the PaymentIntent was cancelled or refunded. */
function assertCharged(intent: PaymentIntent): void {
  if (intent.status === 'canceled' || intent.latest_charge?.refunded) throw chargeVoided();
  if (intent.status === 'succeeded') return;
  if (intent.status === 'requires_payment_method') throw rejectionFailure('CardDeclined', 'the card was declined');
  throw stillProcessing(intent);
}

const chargeVoided = () => rejectionFailure('ChargeVoided', 'the charge was refunded or voided');

const stillProcessing = ({ status }: PaymentIntent) =>
  unavailableFailure(PAYMENT_GATEWAY, `${PAYMENT_GATEWAY}: the payment is in the status ${status}`);

/** @returns undefined for a PaymentIntent that no card was charged for, or that is not from this shop. */
function toListedCharge(intent: PaymentIntent): ListedCharge | undefined {
  const { orderId } = intent.metadata;
  if (orderId === undefined || !intent.latest_charge) return undefined;
  return {
    chargeId: intent.id,
    orderId,
    amount: fromStripeAmount(intent),
    status: intent.status === 'succeeded' ? 'succeeded' : 'declined',
    refunded: intent.latest_charge.refunded,
  };
}
