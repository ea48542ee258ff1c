import { appendFile, closeSync, fdatasync, ftruncateSync, mkdirSync, openSync, readFileSync, close } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { CancellationRequest, ReportedStatus, ShipmentRequest } from './carrier.js';
import type { Amount, ChargeRequest, RefundRequest } from './payments.js';

const append = promisify<number, string>(appendFile);
const sync = promisify(fdatasync);
const closeFile = promisify(close);

export type Entry =
  | { type: 'charge'; charge: Charge }
  | { type: 'refund'; refund: Refund }
  | { type: 'shipment'; shipment: Shipment }
  | { type: 'cancellation'; cancellation: Cancellation }
  | { type: 'report'; report: Report }
  | { type: 'reportClosed'; at: string; reportId: string; state: 'delivered' | 'given_up' };

interface Recorded<Request> {
  at: string;
  key: string;
  request: Request;
}

export interface Charge extends Recorded<ChargeRequest> {
  chargeId: string;
  status: 'succeeded' | 'declined';
}

/** Money given back, or (`voided`) a key that no charge may use any more. */
export interface Refund extends Recorded<RefundRequest> {
  outcome: { status: 'refunded'; refundId: string; amount: Amount } | { status: 'voided' };
}

export interface Shipment extends Recorded<ShipmentRequest> {
  shipmentId: string;
  status: 'accepted' | 'cancelled' | ReportedStatus;
}

/** A parcel called back, or (`voided`) a key that no shipment may use any more. */
export interface Cancellation extends Recorded<CancellationRequest> {
  outcome: { status: 'cancelled'; shipmentId: string } | { status: 'voided' };
}

/** What the carrier has to tell the shop about one parcel; its id is the webhook's id. */
export interface Report {
  at: string;
  reportId: string;
  orderId: string;
  shipmentId: string;
  status: ReportedStatus;
  state: 'pending' | 'delivered' | 'given_up';
}

/**
 * The memory of the outside world: an append-only journal with one JSON line an entry, and the state that follows
 * from it. Without a file it is kept in memory only.
 */
export class Ledger {
  readonly charges = new Map<string, Charge>();
  readonly refunds = new Map<string, Refund>();
  readonly shipments = new Map<string, Shipment>();
  readonly cancellations = new Map<string, Cancellation>();
  readonly reports = new Map<string, Report>();

  readonly #refundsByCharge = new Map<string, Refund>();
  readonly #cancellationsByShipment = new Map<string, Cancellation>();
  readonly #shipmentsById = new Map<string, Shipment>();
  readonly #file: number | undefined;
  #unwritten = '';
  #written: Promise<void> = Promise.resolve();

  constructor(file?: string) {
    if (file === undefined) return;
    mkdirSync(dirname(file), { recursive: true });
    const descriptor = openSync(file, 'a+');
    try {
      this.#replay(file, descriptor);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#file = descriptor;
  }

  /** Applies an entry at once; it is safe on disk when the next `durable()` resolves. */
  append(entry: Entry): void {
    if (this.#file !== undefined) this.#unwritten += JSON.stringify(entry) + '\n';
    this.#apply(entry);
  }

  /**
   * Resolves when all that was appended so far is on disk. Every answer waits for it, also a repeated one: its
   * original may not be written yet. Calls that come in during a sync share the next one. After a failed write all
   * later calls fail too, because the state in memory is ahead of the disk for good.
   */
  durable(): Promise<void> {
    this.#written = this.#written.then(() => this.#write());
    return this.#written;
  }

  /** The refund, or the void, of the charge with this key. */
  refundOf(chargeKey: string): Refund | undefined {
    return this.#refundsByCharge.get(chargeKey);
  }

  /** The cancellation, or the void, of the shipment with this key. */
  cancellationOf(shipmentKey: string): Cancellation | undefined {
    return this.#cancellationsByShipment.get(shipmentKey);
  }

  /** The parcel of an order: the newest one, should there be several. */
  shipmentOf(orderId: string): Shipment | undefined {
    return [...this.shipments.values()].findLast((shipment) => shipment.request.orderId === orderId);
  }

  /** Everything known, of one order or of all, in the order in which it happened. */
  statement(orderId?: string) {
    const concerned = <R extends { orderId: string }>(rows: R[]) =>
      orderId === undefined ? rows : rows.filter((row) => row.orderId === orderId);
    const { charges, refunds, shipments, cancellations, reports } = this;
    return {
      charges: concerned(
        Array.from(charges.values(), ({ key, chargeId, status, request: { orderId, amount } }) => {
          return { orderId, key, chargeId, amount, status };
        }),
      ),
      refunds: concerned(
        Array.from(refunds.values(), ({ key, request, outcome }) => ({ ...request, key, ...outcome })),
      ),
      shipments: concerned(
        Array.from(shipments.values(), ({ key, request, shipmentId, status }) => {
          return { ...request, key, shipmentId, status };
        }),
      ),
      cancellations: concerned(
        Array.from(cancellations.values(), ({ key, request, outcome }) => ({ ...request, key, ...outcome })),
      ),
      reports: concerned(Array.from(reports.values(), (report) => ({ ...report }))),
    };
  }

  /** Writes what is left and closes the file. */
  async close(): Promise<void> {
    try {
      await this.durable();
    } finally {
      if (this.#file !== undefined) await closeFile(this.#file);
    }
  }

  async #write(): Promise<void> {
    if (this.#file === undefined || this.#unwritten === '') return;
    const lines = this.#unwritten;
    this.#unwritten = '';
    await append(this.#file, lines);
    await sync(this.#file);
  }

  #replay(file: string, descriptor: number): void {
    const journal = readFileSync(descriptor);
    // A crash can tear the last line, which was then never answered. It has to go, or the next entry would be glued
    // to it.
    const end = journal.lastIndexOf('\n') + 1;
    if (end < journal.length) ftruncateSync(descriptor, end);
    const lines = journal.toString('utf8', 0, end).split('\n').slice(0, -1);
    lines.forEach((line, index) => {
      try {
        this.#apply(JSON.parse(line) as Entry);
      } catch (cause) {
        throw new Error(`The ledger ${file} is damaged at line ${index + 1}.`, { cause });
      }
    });
  }

  #apply(entry: Entry): void {
    switch (entry.type) {
      case 'charge':
        this.charges.set(entry.charge.key, entry.charge);
        break;
      case 'refund':
        this.refunds.set(entry.refund.key, entry.refund);
        this.#refundsByCharge.set(entry.refund.request.chargeKey, entry.refund);
        break;
      case 'shipment':
        this.shipments.set(entry.shipment.key, entry.shipment);
        this.#shipmentsById.set(entry.shipment.shipmentId, entry.shipment);
        break;
      case 'cancellation': {
        const { key, request } = entry.cancellation;
        this.cancellations.set(key, entry.cancellation);
        this.#cancellationsByShipment.set(request.shipmentKey, entry.cancellation);
        const shipment = this.shipments.get(request.shipmentKey);
        if (shipment) shipment.status = 'cancelled';
        break;
      }
      case 'report': {
        const { reportId, shipmentId, status } = entry.report;
        this.reports.set(reportId, entry.report);
        const shipment = this.#shipmentsById.get(shipmentId);
        if (shipment && isStepForward(shipment.status, status)) shipment.status = status;
        break;
      }
      case 'reportClosed': {
        const report = this.reports.get(entry.reportId);
        if (report) report.state = entry.state;
        break;
      }
      default:
        throw new Error(`Unknown entry: ${JSON.stringify(entry)}`);
    }
  }
}

// A report made on demand may lie (a duplicate, one out of order, one of a cancelled parcel); the parcel stays where it is.
function isStepForward(from: Shipment['status'], to: ReportedStatus): boolean {
  const isFurther = to !== 'accepted' && to !== from;
  return isFurther && (from === 'accepted' || from === 'in_transit');
}
