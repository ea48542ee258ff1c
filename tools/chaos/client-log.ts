import type { OrderLine } from '../../src/schemas/order.js';
import type { Product } from '../../src/schemas/product.js';

/**
 * Everything that the load generator requested and was promised, as plain JSON. The auditor knows nothing else about
 * it.
 */
export interface ClientLog {
  /** The products that the load generator buys and restocks, with their initial stock. Nobody else may change them. */
  products: Product[];
  orders: LoggedOrder[];
  carts: LoggedCart[];
  approvals: LoggedApproval[];
  batches: LoggedBatch[];
  /** Callbacks in the carrier's name, in addition to the carrier's own. */
  callbacks: { sent: number; repeated: number; outOfOrder: number };
  /** Orders for which the carrier reported another parcel as delivered. */
  foreignReportOrderIds: string[];
  /** Workflow ids of executions that were reset. */
  resetWorkflowIds: string[];
  /** The outcome of each edge case that ran in this run. */
  edgeCases: EdgeCase[];
  /** The number of HTTP requests sent, including reads. */
  requestsSent: number;
  /** The number of attempts without the requested result, by request and reason: `place 503`, `place ECONNRESET`. */
  failedRequests: Record<string, number>;
}

/**
 * A request with its Idempotency-Key, sent until its outcome is known. `accepted` is a promise: the request has its
 * effect exactly once. `rejected` has no effect. `unknown` never got a definite response: it has no effect or one.
 */
export interface LoggedRequest {
  key: string;
  outcome: 'accepted' | 'rejected' | 'unknown';
  /** What each 2xx response says was done, or `rejected` for a rejected repetition. All entries must be the same. */
  responses: string[];
}

/** An order. Its responses contain the order id; the customer has no other order. */
export interface LoggedOrder extends LoggedRequest {
  customerId: string;
  lines: OrderLine[];
  token: string;
  cancellation?: LoggedRequest;
}

/** A cart, with all changes; the changes of one customer are in order. */
export interface LoggedCart {
  cartId: string;
  changes: CartChange[];
  /** How its customers left it: some carts stay open by design. */
  end: 'open' | 'checked out' | 'abandoned';
  /** The requests that were to end the cart, sent at the same time. Responses to a checkout contain the order id. */
  closingRequests: LoggedRequest[];
  /** The customer and the payment of the order that the cart becomes. */
  customerId: string;
  token: string;
}

/** A change of one line. Its responses contain the line's new quantity, if no other customer changes the line. */
export interface CartChange extends LoggedRequest {
  kind: 'add' | 'set' | 'remove';
  sku: string;
  quantity: number;
}

/** An approval, of an order or on its own. */
export interface LoggedApproval {
  approvalId: string;
  /** The order that waits for the approval, or the request that started it. */
  source: { orderId: string } | { request: LoggedRequest };
  decisions: LoggedDecision[];
}

/** A decision. Its responses contain the effective decision; responses to a callback do not. */
export interface LoggedDecision extends LoggedRequest {
  approver: string;
  decision: 'approve' | 'reject';
  via: 'api' | 'webhook';
}

/**
 * An upload that restocks one piece per line, of products that no other upload restocks. Its responses contain batch id
 * and number of lines.
 */
export interface LoggedBatch extends LoggedRequest {
  batchId: string;
  lineCount: number;
  /** Lines that a rule rejects, counted from one. */
  invalidLines: number[];
  /** The number of lines for each product, without the bad lines. */
  quantityBySku: Record<string, number>;
}

/** The outcome of an edge case in which all of its steps happened. */
export const COMPLETE = 'complete';

/** A rare situation that one customer produces in every run. */
export interface EdgeCase {
  name: string;
  /** The workflow id of its order, once the order is placed. */
  workflowId?: string;
  /** `COMPLETE`, or what prevented it. Missing while the customer still waits. */
  outcome?: string;
}

/** The requests that had no response when the load generator stopped, with the workflow of each. */
export function unresolvedRequests({
  orders,
  carts,
  approvals,
  batches,
}: ClientLog): { workflowId: string; message: string }[] {
  const asked: [string, LoggedRequest[]][] = [
    ...orders.map(({ cancellation, ...order }): [string, LoggedRequest[]] => [
      `an order of ${order.customerId}`,
      cancellation ? [order, cancellation] : [order],
    ]),
    ...carts.map(({ cartId, changes, closingRequests }): [string, LoggedRequest[]] => [
      `cart:${cartId}`,
      [...changes, ...closingRequests],
    ]),
    ...approvals.map(({ approvalId, source, decisions }): [string, LoggedRequest[]] => [
      `approval:${approvalId}`,
      'request' in source ? [source.request, ...decisions] : decisions,
    ]),
    ...batches.map((batch): [string, LoggedRequest[]] => [`batch:${batch.batchId}`, [batch]]),
  ];
  return asked.flatMap(([workflowId, requests]) =>
    requests
      .filter(({ outcome }) => outcome === 'unknown')
      .map(({ key }) => ({ workflowId, message: `got no response to the request with key ${key}` })),
  );
}
