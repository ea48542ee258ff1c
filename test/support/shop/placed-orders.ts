import type { WorkflowHandle } from '@temporalio/client';
import type { OrderInput, OrderStage } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { ORDER_TASK_QUEUE, orderQuery, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../processes.js';
import { addProduct, makeOrder, type Shop } from './shop.js';

export interface PlacedOrder {
  input: OrderInput;
  product: Product;
  handle: WorkflowHandle;
}

export interface PlaceOptions {
  /** In minor units. The order has two pieces. */
  price?: number;
  /** The gateway charges the customer, but each response is lost, so the step is retried. */
  losesCharge?: boolean;
  timeout?: string;
}

/** Places an order of a new product, and waits until the order has reached the stage. */
export async function placeOrder(
  shop: Shop,
  stage: OrderStage,
  { price = 1250, losesCharge = false, timeout }: PlaceOptions = {},
): Promise<PlacedOrder> {
  const product = await addProduct(shop.store, { price: { value: price, currency: 'EUR' } });
  const input = makeOrder({ lines: [{ sku: product.sku, quantity: 2 }] });
  const { orderId } = input;
  if (losesCharge) shop.fakes.faults.add({ on: 'charge', orderId, fault: 'lose-response', times: -1 });
  const handle = await shop.client.workflow.start('order', {
    workflowId: orderWorkflowId(orderId),
    taskQueue: ORDER_TASK_QUEUE,
    args: [input],
    ...(timeout && { workflowExecutionTimeout: timeout as '15 seconds' }),
  });
  await waitUntil(async () => (await handle.query(orderQuery)).stage === stage || undefined, {
    description: `${orderId} ${stage}`,
    timeoutMs: 60_000,
    intervalMs: 50,
  });
  return { input, product, handle };
}

/** Waits until visibility no longer lists the order as open. */
export async function untilListedAsClosed({ client }: Shop, { handle: { workflowId } }: PlacedOrder): Promise<void> {
  await waitUntil(
    async () => {
      const query = `WorkflowId = '${workflowId}' and ExecutionStatus = 'Running'`;
      return (await client.workflow.count(query)).count === 0 || undefined;
    },
    { description: `${workflowId} listed as closed`, timeoutMs: 60_000, intervalMs: 50 },
  );
}
