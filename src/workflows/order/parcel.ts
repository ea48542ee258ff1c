import type { ShipmentReport } from '../../schemas/order.js';

const STATUS_RANK = { requested: 0, accepted: 1, in_transit: 2, delivered: 3, lost: 3, cancelled: 3 } as const;

type ParcelStatus = keyof typeof STATUS_RANK;

/**
 * Maximum number of early reports, which are kept until the shipment id is known. A parcel has only five statuses, so
 * further reports are duplicates.
 */
const MAX_EARLY_REPORTS = 10;

/**
 * The state of an order's parcel. Reports can be duplicated, late or out of order; the first final status counts. Only
 * the carrier's responses to our calls determine our shipment id. Early reports are kept until the shipment id is
 * known. A report is early when it arrives before the carrier's response, or when a reset reapplies it immediately.
 * Reports about other shipments are ignored and counted.
 */
export class Parcel {
  status: ParcelStatus = 'requested';
  shipmentId: string | undefined;
  /** Whether the carrier has picked the parcel up. After the pickup, the parcel cannot be recalled. */
  hasLeft = false;
  ignoredReportCount = 0;
  private earlyReports: ShipmentReport[] = [];

  get isFinal(): boolean {
    return STATUS_RANK[this.status] === STATUS_RANK.delivered;
  }

  /** Sets our shipment id and applies the early reports. @returns whether a report changed the status. */
  setShipmentId(shipmentId: string): boolean {
    this.shipmentId ??= shipmentId;
    const early = this.earlyReports;
    this.earlyReports = [];
    return early.map((report) => this.applyReport(report)).some((isNews) => isNews);
  }

  /** Marks the parcel as picked up, because the carrier rejected a cancellation. */
  markLeft(): void {
    this.hasLeft = true;
    if (!this.isFinal) this.status = 'in_transit';
  }

  /** Drops the early reports and counts them as ignored. Called when the order ends. */
  dropEarlyReports(): void {
    this.ignoredReportCount += this.earlyReports.length;
    this.earlyReports = [];
  }

  /** Marks the parcel as cancelled before pickup. */
  markCancelled(): void {
    this.status = 'cancelled';
  }

  /** Marks the parcel as delivered, because an operator decided so. */
  markDelivered(): void {
    this.hasLeft = true;
    this.status = 'delivered';
  }

  /** Whether a report about our shipment contradicts the final status of the parcel. */
  contradicts({ shipmentId, status }: ShipmentReport): boolean {
    if (!this.isFinal || shipmentId !== this.shipmentId || status === this.status) return false;
    return STATUS_RANK[status] === STATUS_RANK.delivered || (status === 'in_transit' && this.status === 'cancelled');
  }

  /** Applies a report. @returns whether the report changed the status. */
  applyReport(report: ShipmentReport): boolean {
    const { shipmentId, status } = report;
    if (this.shipmentId === undefined && this.earlyReports.length < MAX_EARLY_REPORTS) {
      this.earlyReports.push(report);
      return false;
    }
    if (this.shipmentId === undefined || shipmentId !== this.shipmentId) {
      this.ignoredReportCount += 1;
      return false;
    }
    if (STATUS_RANK[status] <= STATUS_RANK[this.status]) return false;
    this.status = status;
    // `cancelled` does not imply pickup: a carrier cancels parcels that it has not picked up.
    if (STATUS_RANK[status] >= STATUS_RANK.in_transit && status !== 'cancelled') this.hasLeft = true;
    return true;
  }
}
