import type {
  Amount,
  CancellationRequest,
  ChargeRequest,
  RefundRequest,
  ReportedStatus,
  ShipmentRequest,
} from './requests.js';

/** One line of the journal file, as JSON. */
export type LedgerEntry =
  | { type: 'intent'; intent: PaymentIntent }
  | { type: 'charge'; charge: Charge }
  | { type: 'refund'; refund: Refund }
  | { type: 'event'; event: StripeEvent }
  | { type: 'eventAttempted'; at: string; eventId: string; status: number | null }
  | { type: 'eventDelivered'; at: string; eventId: string }
  | { type: 'shipment'; shipment: Shipment }
  | { type: 'cancellation'; cancellation: Cancellation }
  | { type: 'report'; report: CarrierReport }
  | { type: 'reportSettled'; at: string; reportId: string; state: 'delivered' | 'given_up' };

/** A recorded call that had an effect, with its idempotency key. */
export interface KeyedRecord<Request> {
  at: string;
  key: string;
  request: Request;
}

export interface Charge extends KeyedRecord<ChargeRequest> {
  chargeId: string;
  status: 'succeeded' | 'declined';
}

/** A payment in the terms of Stripe. Its confirmation is a charge with the same id, and its cancellation is a void. */
export interface PaymentIntent extends KeyedRecord<{ orderId: string; amount: Amount }> {
  intentId: string;
  /** The parameters of the call, to compare a repeated call. */
  parameters: unknown;
}

/** An event of Stripe about the PaymentIntent of an order. */
export interface StripeEvent {
  at: string;
  eventId: string;
  orderId: string;
  type: string;
  /** The PaymentIntent, charge or dispute, as it was when the event happened. */
  object: unknown;
  state: 'pending' | 'delivered';
  /** The status of the receiver for each attempt. Null if there was no response. */
  statuses: (number | null)[];
}

/** The outcome of a refund request. `voided` means that the order had no charge and that later charges are rejected. */
export interface Refund extends KeyedRecord<RefundRequest> {
  outcome: { status: 'refunded'; refundId: string; amount: Amount } | { status: 'voided' };
  /** The PaymentIntent that was refunded or cancelled, if Stripe's call did it. */
  intentId?: string;
}

export interface Shipment extends KeyedRecord<ShipmentRequest> {
  shipmentId: string;
  status: 'accepted' | 'cancelled' | ReportedStatus;
}

/**
 * The outcome of a cancellation request. `voided` means that the order had no shipment and that later shipments are
 * rejected.
 */
export interface Cancellation extends KeyedRecord<CancellationRequest> {
  outcome: { status: 'cancelled'; shipmentId: string } | { status: 'voided' };
}

/** A report of the carrier about one parcel. `reportId` is also the id of the webhook. */
export interface CarrierReport {
  at: string;
  reportId: string;
  orderId: string;
  shipmentId: string;
  status: string;
  /** Additional fields of the webhook body. */
  extra?: Record<string, unknown>;
  state: 'pending' | 'delivered' | 'given_up';
}
