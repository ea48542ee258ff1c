import type { CancellationRequest, ReportedStatus, ShipmentRequest } from '../carrier/requests.js';
import type { Amount, ChargeRequest, RefundRequest } from '../payments/requests.js';

/** One line of the journal. */
export type LedgerEntry =
  | { type: 'charge'; charge: Charge }
  | { type: 'refund'; refund: Refund }
  | { type: 'shipment'; shipment: Shipment }
  | { type: 'cancellation'; cancellation: Cancellation }
  | { type: 'report'; report: CarrierReport }
  | { type: 'reportSettled'; at: string; reportId: string; state: 'delivered' | 'given_up' };

/** A call with an effect, by its idempotency key. */
export interface KeyedRecord<Request> {
  at: string;
  key: string;
  request: Request;
}

export interface Charge extends KeyedRecord<ChargeRequest> {
  chargeId: string;
  status: 'succeeded' | 'declined';
}

/** Refunded money, or (`voided`) an order id that no charge may use any more. */
export interface Refund extends KeyedRecord<RefundRequest> {
  outcome: { status: 'refunded'; refundId: string; amount: Amount } | { status: 'voided' };
}

export interface Shipment extends KeyedRecord<ShipmentRequest> {
  shipmentId: string;
  status: 'accepted' | 'cancelled' | ReportedStatus;
}

/** A cancelled shipment, or (`voided`) an order id that no shipment may use any more. */
export interface Cancellation extends KeyedRecord<CancellationRequest> {
  outcome: { status: 'cancelled'; shipmentId: string } | { status: 'voided' };
}

/** A report of the carrier about one parcel; `reportId` is also the webhook's id. */
export interface CarrierReport {
  at: string;
  reportId: string;
  orderId: string;
  shipmentId: string;
  status: string;
  /** Further fields of the webhook. */
  extra?: Record<string, unknown>;
  state: 'pending' | 'delivered' | 'given_up';
}
