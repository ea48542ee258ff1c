import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { CartView } from '../../schemas/cart.js';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { withServerDeadline } from '../../temporal/client/deadlines.js';
import type { UpdateRejection } from '../../temporal/client/update-rejection.js';
import type * as workflows from '../../workflows/index.js';
import { httpProblem, notFound, type HttpProblem } from '../problems/http-problem.js';
import { rejectionProblem } from '../temporal/rejection-problem.js';

/** Failure types whose message is returned to the caller. */
const PUBLIC_REJECTIONS = new Set([
  'UnknownSku',
  'OutOfStock',
  'TooManyLines',
  'QuantityTooLarge',
  'EmptyCart',
  'MixedCurrencies',
  'PriceChanged',
  'AlreadyOrdered',
  'IdempotencyKeyReused',
  'InvalidInput',
]);

/** Maps a rejection by the cart to a problem. Undefined for all other failures, which the caller must not see. */
export function cartRejectionProblem(rejection: UpdateRejection): HttpProblem | undefined {
  const { type, message, details: [detail] = [] } = rejection;
  // If the detail is an object, its properties become members of the problem, for example `orderId`.
  if (PUBLIC_REJECTIONS.has(type)) return rejectionProblem(rejection, isRecord(detail) ? detail : {});
  switch (type) {
    case 'NotInCart':
      return notFound(message);
    case 'StoreUnavailable':
      return storeUnavailable();
    case 'AcceptedUpdateCompletedWorkflow':
    case 'UnprocessedUpdate':
      return cartBusy();
    default:
      return undefined;
  }
}

export const storeUnavailable = () => httpProblem('store-unavailable', 'the database does not answer');

const cartBusy = () => httpProblem('cart-busy', 'the cart could not process the request in time; send it again');

/** The problem of a request for a closed cart, and the last view of the cart if its workflow has completed. */
export interface ClosedCart {
  problem: HttpProblem;
  view?: CartView;
}

/** Returns the 410 for a closed cart. No worker is needed, because the outcome is in the workflow history. */
export async function readClosedCart(
  client: Client,
  cartId: string,
  description: WorkflowExecutionDescription,
): Promise<ClosedCart> {
  const { workflowId, runId, status } = description;
  if (isOpen(description)) return { problem: cartBusy() };
  if (status.name !== 'COMPLETED')
    return { problem: httpProblem('cart-closed', `cart ${cartId} has ended (${status.name.toLowerCase()})`, {}) };
  const handle = client.workflow.getHandle<typeof workflows.cart>(workflowId, runId);
  const view = await withServerDeadline(client, () => handle.result());
  return { problem: goneProblem(view), view };
}

/** Returns a 410 with the outcome of a closed cart. */
export function goneProblem({ cartId, status, orderId }: CartView): HttpProblem {
  const outcome = orderId ? `it became order ${orderId}` : `it was ${status}`;
  return httpProblem('cart-closed', `cart ${cartId} is closed: ${outcome}`, {
    cartId,
    cartStatus: status,
    ...(orderId && { orderId }),
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
