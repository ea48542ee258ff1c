import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { waitUntil } from '../processes.js';
import type { CartInput, CartResource } from '../../../src/schemas/cart.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { CART_TASK_QUEUE, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import type { cart } from '../../../src/workflows/cart/workflow.js';
import type { ApiResponse, Api } from '../api/api.js';

const { WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

/** The possible response bodies for a cart: the cart, or a problem document. */
export type CartBody = CartResource & Omit<Problem, 'status'>;

export const newCartId = (): string => randomUUID();

export type CartHandle = WorkflowHandle<typeof cart>;

/** Starts a cart workflow directly, for input that the HTTP API does not accept. */
export async function startCart(client: Client, input: CartInput, cartId: string = input.cartId) {
  return await client.workflow.start<typeof cart>('cart', {
    workflowId: cartWorkflowId(cartId),
    taskQueue: CART_TASK_QUEUE,
    args: [input],
  });
}

/**
 * Calls one cart over HTTP. `key` becomes the header `Idempotency-Key`. If a request with the same key is still in
 * progress, the client retries, as the problem document instructs.
 */
export class CartClient {
  private readonly api: Api;
  readonly cartId: string;

  constructor(api: Api, cartId: string) {
    this.api = api;
    this.cartId = cartId;
  }

  get(): Promise<ApiResponse<CartBody>> {
    return this.send('GET', '');
  }

  addItem(sku: string, quantity: number, key?: string): Promise<ApiResponse<CartBody>> {
    return this.send('POST', '/items', key, { sku, quantity });
  }

  setQuantity(sku: string, quantity: number, key?: string): Promise<ApiResponse<CartBody>> {
    return this.send('PATCH', `/items/${sku}`, key, { quantity });
  }

  removeItem(sku: string, key?: string): Promise<ApiResponse<CartBody>> {
    return this.send('DELETE', `/items/${sku}`, key);
  }

  checkout(key?: string, token = 'tok_ok'): Promise<ApiResponse<CartBody>> {
    return this.send('POST', '/checkout', key, { payment: { token } });
  }

  abandon(key?: string): Promise<ApiResponse<CartBody>> {
    return this.send('DELETE', '', key);
  }

  async send(method: string, path: string, key?: string, json?: unknown): Promise<ApiResponse<CartBody>> {
    const options = {
      ...(key !== undefined && { headers: { 'idempotency-key': key } }),
      ...(json !== undefined && { json }),
    };
    const isAnswered = async () => {
      const response = await this.api.request<CartBody>(method, `/v1/carts/${this.cartId}${path}`, options);
      return response.body.type === '/problems/request-in-progress' ? undefined : response;
    };
    return await waitUntil(isAnswered, {
      description: `a response to ${method} ${path} ${key}`,
      timeoutMs: 60_000,
      intervalMs: 50,
    });
  }
}

/** Returns the quantities in a cart by SKU. */
export const quantitiesOf = ({ lines }: Pick<CartResource, 'lines'>): Record<string, number> =>
  Object.fromEntries(lines.map(({ sku, quantity }) => [sku, quantity]));

/** Reads the runs of a cart, oldest first, and the causes of their failed workflow tasks. */
export async function readExecutionChain(client: Client, workflowId: string, firstRunId: string) {
  const runIds: string[] = [];
  const taskFailures: string[] = [];
  for (let runId: string | undefined = firstRunId; runId;) {
    runIds.push(runId);
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    let next: string | undefined;
    for (const event of events ?? []) {
      next = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? next;
      const failure = event.workflowTaskFailedEventAttributes;
      if (failure) taskFailures.push(WorkflowTaskFailedCause[failure.cause ?? 0] ?? '');
    }
    runId = next;
  }
  return { runIds, taskFailures };
}

/** The only expected cause of a failed workflow task: a request arrived while the task was about to close the run. */
export const UNHANDLED_COMMAND = 'WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND';
