import { createHash, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import {
  WithStartWorkflowOperation,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes, type UpdateDefinition } from '@temporalio/common';
import type { AddItemInput, CartResource, CartStatus, CartSummary, CartView } from '../../schemas/cart.js';
import type { CartRecord } from '../../store/carts.js';
import { calculateTotal } from '../../store/products.js';
import type { Store } from '../../store/index.js';
import type * as workflows from '../../workflows/index.js';
import { addItemUpdate, cartQuery, cartWorkflowId, CART_TASK_QUEUE } from '../../workflows/cart/contract.js';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import { findUnrecordedCloses } from '../executions/closed-executions.js';
import { HttpProblem, httpProblem, invalidRequest, notFound } from '../problems/http-problem.js';
import {
  callWorker,
  describeWorkflow,
  isNotFound,
  updateRejectionOf,
  SERVER_DEADLINE_MS,
  withDeadline,
} from '../executions/worker-calls.js';
import { ConcurrencyLimit } from '../executions/concurrency-limit.js';
import type { Page, PageRequest } from '../executions/listing.js';
import { describeOwnedOr404, customerIdOf } from '../http/ownership.js';
import { kindOfFailureType } from '../problems/problem-kinds.js';

/**
 * Maximum updates of one cart in flight from this process. Temporal accepts ten for each workflow and rejects more with
 * RESOURCE_EXHAUSTED. Such a rejection can cost the worker its current workflow task, which delays every caller by
 * seconds, so excess updates wait here. The limit is two because a cart applies updates one at a time, and because five
 * API processes then stay within Temporal's limit.
 */
export const MAX_CONCURRENT_UPDATES = 2;
const updateLimit = new ConcurrencyLimit(MAX_CONCURRENT_UPDATES);

/** Maximum attempts to add an item to a cart that closes during each attempt. */
const MAX_OPEN_ATTEMPTS = 10;

/** Delay between attempts, multiplied by the attempt number, so that the closing run has time to end. */
const OPEN_RETRY_DELAY_MS = 20;

/**
 * A store failure that arrives faster than this is the recorded result of an earlier request: five new attempts at the
 * store take longer.
 */
const RECORDED_RESULT_WITHIN_MS = 1_000;

/** Time limit of the store check that follows when a cart did not answer in time. */
const STORE_PING_TIMEOUT_MS = 1_000;

/** Fields of every cart change: the request id, and the customer if the caller may only see their own carts. */
interface CartChange {
  idempotencyKey?: string | undefined;
  caller?: string | undefined;
}

interface CartDependencies {
  client: Client;
  store: Store;
}

/** Returns a cart with names and prices from the catalogue. @throws 404, or 410 with the outcome of a closed cart. */
export async function getCart(
  { client, store }: CartDependencies,
  cartId: string,
  only?: string,
): Promise<CartResource> {
  const description = await describeOwnedOr404(client, cartWorkflowId(cartId), `cart ${cartId}`, only);
  if (description.status.name !== 'RUNNING') throw await closedCartProblem(client, cartId, description);
  const handle = client.workflow.getHandle(description.workflowId);
  const known = { cart: { cartId, status: 'open' } };
  const view = await callWorker(client, description, () => handle.query(cartQuery), known);
  // The cart may have closed since it was described, and another customer may have opened a new one.
  if (only !== undefined && view.customerId !== only) throw notFound(`there is no cart ${cartId}`);
  if (view.status !== 'open') throw goneProblem(view);
  return await withPrices(store, view);
}

/**
 * Adds an item to a cart, and opens the cart if none is open. A new cart belongs to the caller if the caller is a
 * customer.
 *
 * @throws 404 for the cart of another customer, open or closed; 422 when a business rule rejects the item.
 */
export async function addToCart(shop: CartDependencies, cartId: string, item: AddItemInput): Promise<CartResource> {
  const { client } = shop;
  const owner = item.caller;
  if (owner !== undefined) await assertNotOwnedByOther(client, cartId, owner);
  const open = (): WithStartWorkflowOperation<typeof workflows.cart> =>
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
  return await applyChange(shop, cartId, addItemUpdate, item, async (argument, updateId) => {
    const add = () =>
      client.workflow.executeUpdateWithStart(addItemUpdate, {
        args: [argument],
        updateId,
        startWorkflowOperation: open(),
      });
    for (let tries = 1; ; tries += 1) {
      try {
        return await add();
      } catch (error) {
        // The cart closed between the start and the update of this call. The next attempt opens a new cart.
        const isClosed = updateRejectionOf(error)?.type === 'CartClosed' || isUnprocessedUpdate(error);
        if (!isClosed || tries === MAX_OPEN_ATTEMPTS) throw error;
        await setTimeout(tries * OPEN_RETRY_DELAY_MS);
      }
    }
  });
}

/**
 * Lists a page of carts from the store, newest first. A cart appears with its first item. A cart id that was used again
 * is listed once for each cart.
 */
export async function listCarts(
  { client, store }: CartDependencies,
  { customerId, status }: { customerId?: string | undefined; status?: CartStatus | undefined },
  { limit, position }: PageRequest,
): Promise<Page<CartSummary>> {
  // A cart whose workflow was terminated still has the status `open` in the store.
  const statuses = status === 'abandoned' ? (['abandoned', 'open'] as const) : status && [status];
  const before = position && Number(Buffer.from(position).toString());
  const rows = await store.listCarts({ customerId, statuses }, { before, limit });
  const open = rows.filter((row) => row.status === 'open');
  const ends = await findUnrecordedCloses(
    client,
    open.map(({ cartId, openedAt }) => ({ workflowId: cartWorkflowId(cartId), since: openedAt })),
  );
  const items = rows
    .map((row) => summaryOf(row, row.status === 'open' && ends.has(cartWorkflowId(row.cartId))))
    .filter((item) => status === undefined || item.status === status);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return { items, ...(last && { nextPosition: Buffer.from(String(last.number)) }) };
}

function summaryOf(row: CartRecord, hasEnded: boolean): CartSummary {
  const { cartId, customerId, status, orderId, openedAt, closedAt } = row;
  return {
    cartId,
    ...(customerId !== undefined && { customerId }),
    status: hasEnded ? 'abandoned' : status,
    // An open or abandoned cart can have the order id of a checkout that timed out.
    ...(status === 'checked_out' && orderId !== undefined && { orderId }),
    openedAt: openedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}

/**
 * A closed cart's id stays with its owner: another customer who opened it again would hide the outcome of that cart.
 * @throws 404 for another customer.
 */
async function assertNotOwnedByOther(client: Client, cartId: string, owner: string): Promise<void> {
  const latest = await describeWorkflow(client, cartWorkflowId(cartId));
  // If Temporal does not know the owner yet, the cart itself checks.
  const known = latest && customerIdOf(latest);
  if (known !== undefined && known !== owner) throw notFound(`there is no cart ${cartId}`);
}

/** Changes an existing cart. @throws 404, 410 when the cart is closed, 422 when a business rule rejects the change. */
export async function changeCart<Argument extends CartChange>(
  shop: CartDependencies,
  cartId: string,
  update: UpdateDefinition<CartView, [Argument]>,
  request: Argument,
): Promise<CartResource> {
  const handle: WorkflowHandle = shop.client.workflow.getHandle(cartWorkflowId(cartId));
  return await applyChange(shop, cartId, update, request, (argument, updateId) =>
    handle.executeUpdate(update, { args: [argument], updateId }),
  );
}

/**
 * Sends a change with its request id, or a new one, so that the cart applies it once, however often it is sent. The
 * update id also covers kind and content, because Temporal answers every update with the same id with the first result.
 */
async function applyChange<Argument extends CartChange>(
  { client, store }: CartDependencies,
  cartId: string,
  { name }: UpdateDefinition<CartView, [Argument]>,
  request: Argument,
  send: (argument: Argument, updateId: string) => Promise<CartView>,
): Promise<CartResource> {
  const argument = { ...request, idempotencyKey: request.idempotencyKey ?? randomUUID() };
  const updateId = createHash('sha256')
    .update(JSON.stringify([name, argument]))
    .digest('base64url');
  const inTurn = () =>
    updateLimit.run(cartId, async () => {
      const sentAt = performance.now();
      try {
        return await send(argument, updateId);
      } catch (error) {
        if (isUnprocessedUpdate(error)) return await send(argument, updateId);
        // The failure is the recorded result of an earlier request with this update id. A new id gives this request its
        // own attempt.
        const isRemembered = performance.now() - sentAt < RECORDED_RESULT_WITHIN_MS;
        if (isRemembered && updateRejectionOf(error)?.type === 'StoreUnavailable')
          return await send(argument, randomUUID());
        throw error;
      }
    });
  try {
    const view = await callWorker(client, { workflowId: cartWorkflowId(cartId) }, inTurn);
    return await withPrices(store, view);
  } catch (error) {
    if (isWorkerBusy(error) && !(await isStoreAvailable(store))) throw storeUnavailable();
    const refusal = updateRejectionOf(error);
    if (refusal?.type === 'NotTheOwner') throw notFound(`there is no cart ${cartId}`);
    if (refusal && refusal.type !== 'CartClosed' && refusal.type !== 'Cancelled')
      throw rejectionProblem(refusal) ?? error;
    if (!refusal && !isNotFound(error)) throw error;
    const what = `cart ${cartId}`;
    throw await closedCartProblem(
      client,
      cartId,
      await describeOwnedOr404(client, cartWorkflowId(cartId), what, request.caller),
    );
  }
}

const storeUnavailable = () => httpProblem('store-unavailable', 'the database does not answer');

const isWorkerBusy = (error: unknown) => error instanceof HttpProblem && error.kind === 'worker-busy';

/**
 * Whether the store answers within `PING_MS`. A request that timed out may only have waited behind other requests, so
 * the time-out itself does not show whether the store is available.
 */
async function isStoreAvailable(store: Store): Promise<boolean> {
  const ping = store.ping().then(
    () => true,
    () => false,
  );
  return await Promise.race([ping, setTimeout(STORE_PING_TIMEOUT_MS, false, { ref: false })]);
}

/**
 * Whether an update got lost. That happens at a continue-as-new, or when a worker loses its workflow task. The request
 * id makes a second attempt safe.
 */
function isUnprocessedUpdate(error: unknown): boolean {
  return isNotFound(error) || updateRejectionOf(error)?.type === 'UnprocessedUpdate';
}

/**
 * Maps a rejection by the cart to an HTTP problem. Returns undefined for any other failure, which the caller must not
 * see.
 */
function rejectionProblem({
  type,
  message,
  details: [detail] = [],
}: {
  type: string;
  message: string;
  details?: unknown[];
}): HttpProblem | undefined {
  switch (type) {
    case 'NotInCart':
      return notFound(message);
    case 'UnknownSku':
    case 'OutOfStock':
    case 'TooManyLines':
    case 'QuantityTooLarge':
    case 'EmptyCart':
    case 'MixedCurrencies':
    case 'PriceChanged':
    case 'AlreadyOrdered':
      // A detail that is an object becomes members of the problem: both totals, or the order id.
      return httpProblem(kindOfFailureType(type, 'conflict'), message, isRecord(detail) ? detail : {});
    case 'IdempotencyKeyReused':
      return httpProblem('idempotency-key-reused', message);
    case 'InvalidInput':
      return invalidRequest([{ pointer: '', detail: message }]);
    case 'StoreUnavailable':
      return storeUnavailable();
    case 'AcceptedUpdateCompletedWorkflow':
    case 'UnprocessedUpdate':
      return httpProblem('cart-busy', 'the cart could not answer just now');
    default:
      return undefined;
  }
}

/** The 410 of a closed cart. Its result is in the workflow history, so no worker is needed. */
async function closedCartProblem(
  client: Client,
  cartId: string,
  { workflowId, runId, status }: WorkflowExecutionDescription,
): Promise<HttpProblem> {
  if (status.name === 'RUNNING') return httpProblem('cart-busy', 'the cart could not answer just now');
  if (status.name !== 'COMPLETED')
    return httpProblem('gone', `cart ${cartId} has ended (${status.name.toLowerCase()})`, {});
  const handle = client.workflow.getHandle<typeof workflows.cart>(workflowId, runId);
  return goneProblem(await withDeadline(client, SERVER_DEADLINE_MS, () => handle.result()));
}

function goneProblem({ cartId, status, orderId }: CartView): HttpProblem {
  const what = orderId ? `it became order ${orderId}` : `it was ${status}`;
  return httpProblem('gone', `cart ${cartId} is no longer there: ${what}`, {
    cartId,
    cartStatus: status,
    ...(orderId && { orderId }),
  });
}

async function withPrices(store: Store, view: CartView): Promise<CartResource> {
  const products = await store.findProducts(view.lines.map(({ sku }) => sku));
  const lines = view.lines.map((line) => {
    const product = products.get(line.sku);
    return { ...line, ...(product && { name: product.name, unitPrice: product.price }) };
  });
  const found = calculateTotal(view.lines, products);
  return { ...view, lines, ...(found.status === 'priced' && { total: found.total }) };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
