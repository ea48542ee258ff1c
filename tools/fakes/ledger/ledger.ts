import { appendFile, closeSync, fdatasync, ftruncateSync, mkdirSync, openSync, readFileSync, close } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { ReportedStatus } from './requests.js';
import type {
  Cancellation,
  CarrierReport,
  Charge,
  KeyedRecord,
  LedgerEntry,
  PaymentIntent,
  Refund,
  Shipment,
  StripeEvent,
} from './ledger-entries.js';

const appendToFile = promisify<number, string>(appendFile);
const syncFile = promisify(fdatasync);
const closeFile = promisify(close);

/**
 * All records of one kind, oldest first. Two records can have the same key if the key expired after the first record.
 */
class RecordIndex<Entry extends KeyedRecord<{ orderId: string }>> {
  readonly all: Entry[] = [];
  readonly #byKey = new Map<string, Entry>();
  readonly #byOrder = new Map<string, Entry[]>();

  add(entry: Entry): void {
    this.all.push(entry);
    this.#byKey.set(entry.key, entry);
    const { orderId } = entry.request;
    const sameOrder = this.#byOrder.get(orderId);
    if (sameOrder) sameOrder.push(entry);
    else this.#byOrder.set(orderId, [entry]);
  }

  /** Returns the newest record with this key. */
  findByKey(key: string): Entry | undefined {
    return this.#byKey.get(key);
  }

  /** Returns the records of an order, oldest first. */
  findByOrder(orderId: string): readonly Entry[] {
    return this.#byOrder.get(orderId) ?? [];
  }
}

/**
 * The state of the fake external systems: an append-only journal with one JSON line per entry, and the state derived
 * from it. Without a file, the ledger is kept in memory only.
 */
export class Ledger {
  readonly intents = new RecordIndex<PaymentIntent>();
  readonly charges = new RecordIndex<Charge>();
  readonly refunds = new RecordIndex<Refund>();
  readonly shipments = new RecordIndex<Shipment>();
  readonly cancellations = new RecordIndex<Cancellation>();
  readonly reports = new Map<string, CarrierReport>();
  readonly events = new Map<string, StripeEvent>();

  readonly #intentsById = new Map<string, PaymentIntent>();
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

  findIntent(intentId: string): PaymentIntent | undefined {
    return this.#intentsById.get(intentId);
  }

  /** Applies an entry immediately. The entry is on disk when the next `flush()` resolves. */
  append(entry: LedgerEntry): void {
    if (this.#file !== undefined) this.#unwritten += JSON.stringify(entry) + '\n';
    this.#apply(entry);
  }

  /**
   * Resolves when all appended entries are on disk. Every response waits for `flush`, even the response to a repeated
   * request, because the original entry may not be on disk yet. Calls during a sync share the next sync. After a failed
   * write, all later calls fail, because the state in memory is permanently ahead of the disk.
   */
  flush(): Promise<void> {
    this.#written = this.#written.then(() => this.#write());
    return this.#written;
  }

  /** Returns the records of one order, or all records if `orderId` is undefined, oldest first. */
  records(orderId?: string) {
    const ofOrder = <R extends { orderId: string }>(rows: R[]) =>
      orderId === undefined ? rows : rows.filter((row) => row.orderId === orderId);
    const { charges, refunds, shipments, cancellations, reports } = this;
    return {
      charges: ofOrder(
        charges.all.map(({ key, chargeId, status, request: { orderId, amount } }) => {
          return { orderId, key, chargeId, amount, status };
        }),
      ),
      refunds: ofOrder(refunds.all.map(({ key, request, outcome }) => ({ ...request, key, ...outcome }))),
      shipments: ofOrder(
        shipments.all.map(({ key, request, shipmentId, status }) => ({ ...request, key, shipmentId, status })),
      ),
      cancellations: ofOrder(cancellations.all.map(({ key, request, outcome }) => ({ ...request, key, ...outcome }))),
      reports: ofOrder(Array.from(reports.values(), (report) => ({ ...report }))),
    };
  }

  /** Writes pending entries and closes the file. */
  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      if (this.#file !== undefined) await closeFile(this.#file);
    }
  }

  async #write(): Promise<void> {
    if (this.#file === undefined || this.#unwritten === '') return;
    const lines = this.#unwritten;
    this.#unwritten = '';
    await appendToFile(this.#file, lines);
    await syncFile(this.#file);
  }

  #replay(file: string, descriptor: number): void {
    const journal = readFileSync(descriptor);
    // A crash can leave an incomplete last line. Its call never got a response, so the line is removed.
    const end = journal.lastIndexOf('\n') + 1;
    if (end < journal.length) ftruncateSync(descriptor, end);
    const lines = journal.toString('utf8', 0, end).split('\n').slice(0, -1);
    lines.forEach((line, index) => {
      try {
        this.#apply(JSON.parse(line) as LedgerEntry);
      } catch (cause) {
        throw new Error(`The ledger ${file} is damaged at line ${index + 1}.`, { cause });
      }
    });
  }

  #apply(entry: LedgerEntry): void {
    switch (entry.type) {
      case 'intent':
        this.intents.add(entry.intent);
        this.#intentsById.set(entry.intent.intentId, entry.intent);
        break;
      case 'charge':
        this.charges.add(entry.charge);
        break;
      case 'refund':
        this.refunds.add(entry.refund);
        break;
      case 'event':
        this.events.set(entry.event.eventId, { ...entry.event, statuses: [] });
        break;
      case 'eventAttempted':
        this.events.get(entry.eventId)?.statuses.push(entry.status);
        break;
      case 'eventDelivered': {
        const event = this.events.get(entry.eventId);
        if (event) event.state = 'delivered';
        break;
      }
      case 'shipment':
        this.shipments.add(entry.shipment);
        this.#shipmentsById.set(entry.shipment.shipmentId, entry.shipment);
        break;
      case 'cancellation': {
        const { outcome } = entry.cancellation;
        this.cancellations.add(entry.cancellation);
        const shipment = outcome.status === 'cancelled' ? this.#shipmentsById.get(outcome.shipmentId) : undefined;
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
      case 'reportSettled': {
        const report = this.reports.get(entry.reportId);
        if (report) report.state = entry.state;
        break;
      }
      default:
        throw new Error(`Unknown entry: ${JSON.stringify(entry)}`);
    }
  }
}

// Only a step forward changes the parcel. A test can request a report that is a duplicate, is out of order, concerns a
// cancelled parcel or has an unknown status.
function isStepForward(from: Shipment['status'], to: string): to is ReportedStatus {
  const isFurther = ['in_transit', 'delivered', 'lost', 'cancelled'].includes(to) && to !== from;
  return isFurther && (from === 'accepted' || from === 'in_transit');
}
