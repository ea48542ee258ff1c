import type { ShipmentReport } from '../../schemas/order.js';

const RANK = { requested: 0, accepted: 1, in_transit: 2, delivered: 3, lost: 3, cancelled: 3 } as const;

const REPORTED: readonly unknown[] = ['accepted', 'in_transit', 'delivered', 'lost', 'cancelled'];

export type ParcelStatus = keyof typeof RANK;

/** Reports that overtake the carrier's answer to the request. A parcel has four statuses; the rest are repetitions. */
const MAX_EARLY_REPORTS = 10;

/** Whether a signal's argument, which is not parsed yet, is a report on this order. */
export function isShipmentReport(value: unknown, orderId: string): value is ShipmentReport {
  if (typeof value !== 'object' || value === null) return false;
  const report = value as Record<string, unknown>;
  return report.orderId === orderId && typeof report.shipmentId === 'string' && REPORTED.includes(report.status);
}

/**
 * What is known of an order's parcel. Reports can arrive twice, late or in any order; the first final status stands.
 * Only the carrier's answers to our own calls tell which shipment is ours. Reports that overtake the answer are kept until
 * then; reports on another shipment, or from before the request, are ignored and counted.
 */
export class Parcel {
  status: ParcelStatus = 'requested';
  shipmentId: string | undefined;
  /** Whether the carrier has or had the parcel. Then it cannot be called back. */
  hasLeft = false;
  ignoredReports = 0;
  private isRequested = false;
  private early: ShipmentReport[] = [];

  get isFinal(): boolean {
    return RANK[this.status] === RANK.delivered;
  }

  /** The shipment is about to be requested: from now on reports count. */
  request(): void {
    this.isRequested = true;
  }

  /** The carrier named our shipment. Applies the reports that came before. @returns whether any of them was news. */
  confirm(shipmentId: string): boolean {
    this.shipmentId ??= shipmentId;
    const early = this.early;
    this.early = [];
    return early.map((report) => this.apply(report)).some((isNews) => isNews);
  }

  /** The carrier refused to call the parcel back because it was picked up. */
  markLeft(): void {
    this.hasLeft = true;
    if (!this.isFinal) this.status = 'in_transit';
  }

  /** Called back before it was picked up. */
  cancel(): void {
    this.status = 'cancelled';
  }

  /** Delivered, as somebody else than the carrier says. */
  deliver(): void {
    this.hasLeft = true;
    this.status = 'delivered';
  }

  /** @returns whether the report is news. */
  apply(report: ShipmentReport): boolean {
    const { shipmentId, status } = report;
    if (this.isRequested && this.shipmentId === undefined && this.early.length < MAX_EARLY_REPORTS) {
      this.early.push(report);
      return false;
    }
    if (this.shipmentId === undefined || shipmentId !== this.shipmentId) {
      this.ignoredReports += 1;
      return false;
    }
    if (RANK[status] <= RANK[this.status]) return false;
    this.status = status;
    // A carrier cancels what it has not picked up.
    if (RANK[status] >= RANK.in_transit && status !== 'cancelled') this.hasLeft = true;
    return true;
  }
}
