import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { Duration } from '@temporalio/common';
import type { OrderInput } from '../../../src/schemas/order.js';
import { openStore } from '../../../src/store/index.js';
import {
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TASK_TIMEOUT,
  ORDER_WORKFLOW_TYPE,
  orderWorkflowId,
} from '../../../src/workflows/order/contract.js';

/** A product with enough stock for any bench. */
export const BENCH_SKU = 'BENCH';

/** Adds this product to the catalogue as the database owner. */
export async function addBenchProduct(ownerDatabaseUrl: string): Promise<void> {
  const store = openStore({ databaseUrl: ownerDatabaseUrl, maxConnections: 1, onIdleError: () => undefined });
  try {
    await store.addProducts([
      { sku: BENCH_SKU, name: 'A thing', price: { value: 1, currency: 'EUR' }, available: 1_000_000 },
    ]);
  } finally {
    await store.close();
  }
}

export const anOrder = (sku = BENCH_SKU): OrderInput => ({
  orderId: randomUUID(),
  customerId: 'bench',
  lines: [{ sku, quantity: 1 }],
  payment: { token: 'tok_ok' },
});

/** Starts an order with the SDK client and waits for its result. @throws when the order does not complete. */
export async function completeOrderByClient(
  client: Client,
  { workflowTaskTimeout = ORDER_WORKFLOW_TASK_TIMEOUT }: { workflowTaskTimeout?: Duration } = {},
): Promise<string> {
  const order = anOrder();
  assertCompleted(order.orderId, await runOrderByClient(client, order, { workflowTaskTimeout }));
  return order.orderId;
}

/** Starts an order with the SDK client and returns its result. */
export async function runOrderByClient(
  client: Client,
  order: OrderInput,
  { workflowTaskTimeout = ORDER_WORKFLOW_TASK_TIMEOUT }: { workflowTaskTimeout?: Duration } = {},
): Promise<{ status: string }> {
  await client.workflow.start(ORDER_WORKFLOW_TYPE, {
    workflowId: orderWorkflowId(order.orderId),
    taskQueue: ORDER_TASK_QUEUE,
    args: [order],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowTaskTimeout,
  });
  return await resultOf(client, order.orderId);
}

/** Places an order through the API and waits for its result. @throws when the order does not complete. */
export async function completeOrderByHttp(apiUrl: string, client: Client, order = anOrder()): Promise<string> {
  const response = await fetch(`${apiUrl}/v1/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(order),
  });
  if (response.status !== 202)
    throw new Error(`the API returned ${response.status} for order ${order.orderId}: ${await response.text()}`);
  await response.arrayBuffer();
  assertCompleted(order.orderId, await resultOf(client, order.orderId));
  return order.orderId;
}

const resultOf = (client: Client, orderId: string): Promise<{ status: string }> =>
  client.workflow.getHandle(orderWorkflowId(orderId)).result() as Promise<{ status: string }>;

function assertCompleted(orderId: string, { status }: { status: string }): void {
  if (status !== 'completed') throw new Error(`order ${orderId} must complete, but ended as ${status}`);
}
