import type { ShipmentReport } from '../../schemas/order.js';

const RANK = { requested: 0, accepted: 1, in_transit: 2, delivered: 3, lost: 3, cancelled: 3 } as const;

const REPORTED: readonly unknown[] = ['accepted', 'in_transit', 'delivered', 'lost', 'cancelled'];

export type ParcelStatus = keyof typeof RANK;

/** Reports that are kept until the shipment is known. A parcel has five statuses; the rest are repetitions. */
const MAX_EARLY_REPORTS = 10;

/** Whether a signal's argument, which is not parsed yet, is a report on this order. */
export function isShipmentReport(value: unknown, orderId: string): value is ShipmentReport {
  if (typeof value !== 'object' || value === null) return false;
  const report = value as Record<string, unknown>;
  return report.orderId === orderId && typeof report.shipmentId === 'string' && REPORTED.includes(report.status);
}

/**
 * What is known of an order's parcel. Reports can arrive twice, late or in any order; the first final status stands.
 * Only the carrier's answers to our own calls tell which shipment is ours. Reports count from then on: those that overtake
 * the answer, or that a reset delivers again at once, are kept until then. Reports on another shipment are ignored and
 * counted.
 */
export class Parcel {
  status: ParcelStatus = 'requested';
  shipmentId: string | undefined;
  /** Whether the carrier has or had the parcel. Then it cannot be called back. */
  hasLeft = false;
  ignoredReports = 0;
  private early: ShipmentReport[] = [];

  get isFinal(): boolean {
    return RANK[this.status] === RANK.delivered;
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

  /** The order ends without a shipment: the reports that were kept are about nothing of ours. */
  dropEarlyReports(): void {
    this.ignoredReports += this.early.length;
    this.early = [];
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

  /** Whether a report about our shipment says something else than the final status that the order acts on. */
  contradicts({ shipmentId, status }: ShipmentReport): boolean {
    if (!this.isFinal || shipmentId !== this.shipmentId || status === this.status) return false;
    return RANK[status] === RANK.delivered || (status === 'in_transit' && this.status === 'cancelled');
  }

  /** @returns whether the report is news. */
  apply(report: ShipmentReport): boolean {
    const { shipmentId, status } = report;
    if (this.shipmentId === undefined && this.early.length < MAX_EARLY_REPORTS) {
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
