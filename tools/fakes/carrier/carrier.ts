import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type FakeResponse, idempotencyMismatchResponse, errorResponse } from '../calls/responses.js';
import type { IdempotencyKeys } from '../ledger/idempotency-keys.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Cancellation, CarrierReport, Shipment } from '../ledger/ledger-entries.js';
import type { CancellationRequest, ReportedStatus, ShipmentRequest } from '../ledger/requests.js';
import type { DeliveryAttempt, WebhookSender } from './webhook-sender.js';

/**
 * Settings for the automatic movement of parcels and for the reports. Both times start at the acceptance of the parcel.
 */
export interface DeliverySchedule {
  autoDeliver: boolean;
  pickupSeconds: number;
  deliverySeconds: number;
  /** A silent carrier withholds its reports and sends them when `silent` becomes false. */
  silent: boolean;
}

/** A report that a test requests. The report may contradict the actual status of the parcel. */
export interface RequestedReport {
  /** The reported status, which can be any text. A valid next status also changes the status of the parcel. */
  status: string;
  /** Reports about this parcel instead of the order's own parcel. */
  shipmentId?: string | undefined;
  /** Additional fields of the report. */
  extra?: Record<string, unknown> | undefined;
}

const NEXT_STATUS = {
  accepted: 'in_transit',
  in_transit: 'delivered',
  delivered: null,
  lost: null,
  cancelled: null,
} as const;

/**
 * The fake carrier accepts, cancels, picks up and delivers parcels, and reports each status change by webhook. The
 * carrier deduplicates only by idempotency key. Keys expire, and a repeated shipment request with an expired key
 * creates a second parcel. Lookups by order id never expire.
 */
export function createFakeCarrier(
  ledger: Ledger,
  webhooks: WebhookSender,
  keys: IdempotencyKeys,
  defaults: DeliverySchedule,
) {
  let defaultSchedule = { ...defaults };
  const scheduleByOrder = new Map<string, Partial<DeliverySchedule>>();
  const timers = new Map<string, NodeJS.Timeout>();
  /** Returns the newest parcel of an order, because an order can have several parcels. */
  const shipmentOf = (orderId: string): Shipment | undefined => ledger.shipments.findByOrder(orderId).at(-1);

  function accept(key: string, request: ShipmentRequest): FakeResponse {
    const { orderId } = request;
    const earlier = keys.unlessExpired(ledger.shipments.findByKey(key));
    if (earlier)
      return isDeepStrictEqual(earlier.request, request) ? shipmentResponse(earlier) : idempotencyMismatchResponse(key);
    if (ledger.cancellations.findByOrder(orderId).length > 0) {
      return errorResponse(
        409,
        'shipment_cancelled',
        `The shipment of "${orderId}" was cancelled before this request arrived.`,
      );
    }
    const shipment: Shipment = {
      at: new Date().toISOString(),
      key,
      request,
      shipmentId: `sh_${randomUUID()}`,
      status: 'accepted',
    };
    ledger.append({ type: 'shipment', shipment });
    schedule(shipment);
    return shipmentResponse(shipment);
  }

  /**
   * Cancels a shipment before the pickup. If the order has no shipment yet, later shipment requests for the order are
   * rejected.
   */
  function cancel(key: string, request: CancellationRequest): FakeResponse {
    const { orderId } = request;
    const earlier =
      keys.unlessExpired(ledger.cancellations.findByKey(key)) ?? ledger.cancellations.findByOrder(orderId).at(-1);
    if (earlier)
      return isDeepStrictEqual(earlier.request, request)
        ? cancellationResponse(earlier)
        : idempotencyMismatchResponse(key);
    const shipment = shipmentOf(orderId);
    if (shipment && !['accepted', 'cancelled'].includes(shipment.status)) {
      return errorResponse(409, 'already_picked_up', `The parcel of "${orderId}" is ${shipment.status}.`);
    }
    const cancellation: Cancellation = {
      at: new Date().toISOString(),
      key,
      request,
      outcome: shipment ? { status: 'cancelled', shipmentId: shipment.shipmentId } : { status: 'voided' },
    };
    ledger.append({ type: 'cancellation', cancellation });
    if (shipment) schedule(shipment);
    return cancellationResponse(cancellation);
  }

  /** Returns the current status of an order's newest parcel. */
  function track(orderId: string): FakeResponse {
    const shipment = shipmentOf(orderId);
    if (!shipment) return errorResponse(404, 'unknown_shipment', `There is no shipment of "${orderId}".`);
    const { shipmentId, status } = shipment;
    return { status: 200, body: { shipmentId, status } };
  }

  /**
   * Sends a report immediately, even if the status is wrong or the carrier is silent. Returns the result of the first
   * attempt. A failed report is retried like every other report. Returns undefined if the order has no parcel and the
   * report has no `shipmentId`.
   */
  async function reportNow(orderId: string, status: ReportedStatus): Promise<DeliveryAttempt | undefined>;
  async function reportNow(orderId: string, report: RequestedReport): Promise<DeliveryAttempt | undefined>;
  async function reportNow(orderId: string, requested: string | RequestedReport): Promise<DeliveryAttempt | undefined> {
    const { status, shipmentId, extra }: RequestedReport =
      typeof requested === 'string' ? { status: requested } : requested;
    const shipment = shipmentOf(orderId);
    const reportedShipmentId = shipmentId ?? shipment?.shipmentId;
    if (reportedShipmentId === undefined) return undefined;
    const report = recordReport({ orderId, shipmentId: reportedShipmentId, status, extra });
    if (shipment) schedule(shipment);
    return webhooks.sendNow(report);
  }

  /** Changes the schedule of one order, or the default schedule if `orderId` is undefined. */
  function configure(change: Partial<DeliverySchedule>, orderId?: string): DeliverySchedule {
    if (orderId === undefined) defaultSchedule = { ...defaultSchedule, ...change };
    else scheduleByOrder.set(orderId, { ...scheduleByOrder.get(orderId), ...change });
    for (const shipment of ledger.shipments.all) schedule(shipment);
    if (change.silent === false) sendPendingReports();
    return scheduleOf(orderId);
  }

  function scheduleOf(orderId?: string): DeliverySchedule {
    return { ...defaultSchedule, ...(orderId === undefined ? {} : scheduleByOrder.get(orderId)) };
  }

  // Computes the next move from the ledger, so that a restart and a changed schedule need no extra code.
  function schedule(shipment: Shipment): void {
    clearTimeout(timers.get(shipment.shipmentId));
    timers.delete(shipment.shipmentId);
    const { autoDeliver, pickupSeconds, deliverySeconds } = scheduleOf(shipment.request.orderId);
    const status = NEXT_STATUS[shipment.status];
    if (!autoDeliver || status === null) return;
    const due = Date.parse(shipment.at) + (status === 'in_transit' ? pickupSeconds : deliverySeconds) * 1000;
    const move = () => {
      const { orderId } = shipment.request;
      const report = recordReport({ orderId, shipmentId: shipment.shipmentId, status });
      if (!scheduleOf(orderId).silent) webhooks.send(report);
      schedule(shipment);
    };
    timers.set(shipment.shipmentId, setTimeout(move, Math.max(0, due - Date.now())));
  }

  function recordReport({
    orderId,
    shipmentId,
    status,
    extra,
  }: RequestedReport & { orderId: string; shipmentId: string }): CarrierReport {
    const report: CarrierReport = {
      at: new Date().toISOString(),
      reportId: `msg_${randomUUID()}`,
      orderId,
      shipmentId,
      status,
      ...(extra && { extra }),
      state: 'pending',
    };
    ledger.append({ type: 'report', report });
    return report;
  }

  /** Sends the pending reports of all orders for which the carrier is not silent. */
  function sendPendingReports(): void {
    for (const report of ledger.reports.values())
      if (report.state === 'pending' && !scheduleOf(report.orderId).silent) webhooks.send(report);
  }

  /** Resumes pending reports and parcel moves after a restart. */
  function resume(): void {
    sendPendingReports();
    for (const shipment of ledger.shipments.all) schedule(shipment);
  }

  /** Stops moving parcels. */
  function stop(): void {
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  }

  return { accept, cancel, track, reportNow, configure, currentSchedule: () => scheduleOf(), resume, stop };
}

// A repeated request must get the original response, so the status is always `accepted`, even after the parcel has
// moved.
function shipmentResponse({ shipmentId }: Shipment): FakeResponse {
  return { status: 201, body: { shipmentId, status: 'accepted' } };
}

function cancellationResponse({ outcome }: Cancellation): FakeResponse {
  return { status: 200, body: outcome };
}
