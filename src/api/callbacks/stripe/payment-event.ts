import { z } from 'zod';
import type { PaymentEvent } from '../../../schemas/payment-event.js';
import { text } from '../../../schemas/shared/primitives.js';
import { orderMetadata, stripeEvent, type StripeEvent } from '../../../schemas/stripe-event.js';
import { parseInput } from '../../http/parse-input.js';

const stripeId = text(255);

const metadata = orderMetadata.nullish();

const eventOf = <Body extends z.ZodType>(object: Body) => stripeEvent.extend({ data: z.object({ object }) });

const paymentIntentEvent = eventOf(z.object({ id: stripeId, metadata }));
/** Stripe copies the metadata of a PaymentIntent to its charge. */
const chargeEvent = eventOf(z.object({ payment_intent: stripeId.nullish(), refunded: z.boolean(), metadata }));
const disputeEvent = eventOf(z.object({ id: stripeId, payment_intent: stripeId.nullish() }));

/** The types of events that the shop uses. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['payment_intent.succeeded', readSuccess],
  ['charge.refunded', readRefund],
  ['charge.dispute.created', (event) => readDispute(event, 'dispute_opened')],
  ['charge.dispute.closed', (event) => readDispute(event, 'dispute_closed')],
]);

type EventFields = Omit<PaymentEvent, 'eventId'>;
type Reader = (event: StripeEvent) => EventFields | undefined;

/**
 * Returns the event in the terms of the port `PaymentGateway`.
 *
 * @returns undefined for an event that has no effect. @throws 400 with the name of each invalid field.
 */
export function toPaymentEvent(event: StripeEvent): PaymentEvent | undefined {
  const fields = READERS.get(event.type)?.(event);
  return fields && { eventId: event.id, ...fields };
}

function readSuccess(event: StripeEvent): EventFields | undefined {
  const { id: chargeId, metadata: fields } = parseInput(paymentIntentEvent, event).data.object;
  return fields?.orderId === undefined ? undefined : { type: 'charged', chargeId, orderId: fields.orderId };
}

function readRefund(event: StripeEvent): EventFields | undefined {
  const { payment_intent: chargeId, refunded, metadata: fields } = parseInput(chargeEvent, event).data.object;
  if (!refunded || !chargeId || fields?.orderId === undefined) return undefined;
  return { type: 'refunded', chargeId, orderId: fields.orderId };
}

function readDispute(event: StripeEvent, type: PaymentEvent['type']): EventFields | undefined {
  const { id: disputeId, payment_intent: chargeId } = parseInput(disputeEvent, event).data.object;
  return chargeId ? { type, disputeId, chargeId } : undefined;
}
