import type { OrderLine } from '../../src/schemas/order.js';
import type { Product } from '../../src/schemas/product.js';

/**
 * The requests of the load generator and their outcomes, as plain JSON. The auditor reads only this log and nothing
 * else from the load generator.
 */
export interface ClientLog {
  /**
   * The products that the load generator buys and restocks, with their initial stock. Only the load generator may
   * change this stock.
   */
  products: Product[];
  orders: LoggedOrder[];
  carts: LoggedCart[];
  approvals: LoggedApproval[];
  batches: LoggedBatch[];
  /** Counts the callbacks that the load generator sent in place of the carrier. The fake carrier also sends its own. */
  callbacks: { sent: number; repeated: number; outOfOrder: number };
  /** The ids of the orders that got a delivery report about a parcel of another order. */
  foreignReportOrderIds: string[];
  /** The ids of the workflows that were reset. */
  resetWorkflowIds: string[];
  /** The edge cases of this run and their outcomes. */
  edgeCases: EdgeCase[];
  /** The number of HTTP requests sent, including reads. */
  requestsSent: number;
  /** The number of attempts without the requested result, by request and reason: `place 503`, `place ECONNRESET`. */
  failedRequests: Record<string, number>;
}

/**
 * A request with its idempotency key. The client sends it until its outcome is known. An `accepted` request must have
 * exactly one effect, and a `rejected` request none. An `unknown` request got no definite response and may have one
 * effect or none.
 */
export interface LoggedRequest {
  key: string;
  outcome: 'accepted' | 'rejected' | 'unknown';
  /** The result of each 2xx response, or `rejected` for each rejection. All entries must be equal. */
  responses: string[];
}

/** An order. `responses` contains the order id. The customer has no other order. */
export interface LoggedOrder extends LoggedRequest {
  customerId: string;
  lines: OrderLine[];
  token: string;
  cancellation?: LoggedRequest;
}

/** A cart with all its changes. The changes of one customer are in the order in which they were sent. */
export interface LoggedCart {
  cartId: string;
  changes: CartChange[];
  /** The intended end. Some carts stay open on purpose. */
  end: 'open' | 'checked out' | 'abandoned';
  /** The requests to close the cart, all sent at the same time. The responses to a checkout contain the order id. */
  closingRequests: LoggedRequest[];
  /** The customer and the payment token of the order that the checkout creates. */
  customerId: string;
  token: string;
}

/**
 * A change of one line. `responses` contains the new quantity of the line. For a line that several customers change, it
 * contains a constant.
 */
export interface CartChange extends LoggedRequest {
  kind: 'add' | 'set' | 'remove';
  sku: string;
  quantity: number;
}

/** An approval. It belongs to an order or was requested through the API. */
export interface LoggedApproval {
  approvalId: string;
  /** The order that needs the approval, or the API request that created the approval. */
  source: { orderId: string } | { request: LoggedRequest };
  decisions: LoggedDecision[];
}

/** A decision. `responses` contains the effective decision, or a constant for a callback. */
export interface LoggedDecision extends LoggedRequest {
  approver: string;
  decision: 'approve' | 'reject';
  via: 'api' | 'webhook';
}

/**
 * An upload that restocks one unit per line. No other upload restocks the same products. `responses` contains the batch
 * id and the number of lines.
 */
export interface LoggedBatch extends LoggedRequest {
  batchId: string;
  lineCount: number;
  /** The numbers of the lines that must fail, counted from one. */
  invalidLines: number[];
  /** The number of lines for each product, without the invalid lines. */
  quantityBySku: Record<string, number>;
}

/** The outcome of an edge case whose steps all happened. */
export const COMPLETE = 'complete';

/** A rare situation. One client produces it in every run. */
export interface EdgeCase {
  name: string;
  /** The workflow id of the order, once the order is placed. */
  workflowId?: string;
  /** `COMPLETE`, or what prevented it. Missing while the edge case runs. */
  outcome?: string;
}

/** Returns the requests that had no response when the load generator stopped. */
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
