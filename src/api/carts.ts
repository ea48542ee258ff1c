import { createHash, randomUUID } from 'node:crypto';
import {
  isGrpcServiceError,
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import type { UpdateDefinition } from '@temporalio/common';
import type { AddItem, CartInput, CartResource, CartView } from '../schemas/cart.js';
import type { Store } from '../store/index.js';
import type * as workflows from '../workflows/index.js';
import { addItemUpdate, cartQuery, cartWorkflowId, CART_TASK_QUEUE } from '../workflows/cart/contract.js';
import { gone, HttpProblem, notFound, refusedByRule } from './errors.js';
import { askWorker, describeOr404, refusalOf, SERVER_DEADLINE_MS, withDeadline } from './executions.js';

/** What a change needs of the world. */
interface Shop {
  client: Client;
  store: Store;
}

/** A cart with names and prices of the catalogue. @throws 404, or 410 with what became of it. */
export async function getCart({ client, store }: Shop, cartId: string): Promise<CartResource> {
  const description = await describeOr404(client, cartWorkflowId(cartId), `cart ${cartId}`);
  if (description.status.name !== 'RUNNING') throw await goneCart(client, cartId, description);
  const handle = client.workflow.getHandle(description.workflowId);
  const view = await askWorker(client, CART_TASK_QUEUE, () => handle.query(cartQuery));
  if (view.status !== 'open') throw goneWith(view);
  return await priced(store, view);
}

/** Puts something into a cart, and opens the cart if there is none. @throws 422 when a rule refuses it. */
export async function addToCart(
  shop: Shop,
  { cartId, ...start }: Pick<CartInput, 'cartId' | 'remindAfterSeconds' | 'expireAfterSeconds'>,
  item: AddItem,
): Promise<CartResource> {
  const { client } = shop;
  const { argument, updateId } = named(addItemUpdate, item);
  const open = (): WithStartWorkflowOperation<typeof workflows.cart> =>
    new WithStartWorkflowOperation('cart' satisfies keyof typeof workflows, {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId, ...start }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: `Cart ${cartId}`,
    });
  const add = () =>
    client.workflow.executeUpdateWithStart(addItemUpdate, {
      args: [argument],
      updateId,
      startWorkflowOperation: open(),
    });
  return await answer(shop, cartId, async () => {
    try {
      return await add();
    } catch (error) {
      // It closed between the two halves of the call: now it is gone, and the second try opens a new one.
      if (refusalOf(error)?.type === 'CartClosed') return await add();
      throw error;
    }
  });
}

/** Changes a cart that is there. @throws 404, 410 when it is closed, 422 when a rule refuses the change. */
export async function changeCart<Argument extends { requestId?: string | undefined }>(
  shop: Shop,
  cartId: string,
  update: UpdateDefinition<CartView, [Argument]>,
  request: Argument,
): Promise<CartResource> {
  const { argument, updateId } = named(update, request);
  const handle: WorkflowHandle = shop.client.workflow.getHandle(cartWorkflowId(cartId));
  return await answer(shop, cartId, () => handle.executeUpdate(update, { args: [argument], updateId }));
}

/**
 * A request under a name, its own or a new one: the cart applies it once, whatever is sent again. The update's id covers
 * kind and content too: Temporal would answer another request under the same id with the first one's result.
 */
function named<Argument extends { requestId?: string | undefined }>(
  { name }: UpdateDefinition<CartView, [Argument]>,
  request: Argument,
) {
  const argument = { ...request, requestId: request.requestId ?? randomUUID() };
  const updateId = createHash('sha256')
    .update(JSON.stringify([name, argument]))
    .digest('base64url');
  return { argument, updateId };
}

async function answer({ client, store }: Shop, cartId: string, run: () => Promise<CartView>): Promise<CartResource> {
  try {
    return await priced(store, await askWorker(client, CART_TASK_QUEUE, () => onceMore(run)));
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal && refusal.type !== 'CartClosed') throw problemOf(refusal);
    if (!refusal && !isNotFound(error)) throw error;
    throw await goneCart(client, cartId, await describeOr404(client, cartWorkflowId(cartId), `cart ${cartId}`));
  }
}

/** An update that meets the hand-over between two runs can get lost on its way; the name makes a second try safe. */
async function onceMore<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (isNotFound(error)) return await run();
    throw error;
  }
}

function isNotFound(error: unknown): boolean {
  if (error instanceof WorkflowNotFoundError) return true;
  const grpc = (error as { cause?: unknown }).cause ?? error;
  return isGrpcServiceError(grpc) && (grpc.code as number) === 5;
}

function problemOf({ type, message }: { type: string; message: string }): HttpProblem {
  return type === 'NotInCart' ? notFound(message) : refusedByRule(type, message);
}

/** The 410 of a cart that is closed: its result is in the history, so no worker is needed. */
async function goneCart(
  client: Client,
  cartId: string,
  { workflowId, runId, status }: WorkflowExecutionDescription,
): Promise<HttpProblem> {
  if (status.name !== 'COMPLETED') return gone(`cart ${cartId} has ended (${status.name.toLowerCase()})`, {});
  const handle = client.workflow.getHandle<typeof workflows.cart>(workflowId, runId);
  return goneWith(await withDeadline(client, SERVER_DEADLINE_MS, () => handle.result()));
}

function goneWith({ cartId, status, orderId }: CartView): HttpProblem {
  const what = orderId ? `it became order ${orderId}` : `it was ${status}`;
  return gone(`cart ${cartId} is no longer there: ${what}`, {
    cartId,
    cartStatus: status,
    ...(orderId && { orderId }),
  });
}

async function priced(store: Store, view: CartView): Promise<CartResource> {
  const products = await store.findProducts(view.lines.map(({ sku }) => sku));
  const lines = view.lines.map((line) => {
    const product = products.get(line.sku);
    return { ...line, ...(product && { name: product.name, unitPrice: product.price }) };
  });
  const currencies = new Set(lines.map(({ unitPrice }) => unitPrice?.currency));
  const [currency] = currencies;
  const total = lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * (unitPrice?.value ?? 0), 0);
  return { ...view, lines, ...(currencies.size === 1 && currency && { total: { value: total, currency } }) };
}
