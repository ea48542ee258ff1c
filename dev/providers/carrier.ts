import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { type Answer, idempotencyMismatch, refused } from './answer.js';
import type { Cancellation, Ledger, Report, Shipment } from './ledger.js';
import type { Delivery, Webhooks } from './webhooks.js';

export const shipmentSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  lines: z.array(z.strictObject({ sku: z.string().min(1).max(200), quantity: z.int().positive() })).min(1),
});

export const cancellationSchema = z.strictObject({
  orderId: z.string().min(1).max(200),
  shipmentKey: z.string().min(1).max(255),
});

export const reportedStatusSchema = z.enum(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled']);

export type ShipmentRequest = z.infer<typeof shipmentSchema>;
export type CancellationRequest = z.infer<typeof cancellationSchema>;
export type ReportedStatus = z.infer<typeof reportedStatusSchema>;

/** When parcels move by themselves; both times count from the acceptance. */
export interface Schedule {
  autoDeliver: boolean;
  pickupSeconds: number;
  deliverySeconds: number;
}

const nextStatus = {
  accepted: 'in_transit',
  in_transit: 'delivered',
  delivered: null,
  lost: null,
  cancelled: null,
} as const;

/** The parcel carrier: accepts, calls back, picks up, delivers, and reports each move by webhook. */
export function createCarrier(ledger: Ledger, webhooks: Webhooks, defaults: Schedule) {
  let general = { ...defaults };
  const exceptions = new Map<string, Partial<Schedule>>();
  const timers = new Map<string, NodeJS.Timeout>();

  /** Accepts a parcel once a key. */
  function accept(key: string, request: ShipmentRequest): Answer {
    const earlier = ledger.shipments.get(key);
    if (earlier) return isDeepStrictEqual(earlier.request, request) ? acceptance(earlier) : idempotencyMismatch(key);
    if (ledger.cancellationOf(key)) {
      return refused(409, 'shipment_cancelled', `The shipment "${key}" was cancelled before it arrived.`);
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
    return acceptance(shipment);
  }

  /** Calls a parcel back that is not picked up yet; a shipment that is not there is refused when it arrives later. */
  function cancel(key: string, request: CancellationRequest): Answer {
    const earlier = ledger.cancellations.get(key);
    if (earlier && !isDeepStrictEqual(earlier.request, request)) return idempotencyMismatch(key);
    const shipment = ledger.shipments.get(request.shipmentKey);
    const made = ledger.cancellationOf(request.shipmentKey);
    const orderId = (made ?? shipment)?.request.orderId ?? request.orderId;
    if (orderId !== request.orderId) {
      return refused(422, 'order_mismatch', `The shipment "${request.shipmentKey}" belongs to another order.`);
    }
    if (made) return cancellationAnswer(made);
    if (shipment && shipment.status !== 'accepted') {
      return refused(409, 'already_picked_up', `The parcel of "${request.shipmentKey}" is ${shipment.status}.`);
    }
    const cancellation: Cancellation = {
      at: new Date().toISOString(),
      key,
      request,
      outcome: shipment ? { status: 'cancelled', shipmentId: shipment.shipmentId } : { status: 'voided' },
    };
    ledger.append({ type: 'cancellation', cancellation });
    if (shipment) schedule(shipment);
    return cancellationAnswer(cancellation);
  }

  /** Tells where a parcel is, as it stands in the ledger. */
  function track(key: string): Answer {
    const shipment = ledger.shipments.get(key);
    if (!shipment) return refused(404, 'unknown_shipment', `There is no shipment "${key}".`);
    const { shipmentId, status } = shipment;
    return { status: 200, body: { shipmentId, status } };
  }

  /**
   * Reports a status of the order's parcel at once, true or not, and tells how the first attempt went; when it failed
   * the report is retried like any other. `undefined`: the order has no parcel.
   */
  async function reportNow(orderId: string, status: ReportedStatus): Promise<Delivery | undefined> {
    const shipment = ledger.shipmentOf(orderId);
    if (!shipment) return undefined;
    const report = recordReport(shipment, status);
    schedule(shipment);
    return webhooks.sendNow(report);
  }

  /** Changes when parcels move, for one order or for all. */
  function configure(change: Partial<Schedule>, orderId?: string): Schedule {
    if (orderId === undefined) general = { ...general, ...change };
    else exceptions.set(orderId, { ...exceptions.get(orderId), ...change });
    for (const shipment of ledger.shipments.values()) schedule(shipment);
    return scheduleOf(orderId);
  }

  function scheduleOf(orderId?: string): Schedule {
    return { ...general, ...(orderId === undefined ? {} : exceptions.get(orderId)) };
  }

  // Always computed anew from the ledger, so that a restart and a change of the times need nothing of their own.
  function schedule(shipment: Shipment): void {
    clearTimeout(timers.get(shipment.shipmentId));
    timers.delete(shipment.shipmentId);
    const { autoDeliver, pickupSeconds, deliverySeconds } = scheduleOf(shipment.request.orderId);
    const status = nextStatus[shipment.status];
    if (!autoDeliver || status === null) return;
    const due = Date.parse(shipment.at) + (status === 'in_transit' ? pickupSeconds : deliverySeconds) * 1000;
    const move = () => {
      webhooks.send(recordReport(shipment, status));
      schedule(shipment);
    };
    timers.set(shipment.shipmentId, setTimeout(move, Math.max(0, due - Date.now())));
  }

  function recordReport(shipment: Shipment, status: ReportedStatus): Report {
    const report: Report = {
      at: new Date().toISOString(),
      reportId: `msg_${randomUUID()}`,
      orderId: shipment.request.orderId,
      shipmentId: shipment.shipmentId,
      status,
      state: 'pending',
    };
    ledger.append({ type: 'report', report });
    return report;
  }

  /** Goes on where the ledger stops: moves the parcels on and sends the reports that are still open. */
  function resume(): void {
    for (const report of ledger.reports.values()) if (report.state === 'pending') webhooks.send(report);
    for (const shipment of ledger.shipments.values()) schedule(shipment);
  }

  /** No parcel moves any more. */
  function stop(): void {
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  }

  return { accept, cancel, track, reportNow, configure, resume, stop };
}

// The answer to a repeated request is the first one's, whatever has become of the parcel.
function acceptance({ shipmentId }: Shipment): Answer {
  return { status: 201, body: { shipmentId, status: 'accepted' } };
}

function cancellationAnswer({ outcome }: Cancellation): Answer {
  return { status: 200, body: outcome };
}
