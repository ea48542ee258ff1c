import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely';
import type { ApprovalStatus, ApprovalView, TrailEntry } from '../schemas/approval.js';
import type { CartStatus } from '../schemas/cart.js';
import type { OrderStage, OrderStatus, OrderView, PricedLine } from '../schemas/order.js';
import type { PaymentEvent } from '../schemas/payment-event.js';
import type { DailyReport } from '../schemas/report.js';
import type { UnhandledReportReason } from '../schemas/shipment-reports.js';
import type { BatchAttemptsTable, BatchChunksTable, BatchesTable, BatchUploadsTable } from './batches/tables.js';

/** The tables after the latest migration. */
export interface Tables {
  products: ProductsTable;
  orders: OrdersTable;
  unreconciled_orders: UnreconciledOrdersTable;
  notifications: NotificationsTable;
  carts: CartsTable;
  batches: BatchesTable;
  batch_attempts: BatchAttemptsTable;
  batch_chunks: BatchChunksTable;
  batch_uploads: BatchUploadsTable;
  idempotency_keys: IdempotencyKeysTable;
  approvals: ApprovalsTable;
  approval_messages: ApprovalMessagesTable;
  shipment_reports: ShipmentReportsTable;
  daily_reports: DailyReportsTable;
  payment_events: PaymentEventsTable;
}

interface ProductsTable {
  sku: string;
  name: string;
  /** Minor units. */
  price_value: number;
  price_currency: string;
  /** Number of pieces available for sale. Excludes reserved pieces. */
  stock: number;
  /** Number of pieces that open orders hold. Triggers on `orders` change this count and the next. */
  reserved: Generated<number>;
  /** Number of pieces that were sold. The driver returns a bigint as text. */
  sold: Generated<string>;
  /** The batch that last set the price, and the line of its upload. */
  price_batch: Generated<number | null>;
  price_line: Generated<number | null>;
}

/** One row per order. Rows are never deleted, so an order id is never reused. */
interface OrdersTable {
  order_id: string;
  /** The first run id of the execution that owns the order. A reset keeps it. */
  first_run_id: string;
  /** Null when the personal data of the order was erased. */
  customer_id: string | null;
  /** Hash of the order's input. Distinguishes a repeated request from another order with the same id. */
  content_hash: string;
  status: OrderStatus;
  /** The stage when the order was last written to the store. Only the workflow knows the current stage. */
  stage: OrderStage;
  /**
   * State of the order's stock. `reserved`: taken from stock for this order. `sold`: delivered to the customer.
   * `released`: returned to stock. `written_off`: lost in transit.
   */
  reservation: 'reserved' | 'sold' | 'released' | 'written_off';
  /** Null when the order ended before it was priced. `total_value` and `total_currency` are then null too. */
  lines: JSONColumnType<PricedLine[], string | null, string | null> | null;
  /** Minor units. The driver returns a bigint as text. */
  total_value: ColumnType<string | null, number | null, number | null>;
  total_currency: string | null;
  /**
   * The run that closed the order. Null while the order is open, and when the Temporal server ended the workflow.
   * `view` is null in the same cases.
   */
  run_id: string | null;
  view: JSONColumnType<OrderView, string | null, string | null> | null;
  placed_at: Date;
  updated_at: Generated<Date>;
  /**
   * When the workflow closed the order, or when the Temporal server ended the workflow. In the second case, the status
   * is `failed` and `view` is null.
   */
  closed_at: Date | null;
  /** When the reconciliation rolled the order back, because its workflow had ended without recording an outcome. */
  rolled_back_at: Date | null;
  /** When the personal data of the order was erased. */
  erased_at: Date | null;
}

/** An order about which a person must decide. */
interface UnreconciledOrdersTable {
  order_id: string;
  problem: string;
  found_at: Generated<Date>;
  /** When the last reconciliation tried to roll the order back, or the last audit found the order. */
  tried_at: Generated<Date>;
  /** The audit that found the order. Null for an order that the reconciliation could not roll back. */
  audit_run_id: Generated<string | null>;
}

/** The figures of a day. */
interface DailyReportsTable {
  /** A date without a time zone. */
  day: ColumnType<Date, string, never>;
  figures: JSONColumnType<DailyReport, string, string>;
  written_at: Generated<Date>;
}

interface NotificationsTable {
  key: string;
  cart_id: string;
  kind: string;
  created_at: Generated<Date>;
}

/** A cart. The row is inserted with the cart's first item. */
interface CartsTable {
  first_run_id: string;
  cart_id: string;
  customer_id: string | null;
  status: CartStatus;
  /** The order created by the checkout. */
  order_id: string | null;
  /** Hash of the order's content. */
  content_hash: string | null;
  /** Later carts have higher numbers. */
  number: GeneratedAlways<number>;
  opened_at: Generated<Date>;
  closed_at: Date | null;
}

/** A request with an idempotency key, and its response. */
interface IdempotencyKeysTable {
  /** Hash of the caller, the method, the path and the idempotency key. */
  scope: Buffer;
  /** Hash of the request content, to detect a key that is reused for another request. */
  fingerprint: Buffer;
  /** A random id that identifies the current claim. */
  claim: string;
  claimed_at: Generated<Date>;
  /** Status of the response. Null until the request has completed. */
  status: number | null;
  headers: JSONColumnType<Record<string, string>, string | undefined, string> | null;
  body: string | null;
}

/** A carrier report that no order processed. */
interface ShipmentReportsTable {
  webhook_id: string;
  /** Later reports have higher numbers. The driver returns a bigint as text. */
  number: GeneratedAlways<string>;
  order_id: string;
  shipment_id: string;
  /** The status exactly as the carrier sent it. */
  status: string;
  reason: UnhandledReportReason;
  received_at: Generated<Date>;
}

/** An event that the payment provider reported. */
interface PaymentEventsTable {
  event_id: string;
  type: PaymentEvent['type'];
  charge_id: string;
  /** Null for disputes. */
  order_id: string | null;
  dispute_id: string | null;
  received_at: Generated<Date>;
}

interface ApprovalsTable {
  approval_id: string;
  /** Later approvals have higher numbers. */
  number: GeneratedAlways<string>;
  /** The first run id of the approval's execution. */
  first_run_id: string;
  /** SHA-256 of the input. An approval id can never be reused with different content. */
  content_hash: string;
  status: ApprovalStatus;
  /** `<erased>` after the erasure of the requester, like `requested_by` and `content_hash`. */
  title: string;
  requested_by: string;
  /** Minor units. */
  amount_value: ColumnType<string | null, number | undefined, never>;
  amount_currency: ColumnType<string | null, string | undefined, never>;
  stage: number;
  stages: number;
  /** Ids of the approvers who can decide now. Empty once the approval is closed. */
  approvers: string[];
  /** The deadline of the current stage. */
  deadline: Date;
  /** The deadline of the first stage. Null for an approval that was opened before this column existed. */
  due_at: Date | null;
  requested_at: Date;
  closed_at: ColumnType<Date | null, undefined, Date | null>;
  /** The final view that the workflow recorded. Null for an open or a terminated approval. */
  final_view: JSONColumnType<ApprovalView, undefined, string> | null;
  /** Comments added after the approval closed. */
  later_comments: JSONColumnType<TrailEntry[], undefined, string>;
}

/** A delivered message to an approver or to a callback URL. */
interface ApprovalMessagesTable {
  message_id: string;
  approval_id: string;
  /** With the reference, the channel can change the message. Null if the channel cannot. */
  reference: ColumnType<string | null, string | undefined, never>;
  sent_at: Generated<Date>;
}
