import type { Carrier } from '../../../src/activities/carrier.js';
import type { OrderLine } from '../../../src/schemas/order.js';
import type { HeldCalls } from '../contract-case.js';

/** The calls of the port, with the names of the fakes. Each includes all requests that the method makes. */
export type CarrierOperation = 'shipment' | 'cancellation' | 'tracking';

export interface SentReport {
  orderId: string;
  shipmentId: string;
  status: string;
}

/** A report as the carrier sends it to `POST /v1/callbacks/shipments`. */
export interface SignedReport {
  headers: Record<string, string>;
  body: string;
}

/**
 * A carrier that the suite can call and, if possible, make misbehave. The author of an adapter writes one for the
 * carrier or for a fake of it. Cases that need a missing method are reported as not tried.
 */
export interface CarrierPartner {
  name: string;
  /** Creates the adapter under test. */
  createCarrier: () => Carrier;
  /** The goods of a parcel. */
  lines: OrderLine[];
  /** How many cases run at once. Defaults to 10. A sandbox may have a low rate limit. */
  concurrency?: number;
  /** How long a case may take. Defaults to two minutes. */
  caseTimeLimitMs?: number;

  /**
   * Counts the parcels of an order, also cancelled ones. By default, the suite sees only the newest parcel, with
   * `findShipment`.
   */
  countParcels?: (orderId: string) => Promise<{ open: number; cancelled: number }>;
  /** Executes the next request of this kind and drops its response. */
  loseNextResponse?: (operation: CarrierOperation, orderId: string) => Promise<void>;
  /** Executes the next request of this kind and answers 200 with a body that the adapter cannot know. */
  garbleNextResponse?: (operation: CarrierOperation, orderId: string) => Promise<void>;
  /** Answers the next request of this kind with a status, without an effect. */
  failNextRequest?: (
    operation: CarrierOperation,
    orderId: string,
    response: { status: number; retryAfter?: string },
  ) => Promise<void>;
  /** Keeps shipment requests without an effect until their release, also when the client has gone. */
  holdShipment?: (orderId: string) => Promise<HeldCalls>;
  /** Forgets the idempotency keys of an order, as after the retention. */
  expireKeys?: (orderId: string) => Promise<void>;
  /** Picks up the parcel of an order. */
  pickUp?: (orderId: string) => Promise<void>;
  /** The webhook secrets that the API has, and how the carrier signs a report with a secret. */
  reports?: {
    secrets: string[];
    sign: (report: SentReport, options: { messageId: string; sentAt: Date; secret?: string }) => SignedReport;
  };
  close?: () => Promise<void>;
}
