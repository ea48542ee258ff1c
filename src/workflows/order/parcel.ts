import type { ShipmentReport } from '../../schemas/order.js';

const RANK = { requested: 0, accepted: 1, in_transit: 2, delivered: 3, lost: 3, cancelled: 3 } as const;

const REPORTED: readonly unknown[] = ['accepted', 'in_transit', 'delivered', 'lost', 'cancelled'];

export type ParcelStatus = keyof typeof RANK;

/**
 * Maximum number of reports kept until the shipment id is known. A parcel has five statuses; further reports are
 * duplicates.
 */
const MAX_EARLY_REPORTS = 10;

/** Whether the raw argument of a signal is a report about this order. */
export function isShipmentReport(value: unknown, orderId: string): value is ShipmentReport {
  if (typeof value !== 'object' || value === null) return false;
  const report = value as Record<string, unknown>;
  return report.orderId === orderId && typeof report.shipmentId === 'string' && REPORTED.includes(report.status);
}

/**
 * The state of an order's parcel. Reports can be duplicated, late or out of order; the first final status counts. Only
 * the carrier's responses to our calls determine our shipment id. Reports that arrive before the response, or that a
 * reset reapplies immediately, are kept until then. Reports about other shipments are ignored and counted.
 */
export class Parcel {
  status: ParcelStatus = 'requested';
  shipmentId: string | undefined;
  /** Whether the carrier has picked the parcel up. After that it cannot be recalled. */
  hasLeft = false;
  ignoredReports = 0;
  private early: ShipmentReport[] = [];

  get isFinal(): boolean {
    return RANK[this.status] === RANK.delivered;
  }

  /** Sets our shipment id and applies the reports kept until now. @returns whether a report changed the status. */
  confirm(shipmentId: string): boolean {
    this.shipmentId ??= shipmentId;
    const early = this.early;
    this.early = [];
    return early.map((report) => this.apply(report)).some((isNews) => isNews);
  }

  /** Marks the parcel as picked up, after the carrier rejected a cancellation. */
  markLeft(): void {
    this.hasLeft = true;
    if (!this.isFinal) this.status = 'in_transit';
  }

  /** Ignores the reports kept until now, because the order ends without a shipment. */
  dropEarlyReports(): void {
    this.ignoredReports += this.early.length;
    this.early = [];
  }

  /** Marks the parcel as cancelled before pickup. */
  cancel(): void {
    this.status = 'cancelled';
  }

  /** Marks the parcel as delivered, on the word of an operator. */
  deliver(): void {
    this.hasLeft = true;
    this.status = 'delivered';
  }

  /** Whether a report about our shipment contradicts the final status that the order acts on. */
  contradicts({ shipmentId, status }: ShipmentReport): boolean {
    if (!this.isFinal || shipmentId !== this.shipmentId || status === this.status) return false;
    return RANK[status] === RANK.delivered || (status === 'in_transit' && this.status === 'cancelled');
  }

  /** @returns whether the report changed the status. */
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
    // `cancelled` does not imply pickup: a carrier cancels parcels that it has not picked up.
    if (RANK[status] >= RANK.in_transit && status !== 'cancelled') this.hasLeft = true;
    return true;
  }
}
