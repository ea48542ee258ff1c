import type { ShipmentReport } from '../../schemas/order.js';

const RANK = { requested: 0, accepted: 1, in_transit: 2, delivered: 3, lost: 3, cancelled: 3 } as const;

const REPORTED: readonly unknown[] = ['accepted', 'in_transit', 'delivered', 'lost'];

export type ParcelStatus = keyof typeof RANK;

/** Whether a signal's argument, which nobody has parsed yet, is a report on this order. */
export function isShipmentReport(value: unknown, orderId: string): value is ShipmentReport {
  if (typeof value !== 'object' || value === null) return false;
  const report = value as Record<string, unknown>;
  return report.orderId === orderId && typeof report.shipmentId === 'string' && REPORTED.includes(report.status);
}

/**
 * What is known of a parcel, from reports that may come twice, late or in any order: the first final word stands.
 * A report may even overtake the carrier's answer that names the shipment; until then a report is taken at its word,
 * because an order has one shipment and only the carrier can sign for it.
 */
export class Parcel {
  status: ParcelStatus = 'requested';
  shipmentId: string | undefined;

  /** The carrier has it, or had it: it can no longer be called back. */
  get left(): boolean {
    return RANK[this.status] >= RANK.in_transit;
  }

  get arrived(): boolean {
    return this.status === 'delivered' || this.status === 'lost';
  }

  /** @returns whether the report told something new. */
  apply({ shipmentId, status }: ShipmentReport): boolean {
    if (this.shipmentId !== undefined && shipmentId !== this.shipmentId) return false;
    if (RANK[status] <= RANK[this.status]) return false;
    this.shipmentId = shipmentId;
    this.status = status;
    return true;
  }
}
