import type { OrderLine } from '../../src/schemas/order.js';
import type { Product } from '../../src/schemas/product.js';

/** What the crowd asked for and what it was promised, as plain JSON: all that the auditor knows of it. */
export interface Ledger {
  /** What the crowd buys and restocks, with the stock from before it came. Nobody else may touch these. */
  products: Product[];
  orders: AskedOrder[];
  carts: AskedCart[];
  approvals: AskedApproval[];
  batches: AskedBatch[];
  /** The carrier's callbacks, over and above his own. */
  callbacks: { sent: number; repeated: number; outOfOrder: number };
  /** Orders for which the carrier reported another parcel as delivered. */
  foreignReports: string[];
  /** Workflow ids of executions that were reset. */
  resets: string[];
  /** What each edge case came to. An edge case that is not played in this run is not listed. */
  edgeCases: EdgeCase[];
  /** Every HTTP request that was sent, also those that only look. */
  attempts: number;
  /** How requests ended that did not get what they asked for, by what they were: `place 503`, `place ECONNRESET`. */
  refused: Record<string, number>;
}

/**
 * A request under its Idempotency-Key, sent until it is known what became of it. `accepted` is a promise: it has its
 * effect exactly once. `refused` has none. `unknown` never got an answer that says it: none or one.
 */
export interface Asked {
  key: string;
  fate: 'accepted' | 'refused' | 'unknown';
  /** What each 2xx answer said was done, or why a repetition was refused after one: all of them must be the same. */
  answers: string[];
}

/** An order. Its answers name the order; the customer has no other. */
export interface AskedOrder extends Asked {
  customerId: string;
  lines: OrderLine[];
  token: string;
  cancellation?: Asked;
}

/** A cart, with all changes; those of one customer in their order. */
export interface AskedCart {
  cartId: string;
  changes: CartChange[];
  /** How its customers left it: some carts stay open by design. */
  end: 'open' | 'checked out' | 'abandoned';
  /** The requests that were to end it, sent at the same time. Answers of a checkout name the order. */
  closing: Asked[];
  /** Whose order it becomes, and how that is paid. */
  customerId: string;
  token: string;
}

/** A change of one line. Its answers say how many pieces the line had then, where nobody else changes it. */
export interface CartChange extends Asked {
  kind: 'add' | 'set' | 'remove';
  sku: string;
  quantity: number;
}

/** A question that somebody decides, of an order or by itself. */
export interface AskedApproval {
  approvalId: string;
  /** The order that waits for it, or the request that asked. */
  of: { orderId: string } | { request: Asked };
  decisions: AskedDecision[];
}

/** A decision. Its answers say what was decided; those of a callback say nothing. */
export interface AskedDecision extends Asked {
  approver: string;
  decision: 'approve' | 'reject';
  via: 'api' | 'webhook';
}

/** An upload that restocks products which no other one restocks, a piece a line. Its answers name batch and length. */
export interface AskedBatch extends Asked {
  batchId: string;
  lines: number;
  /** Lines that a rule refuses, counted from one. */
  bad: number[];
  /** How many lines there are of each product; bad ones are of none. */
  pieces: Record<string, number>;
}

/** The outcome of an edge case in which everything happened that it is about. */
export const COMPLETE = 'complete';

/** Something rare that one customer brings about in every run. */
export interface EdgeCase {
  name: string;
  /** The order that it is about, once that is placed. */
  workflowId?: string;
  /** `COMPLETE`, or what prevented it. Missing while the customer still waits for something. */
  outcome?: string;
}

/** What a customer still waited for when the crowd had left: requests that nobody answered, by whose they are. */
export function unansweredIn({ orders, carts, approvals, batches }: Ledger): { workflowId: string; what: string }[] {
  const asked: [string, Asked[]][] = [
    ...orders.map(({ cancellation, ...order }): [string, Asked[]] => [
      `an order of ${order.customerId}`,
      cancellation ? [order, cancellation] : [order],
    ]),
    ...carts.map(({ cartId, changes, closing }): [string, Asked[]] => [`cart:${cartId}`, [...changes, ...closing]]),
    ...approvals.map(({ approvalId, of, decisions }): [string, Asked[]] => [
      `approval:${approvalId}`,
      'request' in of ? [of.request, ...decisions] : decisions,
    ]),
    ...batches.map((batch): [string, Asked[]] => [`batch:${batch.batchId}`, [batch]]),
  ];
  return asked.flatMap(([workflowId, requests]) =>
    requests
      .filter(({ fate }) => fate === 'unknown')
      .map(({ key }) => ({ workflowId, what: `was never answered under the key ${key}` })),
  );
}
