import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely';
import type { ApprovalStatus, ApprovalView, TrailEntry } from '../schemas/approval.js';
import type { BatchStatus } from '../schemas/batch.js';
import type { CartStatus } from '../schemas/cart.js';
import type { OrderStage, OrderStatus, OrderView, PricedLine } from '../schemas/order.js';
import type { Reason } from '../schemas/reason.js';
import type { UnhandledReason } from '../schemas/shipment-report.js';

/** The tables as the migrations leave them. */
export interface Schema {
  products: ProductsTable;
  orders: OrdersTable;
  notifications: NotificationsTable;
  carts: CartsTable;
  batches: BatchesTable;
  batch_rounds: BatchRoundsTable;
  batch_tasks: BatchTasksTable;
  idempotency_keys: IdempotencyKeysTable;
  approvals: ApprovalsTable;
  approval_messages: ApprovalMessagesTable;
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

/** One row for each order, for ever: the id of an order is never given away again. */
interface OrdersTable {
  order_id: string;
  /** The first run id of the execution that the order belongs to. It survives a reset. */
  owner: string;
  customer_id: string;
  /** Hash of the order's input, to tell a repeated request from another order. */
  content_hash: string;
  status: OrderStatus;
  /** The stage when the order last reached the store. The workflow knows the exact one. */
  stage: OrderStage;
  /**
   * Where the pieces are. `reserved`: taken off the stock for this order. `sold`: the customer has them. `released`: back
   * in stock. `written_off`: lost on the way.
   */
  reservation: 'reserved' | 'sold' | 'released' | 'written_off';
  /** Null when the order ended before it was priced. The same goes for the total. */
  lines: JSONColumnType<PricedLine[], string | null, string | null> | null;
  /** Minor units; PostgreSQL sends a bigint as text. */
  total_value: ColumnType<string | null, number | null, number | null>;
  total_currency: string | null;
  /** The run that closed the order, with what it said at its end. Null while the order is open, or when the server ended it. */
  run_id: string | null;
  view: JSONColumnType<OrderView, string | null, string | null> | null;
  placed_at: Date;
  updated_at: Generated<Date>;
  /** When its workflow closed the order, or when the server ended the workflow (`failed` without a view). */
  closed_at: Date | null;
}

interface NotificationsTable {
  key: string;
  cart_id: string;
  kind: string;
  created_at: Generated<Date>;
}

/** A cart from its first item on. */
interface CartsTable {
  first_run_id: string;
  cart_id: string;
  customer_id: string | null;
  status: CartStatus;
  /** The order that the cart became. */
  order_id: string | null;
  /** A hash of what that order was made of. */
  content_hash: string | null;
  /** Later carts have higher ones. */
  number: GeneratedAlways<number>;
  opened_at: Generated<Date>;
  closed_at: Date | null;
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
  /** For lists, as of `progress_at`; an execution that the server ended does not record its end. */
  status: Generated<BatchStatus>;
  succeeded: Generated<number>;
  failed: Generated<number>;
  items_per_second: number | null;
  progress_at: Date | null;
  started_at: Date | null;
  closed_at: Date | null;
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

interface ApprovalsTable {
  approval_id: string;
  /** Later approvals have higher ones. */
  number: GeneratedAlways<string>;
  /** The first run of the execution chain that asks. */
  first_run_id: string;
  /** SHA-256 of the input: an id belongs to one content for ever. */
  content_hash: string;
  status: ApprovalStatus;
  title: string;
  requested_by: string;
  /** Minor units. */
  amount_value: ColumnType<string | null, number | undefined, never>;
  amount_currency: ColumnType<string | null, string | undefined, never>;
  stage: number;
  stages: number;
  /** The ids of those who may decide now; empty once it is closed. */
  approvers: string[];
  deadline: Date;
  requested_at: Date;
  closed_at: ColumnType<Date | null, undefined, Date | null>;
  /** How it closed by its own workflow. A terminated approval has none. */
  final_view: JSONColumnType<ApprovalView, undefined, string> | null;
  /** Comments that came after it had closed. */
  later_comments: JSONColumnType<TrailEntry[], undefined, never>;
}

/** A message that was delivered. */
interface ApprovalMessagesTable {
  message_id: string;
  approval_id: string;
  sent_at: Generated<Date>;
}

export type StoredFailure = [index: number, type: string, message: string];
