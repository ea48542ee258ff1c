import type { Generated, GeneratedAlways, JSONColumnType } from 'kysely';
import type { Reason } from '../schemas/reason.js';
import type { UnhandledReason } from '../schemas/shipment-report.js';

/** The tables as the migrations leave them. */
export interface Schema {
  products: ProductsTable;
  reservations: ReservationsTable;
  reservation_lines: ReservationLinesTable;
  notifications: NotificationsTable;
  batches: BatchesTable;
  batch_rounds: BatchRoundsTable;
  batch_tasks: BatchTasksTable;
  idempotency_keys: IdempotencyKeysTable;
  shipment_reports: ShipmentReportsTable;
}

interface ProductsTable {
  sku: string;
  name: string;
  /** Minor units. */
  price_value: number;
  price_currency: string;
  /** Pieces that can still be sold; reserved ones are already taken off. */
  stock: number;
  /** The number of the batch that set the price, and its line in that. */
  price_batch: Generated<number | null>;
  price_line: Generated<number | null>;
}

interface ReservationsTable {
  order_id: string;
  owner: string;
  status: 'reserved' | 'released';
  created_at: Generated<Date>;
}

interface ReservationLinesTable {
  order_id: string;
  sku: string;
  quantity: number;
}

interface NotificationsTable {
  key: string;
  cart_id: string;
  kind: string;
  created_at: Generated<Date>;
}

interface BatchesTable {
  batch_id: string;
  /** Later batches have higher ones. */
  number: GeneratedAlways<number>;
  operation: string;
  items_per_task: number;
  total: number;
  content_hash: string;
  created_at: Generated<Date>;
}

/** The first run of a batch, or a retry of what failed. */
interface BatchRoundsTable {
  round_id: Generated<number>;
  batch_id: string;
  round: number;
  tasks: number;
  /** Items that succeeded in the rounds before. */
  succeeded_before: number;
  /** The run that works on it; null while the batch is only staged. */
  opened_by: string | null;
  opened_at: Date | null;
}

/** One page of items, and its mark. */
interface BatchTasksTable {
  round_id: number;
  /** Counted from zero, without gaps. */
  task: number;
  /** Each with its line in the upload. */
  items: JSONColumnType<[line: number, item: unknown][]>;
  item_count: number;
  /** Null while it is not done. `given_up`: what is not done of it counts as failed. */
  outcome: 'done' | 'given_up' | null;
  /** So many of its items are done, of an operation that calls outside. */
  position: Generated<number>;
  succeeded: Generated<number>;
  failed: Generated<number>;
  /** By their place in `items`. */
  failures: JSONColumnType<StoredFailure[], string | undefined, string> | null;
  /** Why it was given up. */
  reason: JSONColumnType<Reason, string | undefined, string> | null;
  changed_at: Date | null;
}

/** A request that its caller gave a name. */
interface IdempotencyKeysTable {
  /** Caller, method, path and key, hashed. */
  scope: Buffer;
  /** What was asked, hashed. */
  fingerprint: Buffer;
  /** Who is at it. */
  claim: string;
  claimed_at: Generated<Date>;
  /** The answer; null until there is one. */
  status: number | null;
  headers: JSONColumnType<Record<string, string>, string | undefined, string> | null;
  body: string | null;
}

/** A report of the carrier that no order acted on. */
interface ShipmentReportsTable {
  webhook_id: string;
  /** Later reports have higher ones. A bigint, which the driver reads as text. */
  number: GeneratedAlways<string>;
  order_id: string;
  shipment_id: string;
  /** As the carrier wrote it. */
  status: string;
  reason: UnhandledReason;
  received_at: Generated<Date>;
}

export type StoredFailure = [index: number, type: string, message: string];
