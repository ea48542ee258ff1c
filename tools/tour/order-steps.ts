import type { Schemas } from '../api-client/client.js';
import { readExample, type TourClient } from './tour-client.js';

const FINAL_STATUSES = ['completed', 'rejected', 'cancelled', 'failed'];

/** Returns a function that reads the order without printing the request. */
export const orderReader = (client: TourClient, orderId: string) => () =>
  client.silentApi.GET('/v1/orders/{orderId}', { params: { path: { orderId } } });

/** Places the order in the given file of `examples/`. @returns the order id. */
export async function placeOrder(client: TourClient, file: string): Promise<string> {
  const { orderId } = await client.expectStatus(
    202,
    client.api.POST('/v1/orders', { body: await readExample('OrderRequest', file) }),
  );
  return orderId;
}

/** Waits until the order is closed and prints its steps. */
export async function waitForOrderEnd(client: TourClient, orderId: string): Promise<Schemas['Order']> {
  const order = await client.pollUntil(
    orderReader(client, orderId),
    ({ status }) => FINAL_STATUSES.includes(status),
    `the end of order ${orderId}`,
  );
  for (const { name, status, reason } of order.steps) {
    client.print(`    ${name}: ${status}${reason ? ` (${reason.type}: ${reason.message})` : ''}`);
  }
  for (const { name, status } of order.compensations) client.print(`    compensated by ${name}: ${status}`);
  client.printWorkflowLink(order.workflow);
  return order;
}

/** Reads the available quantity of a product. */
export async function readAvailableStock(client: TourClient, sku: string): Promise<number> {
  const { items } = await client.expectStatus(
    200,
    client.silentApi.GET('/v1/products', { params: { query: { limit: 200 } } }),
  );
  return items.find((item) => item.sku === sku)?.available ?? 0;
}
