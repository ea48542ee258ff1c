import type { OrderLine } from '../../src/schemas/order.js';
import type { Product } from '../../src/schemas/product.js';

/**
 * The requests of the load generator and their outcomes, as plain JSON. The auditor uses nothing else of it.
 */
export interface ClientLog {
  /** The products that the load generator buys and restocks, with their initial stock. Nothing else may change their stock. */
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
 * A request with its Idempotency-Key, sent until its outcome is known. An `accepted` request has its effect exactly once,
 * a `rejected` request has none. An `unknown` request got no definite response: it has one effect or none.
 */
export interface LoggedRequest {
  key: string;
  outcome: 'accepted' | 'rejected' | 'unknown';
  /** The result in each 2xx response, or `rejected` for a rejected repetition. All entries must be equal. */
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
  /** The intended end: some carts stay open by design. */
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
  /** The number of lines for each product, without the invalid lines. */
  quantityBySku: Record<string, number>;
}

/** The outcome of an edge case in which all of its steps happened. */
export const COMPLETE = 'complete';

/** A rare situation that one client produces in every run. */
export interface EdgeCase {
  name: string;
  /** The workflow id of the order, once the order is placed. */
  workflowId?: string;
  /** `COMPLETE`, or what prevented it. Missing while the edge case is not finished. */
  outcome?: string;
}

/** The requests that had no response when the load generator stopped, with the workflow of each. */
export function unresolvedRequests({
  orders,
  carts,
  approvals,
  batches,
}: ClientLog): { workflowId: string; message: string }[] {
  const requestsByWorkflow: [string, LoggedRequest[]][] = [
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
  return requestsByWorkflow.flatMap(([workflowId, requests]) =>
    requests
      .filter(({ outcome }) => outcome === 'unknown')
      .map(({ key }) => ({ workflowId, message: `got no response to the request with key ${key}` })),
  );
}
