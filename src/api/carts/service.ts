import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { WithStartWorkflowOperation, type Client, type WorkflowHandle } from '@temporalio/client';
import { TypedSearchAttributes, type UpdateDefinition } from '@temporalio/common';
import type { AddItemInput, CartResource, CartView } from '../../schemas/cart.js';
import { withTimeout } from '../../async/promises.js';
import type { Store } from '../../store/index.js';
import { calculateTotal } from '../../store/products.js';
import { ConcurrencyLimit } from '../../async/concurrency-limit.js';
import { isNotFound } from '../../temporal/grpc-errors.js';
import { updateIdOfContent } from '../../temporal/client/operation-ids.js';
import { updateRejectionOf } from '../../temporal/client/update-rejection.js';
import { addItemUpdate, CART_TASK_QUEUE, cartQuery, cartWorkflowId } from '../../workflows/cart/contract.js';
import type * as workflows from '../../workflows/index.js';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { HttpProblem, notFound } from '../problems/http-problem.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { customerIdOf, describeOwnedOr404 } from '../temporal/ownership.js';
import { callWorker } from '../temporal/worker-calls.js';
import { cartRejectionProblem, closedCartProblem, goneProblem, storeUnavailable } from './problems.js';

/**
 * Maximum number of updates that this process has in flight for one cart. Temporal accepts ten per workflow and rejects
 * more with RESOURCE_EXHAUSTED. After a rejection, the worker can lose its current workflow task, which delays every
 * caller by seconds. Excess updates therefore wait in this process. Two are enough, because a cart applies updates one
 * at a time. Five API processes then stay within Temporal's limit.
 */
export const MAX_CONCURRENT_UPDATES = 2;
const updateLimit = new ConcurrencyLimit({ maxConcurrent: MAX_CONCURRENT_UPDATES });

/** Maximum attempts to add an item to a cart that closes during each attempt. */
const MAX_OPEN_ATTEMPTS = 10;

/** Delay between attempts, multiplied by the attempt number. The closing run needs this time to end. */
const OPEN_RETRY_DELAY_MS = 20;

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

/** Returns a cart with names and prices from the catalogue. @throws 404, or 410 with the outcome of a closed cart. */
export async function getCart(
  { client, store }: Backends,
  cartId: string,
  restrictedToId?: string,
): Promise<CartResource> {
  const owned = { resource: `cart ${cartId}`, restrictedToId };
  const description = await describeOwnedOr404(client, cartWorkflowId(cartId), owned);
  if (description.status.name !== 'RUNNING') throw await closedCartProblem(client, cartId, description);
  const handle = client.workflow.getHandle(description.workflowId);
  const extensions = { cart: { cartId, status: 'open' } };
  const view = await callWorker(client, description, () => handle.query(cartQuery), extensions);
  // After the description, the cart may have closed, and another customer may have opened a new cart with this id.
  if (restrictedToId !== undefined && view.customerId !== restrictedToId) throw notFound(`there is no cart ${cartId}`);
  if (view.status !== 'open') throw goneProblem(view);
  return await withPrices(store, view);
}

/**
 * Adds an item to a cart. Opens a new cart if no cart with this id is open. If the caller is a customer, the new cart
 * belongs to the caller.
 *
 * @throws 404 when the open or last closed cart belongs to another customer; 422 when a business rule rejects the item.
 */
export async function addToCart(deps: Backends, cartId: string, item: AddItemInput): Promise<CartResource> {
  const { client } = deps;
  const owner = item.caller;
  if (owner !== undefined) await assertNotOwnedByOther(client, cartId, owner);
  const openCart = (): WithStartWorkflowOperation<typeof workflows.cart> =>
    new WithStartWorkflowOperation('cart' satisfies keyof typeof workflows, {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId, openedByChange: true, ...(owner !== undefined && { customerId: owner }) }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      ...(owner !== undefined && {
        typedSearchAttributes: new TypedSearchAttributes([{ key: customerIdAttribute, value: owner }]),
      }),
      staticSummary: `Cart ${cartId}`,
    });
  return await applyChange(deps, cartId, {
    update: addItemUpdate,
    request: item,
    async send(argument, updateId) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await client.workflow.executeUpdateWithStart(addItemUpdate, {
            args: [argument],
            updateId,
            startWorkflowOperation: openCart(),
          });
        } catch (error) {
          // The cart closed between the start and the update of this call. The next attempt opens a new cart.
          const isClosed = updateRejectionOf(error)?.type === 'CartClosed' || isUnprocessedUpdate(error);
          if (!isClosed || attempt === MAX_OPEN_ATTEMPTS) throw error;
          await setTimeout(attempt * OPEN_RETRY_DELAY_MS);
        }
      }
    },
  });
}

/**
 * Reserves the id of a closed cart for its owner, because a new cart of another customer would hide the outcome.
 * @throws 404 for another customer.
 */
async function assertNotOwnedByOther(client: Client, cartId: string, owner: string): Promise<void> {
  const latest = await describeWorkflow(client, { workflowId: cartWorkflowId(cartId) });
  // If the search attribute with the owner is not set, the cart workflow checks the owner.
  const latestOwner = latest && customerIdOf(latest);
  if (latestOwner !== undefined && latestOwner !== owner) throw notFound(`there is no cart ${cartId}`);
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
async function applyChange<Argument extends CartChange>(
  { client, store }: Backends,
  cartId: string,
  { update, request, send }: SentChange<Argument>,
): Promise<CartResource> {
  const workflowId = cartWorkflowId(cartId);
  const argument = { ...request, idempotencyKey: request.idempotencyKey ?? randomUUID() };
  const updateId = updateIdOfContent(update.name, argument);
  const sendWhenFree = () =>
    updateLimit.run(cartId, async () => {
      const sentAt = performance.now();
      try {
        return await send(argument, updateId);
      } catch (error) {
        if (isUnprocessedUpdate(error)) return await send(argument, updateId);
        // The failure is the recorded result of an earlier request with this update id. With a new update id, the cart
        // tries the change again.
        const isRecordedResult = performance.now() - sentAt < RECORDED_RESULT_WITHIN_MS;
        if (isRecordedResult && updateRejectionOf(error)?.type === 'StoreUnavailable')
          return await send(argument, randomUUID());
        throw error;
      }
    });
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
    throw await closedCartProblem(client, cartId, await describeOwnedOr404(client, workflowId, owned));
  }
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
function isUnprocessedUpdate(error: unknown): boolean {
  return isNotFound(error) || updateRejectionOf(error)?.type === 'UnprocessedUpdate';
}

async function withPrices(store: Store, view: CartView): Promise<CartResource> {
  const products = await store.findProducts(view.lines.map(({ sku }) => sku));
  const lines = view.lines.map((line) => {
    const product = products.get(line.sku);
    return { ...line, ...(product && { name: product.name, unitPrice: product.price }) };
  });
  const calculated = calculateTotal(view.lines, products);
  return { ...view, lines, ...(calculated.status === 'priced' && { total: calculated.total }) };
}
