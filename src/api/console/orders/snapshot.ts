import { withTimeout } from '../../../async/promises.js';
import type { OrderResource } from '../../../schemas/order.js';
import type { Backends } from '../../dependencies.js';
import { restrictedIdOf, type Caller } from '../../http/caller.js';
import type { KnownOrder } from '../../orders/known.js';
import { getKnownOrder, getOrder, restrictOrder } from '../../orders/read.js';
import { HttpProblem } from '../../problems/http-problem.js';

/** What a page knows about an order. The same for all viewers until `snapshotFor` restricts it. */
export interface OrderSnapshot {
  orderId: string;
  /** The order, or without an answer of a worker the known facts. Undefined if nothing is known. */
  order?: OrderResource | KnownOrder;
  /** Why the order is not complete. */
  problem?: { status: number; message: string };
}

/** A healthy worker answers within milliseconds. Without an answer after this time, a page shows the known facts. */
const ANSWER_TIMEOUT_MS = 1_500;

export const isComplete = (order: OrderResource | KnownOrder): order is OrderResource => 'steps' in order;

/** Whether the order is closed and the store has its outcome. Its page is no longer live. */
export const isFinal = ({ order }: OrderSnapshot): boolean =>
  order !== undefined && isComplete(order) && order.stage === 'done' && !order.retrying && !order.waiting;

/** Reads an order for a page. @throws 404, and all problems other than 503. */
export async function readSnapshot(
  deps: Backends,
  orderId: string,
  answer: Promise<OrderResource> = getOrder(deps, orderId),
): Promise<OrderSnapshot> {
  const complete = answer.then(
    (order): OrderSnapshot => ({ orderId, order }),
    (error: unknown) => incompleteSnapshot(orderId, error),
  );
  return await withTimeout(complete, ANSWER_TIMEOUT_MS, async () => ({
    orderId,
    order: await getKnownOrder(deps, orderId),
    problem: { status: 503, message: `no worker has answered within ${ANSWER_TIMEOUT_MS / 1_000} seconds` },
  }));
}

function incompleteSnapshot(orderId: string, error: unknown): OrderSnapshot {
  if (!(error instanceof HttpProblem && error.status === 503)) throw error;
  const order = error.options.extensions?.order as KnownOrder | undefined;
  const { status, message } = error;
  return { orderId, ...(order && { order }), problem: { status, message } };
}

/** Returns a snapshot with only what the caller may see. @throws 404 if the order belongs to another customer. */
export function snapshotFor(snapshot: OrderSnapshot, caller: Caller): OrderSnapshot {
  const { order } = snapshot;
  return order ? { ...snapshot, order: restrictOrder(order, restrictedIdOf(caller)) } : snapshot;
}
