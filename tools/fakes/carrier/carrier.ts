import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type FakeResponse, idempotencyMismatchResponse, errorResponse } from '../calls/responses.js';
import type { IdempotencyKeys } from '../ledger/idempotency-keys.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Cancellation, CarrierReport, Shipment } from '../ledger/ledger-entries.js';
import type { CancellationRequest, ReportedStatus, ShipmentRequest } from './requests.js';
import type { DeliveryAttempt, WebhookSender } from './webhook-sender.js';

/** When parcels move by themselves (both times count from the acceptance), and whether moves are reported. */
export interface DeliverySchedule {
  autoDeliver: boolean;
  pickupSeconds: number;
  deliverySeconds: number;
  /** A silent carrier keeps its reports and sends them, late, when `silent` becomes false. */
  silent: boolean;
}

/** A report that a test requests; its status may be false. */
export interface RequestedReport {
  /** A known status, which the parcel takes if possible, or any other text. */
  status: string;
  /** Names another parcel than the order's own. */
  shipmentId?: string | undefined;
  /** Further fields of the report. */
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
 * The fake carrier. It accepts, cancels, picks up and delivers parcels, and reports each move by webhook. It
 * deduplicates by idempotency key only, and keys expire: a repeated shipment with an expired key is a second parcel.
 * Order ids never expire.
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
  /** The newest parcel of an order, if it has several. */
  const shipmentOf = (orderId: string): Shipment | undefined => ledger.shipments.findByOrder(orderId).at(-1);

  function accept(key: string, request: ShipmentRequest): FakeResponse {
    const { orderId } = request;
    const earlier = keys.unlessExpired(ledger.shipments.findByKey(key));
    if (earlier)
      return isDeepStrictEqual(earlier.request, request) ? shipmentResponse(earlier) : idempotencyMismatchResponse(key);
    if (ledger.cancellations.findByOrder(orderId).length > 0) {
      return errorResponse(409, 'shipment_cancelled', `The shipment of "${orderId}" was cancelled before it arrived.`);
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
   * Cancels a shipment that is not picked up yet. If the order has no shipment, a shipment that arrives later is
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

  /** The status of an order's parcel in the ledger. */
  function track(orderId: string): FakeResponse {
    const shipment = shipmentOf(orderId);
    if (!shipment) return errorResponse(404, 'unknown_shipment', `There is no shipment of "${orderId}".`);
    const { shipmentId, status } = shipment;
    return { status: 200, body: { shipmentId, status } };
  }

  /**
   * Reports a status of the order's parcel at once, even if the status is false or the carrier is silent. Returns the
   * result of the first attempt; a failed report is retried like any other. Returns undefined if the order has no
   * parcel and the report names none.
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

  /** Changes when parcels move, for one order or for all. */
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

  // Always computes the schedule from the ledger, so that a restart and a change of the times need no extra code.
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

  /** Sends the reports that a silent carrier kept or that a restart left pending. */
  function sendPendingReports(): void {
    for (const report of ledger.reports.values())
      if (report.state === 'pending' && !scheduleOf(report.orderId).silent) webhooks.send(report);
  }

  /** Continues from the state in the ledger. */
  function resume(): void {
    sendPendingReports();
    for (const shipment of ledger.shipments.all) schedule(shipment);
  }

  /** Stops all movement of parcels. */
  function stop(): void {
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  }

  return { accept, cancel, track, reportNow, configure, resume, stop };
}

// A repeated request gets the response of the first one, whatever the parcel's status is by now.
function shipmentResponse({ shipmentId }: Shipment): FakeResponse {
  return { status: 201, body: { shipmentId, status: 'accepted' } };
}

function cancellationResponse({ outcome }: Cancellation): FakeResponse {
  return { status: 200, body: outcome };
}
