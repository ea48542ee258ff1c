import type { Schemas } from '../api-client/client.js';
import { readExample, type TourClient } from './tour-client.js';

const FINAL_STATUSES = ['completed', 'rejected', 'cancelled', 'failed'];

/** Reads an order without output. */
export const orderReader = (guide: TourClient, orderId: string) => () =>
  guide.silentApi.GET('/v1/orders/{orderId}', { params: { path: { orderId } } });

/** Places an order of `examples/`. @returns its id. */
export async function placeOrder(guide: TourClient, file: string): Promise<string> {
  const { orderId } = await guide.expectStatus(
    202,
    guide.api.POST('/v1/orders', { body: await readExample('OrderRequest', file) }),
  );
  return orderId;
}

/** Waits for the end of an order and prints its steps. */
export async function waitForOrderEnd(guide: TourClient, orderId: string): Promise<Schemas['Order']> {
  const order = await guide.pollUntil(
    orderReader(guide, orderId),
    ({ status }) => FINAL_STATUSES.includes(status),
    `the end of order ${orderId}`,
  );
  for (const { name, status, reason } of order.steps) {
    guide.print(`    ${name}: ${status}${reason ? ` (${reason.type}: ${reason.message})` : ''}`);
  }
  for (const { name, status } of order.compensations) guide.print(`    compensated by ${name}: ${status}`);
  guide.printWorkflowLink(order.workflow);
  return order;
}

/** The number of pieces of a product that are still for sale. */
export async function readAvailableStock(guide: TourClient, sku: string): Promise<number> {
  const { items } = await guide.expectStatus(
    200,
    guide.silentApi.GET('/v1/products', { params: { query: { limit: 200 } } }),
  );
  return items.find((item) => item.sku === sku)?.available ?? 0;
}
