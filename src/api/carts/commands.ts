import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { UpdateDefinition } from '@temporalio/common';
import { ConcurrencyLimit } from '../../async/concurrency-limit.js';
import { withTimeout } from '../../async/promises.js';
import type { CartResource, CartView } from '../../schemas/cart.js';
import type { Store } from '../../store/index.js';
import { updateIdOfContent } from '../../temporal/client/operation-ids.js';
import { isUnprocessedUpdate, updateRejectionOf } from '../../temporal/client/update-rejection.js';
import { isNotFound } from '../../temporal/grpc-errors.js';
import { cartWorkflowId } from '../../workflows/cart/contract.js';
import type { Backends } from '../dependencies.js';
import { HttpProblem, notFound } from '../problems/http-problem.js';
import { describeOwnedOr404 } from '../temporal/ownership.js';
import { callWorker } from '../temporal/worker-calls.js';
import { cartRejectionProblem, readClosedCart, storeUnavailable } from './problems.js';
import { withPrices } from './read.js';

/**
 * Maximum number of updates that this process has in flight for one cart. Temporal accepts ten per workflow and rejects
 * more with RESOURCE_EXHAUSTED. After a rejection, the worker can lose its current workflow task, which delays every
 * caller by seconds. Excess updates therefore wait in this process. Two are enough, because a cart applies updates one
 * at a time. Five API processes then stay within Temporal's limit.
 */
export const MAX_CONCURRENT_UPDATES = 2;
const updateLimit = new ConcurrencyLimit({ maxConcurrent: MAX_CONCURRENT_UPDATES });

/**
 * Maximum number of failed attempts of a change whose recorded results are read. Each failed attempt has taken several
 * seconds, so only a long outage has more.
 */
const MAX_RECORDED_ATTEMPTS = 200;

/**
 * A `StoreUnavailable` failure within this time is the recorded result of an earlier request. A new failure takes
 * longer, because the worker calls the store five times.
 */
const RECORDED_RESULT_WITHIN_MS = 1_000;

/** Time limit for checking the store after a cart did not answer in time. */
const STORE_PING_TIMEOUT_MS = 1_000;

/** Fields of every cart change. `caller` is set only for a customer, who may change only their own carts. */
interface CartChange {
  idempotencyKey?: string | undefined;
  caller?: string | undefined;
}

/** Changes an existing cart. @throws 404, 410 when the cart is closed, 422 when a business rule rejects the change. */
export async function changeCart<Argument extends CartChange>(
  deps: Backends,
  cartId: string,
  update: UpdateDefinition<CartView, [Argument]>,
  request: Argument,
): Promise<CartResource> {
  const handle: WorkflowHandle = deps.client.workflow.getHandle(cartWorkflowId(cartId));
  return await applyChange(deps, cartId, {
    update,
    request,
    send: (argument, updateId) => handle.executeUpdate(update, { args: [argument], updateId }),
  });
}

interface SentChange<Argument extends CartChange> {
  update: UpdateDefinition<CartView, [Argument]>;
  request: Argument;
  send: (argument: Argument, updateId: string) => Promise<CartView>;
}

/**
 * Sends a change to a cart. If the change has no idempotency key, generates one. The cart applies the change only once,
 * even if it is sent several times.
 */
export async function applyChange<Argument extends CartChange>(
  { client, store }: Backends,
  cartId: string,
  { update, request, send }: SentChange<Argument>,
): Promise<CartResource> {
  const workflowId = cartWorkflowId(cartId);
  const argument = { ...request, idempotencyKey: request.idempotencyKey ?? randomUUID() };
  const sendWhenFree = () =>
    updateLimit.run(cartId, () => sendUntilNew((updateId) => send(argument, updateId), update.name, argument));
  try {
    const view = await callWorker(client, { workflowId }, sendWhenFree);
    return await withPrices(store, view);
  } catch (error) {
    if (isWorkerBusy(error) && !(await isStoreAvailable(store))) throw storeUnavailable();
    const rejection = updateRejectionOf(error);
    if (rejection?.type === 'NotTheOwner') throw notFound(`there is no cart ${cartId}`);
    if (rejection && rejection.type !== 'CartClosed' && rejection.type !== 'Cancelled')
      throw cartRejectionProblem(rejection) ?? error;
    if (!rejection && !isNotFound(error)) throw error;
    const owned = { resource: `cart ${cartId}`, restrictedToId: request.caller };
    throw (await readClosedCart(client, cartId, await describeOwnedOr404(client, workflowId, owned))).problem;
  }
}

/**
 * Sends a change until its result is not the recorded `StoreUnavailable` of an earlier request. The cart tries the
 * change again for each new update id. The ids depend only on the change and the number of the attempt, so a repeated
 * request gets the result of the latest attempt, also after a checkout has closed the cart.
 */
async function sendUntilNew(
  send: (updateId: string) => Promise<CartView>,
  updateName: string,
  argument: object,
): Promise<CartView> {
  for (let attempt = 1; attempt <= MAX_RECORDED_ATTEMPTS; attempt += 1) {
    const updateId = updateIdOfContent(updateName, attempt === 1 ? argument : { ...argument, attempt });
    const sentAt = performance.now();
    try {
      return await send(updateId);
    } catch (error) {
      if (isLostChange(error)) return await send(updateId);
      const isRecordedResult = performance.now() - sentAt < RECORDED_RESULT_WITHIN_MS;
      if (!isRecordedResult || updateRejectionOf(error)?.type !== 'StoreUnavailable') throw error;
    }
  }
  return await send(randomUUID());
}

const isWorkerBusy = (error: unknown) => error instanceof HttpProblem && error.kind === 'worker-busy';

/**
 * Whether the store answers within a second. A timeout of the cart does not show whether the store is available,
 * because the request may have waited for other requests.
 */
async function isStoreAvailable(store: Store): Promise<boolean> {
  const ping = store.ping().then(
    () => true,
    () => false,
  );
  return await withTimeout(ping, STORE_PING_TIMEOUT_MS, () => false);
}

/**
 * Whether an update was lost, at a continue-as-new or because a worker lost its workflow task. Such an update can be
 * sent again, because the update id prevents a second execution.
 */
export const isLostChange = (error: unknown): boolean => isNotFound(error) || isUnprocessedUpdate(error);
