import type { OrderLine } from '../schemas/order.js';

/** The name of the carrier in failure types and messages. */
export const CARRIER = 'Carrier';

/**
 * The port to the carrier. An adapter in `external/carriers` implements it, and `npm run contract -- shipping` checks an
 * adapter. docs/guides/write-an-adapter.md explains each promise.
 *
 * All methods run inside an activity. They heartbeat and obey its cancellation (`withHeartbeat`), end within 15
 * seconds, and never retry: Temporal repeats the activity. Methods throw only these failures:
 *
 * - `CarrierUnavailable`, which is retried: a lost connection, a timeout, a rate limit, an error of the carrier, or an
 *   answer that the adapter cannot read. `Retry-After` sets the delay.
 * - `CarrierMisconfigured`, which is retried slowly: wrong credentials or a wrong URL.
 * - `RejectedByExternalSystem`, which is final: the carrier considers the request invalid, so the adapter has a bug.
 * - The rejections that a method names, which are final.
 */
export interface Carrier {
  /**
   * Requests the shipment of an order at most once, however often and however late the method is called. All calls for
   * an order use the same idempotency key. The carrier deletes the key after its retention, so for an older order the
   * adapter first looks up an existing shipment.
   *
   * @throws `ShipmentCancelled` when the order was voided or its shipment was cancelled. Until the carrier deletes the
   * key, the method may instead return the id of the cancelled shipment. The method never ships another parcel.
   */
  requestShipment(request: ShipmentRequest): Promise<{ shipmentId: string }>;

  /**
   * Cancels the shipment of an order before the pickup. The caller may not know whether the carrier has a shipment,
   * because the response to the request may have been lost. If there is no shipment, the method voids the order instead:
   * a shipment request that arrives later must fail with `ShipmentCancelled` and must not ship a parcel. After the
   * pickup, the method changes nothing and returns `already_picked_up`. Repeated calls return the same outcome, also
   * after the retention of the key.
   */
  cancelShipment(request: { orderId: string }): Promise<{ status: CancellationStatus }>;

  /**
   * Finds the newest shipment of an order, also after the retention of the key and after a cancellation.
   *
   * @returns undefined when the carrier has never had a shipment of this order, also if the order was voided.
   */
  findShipment(orderId: string): Promise<Shipment | undefined>;
}

export interface ShipmentRequest {
  orderId: string;
  lines: OrderLine[];
  /** The time before which no attempt was made. */
  placedAt: Date;
}

/** `voided` means that the order had no shipment and that later shipment requests are rejected. */
export type CancellationStatus = 'cancelled' | 'voided' | 'already_picked_up';

export interface Shipment {
  shipmentId: string;
  /**
   * One of `shipmentStatus` in src/schemas/order.ts, or the name that the carrier uses for a status that the shop does
   * not know.
   */
  status: string;
}
