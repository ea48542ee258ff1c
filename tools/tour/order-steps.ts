import type { Schemas } from '../api-client/client.js';
import { example, type Guide } from './guide.js';

const FINAL = ['completed', 'rejected', 'cancelled', 'failed'];

/** Reads an order without output. */
export const reading = (guide: Guide, orderId: string) => () =>
  guide.quiet.GET('/v1/orders/{orderId}', { params: { path: { orderId } } });

/** Places an order of `examples/`. @returns its id. */
export async function place(guide: Guide, file: string): Promise<string> {
  const { orderId } = await guide.expect(
    202,
    guide.api.POST('/v1/orders', { body: await example('OrderRequest', file) }),
  );
  return orderId;
}

/** Waits for the end of an order and prints its steps. */
export async function end(guide: Guide, orderId: string): Promise<Schemas['Order']> {
  const order = await guide.watch(
    reading(guide, orderId),
    ({ status }) => FINAL.includes(status),
    `the end of order ${orderId}`,
  );
  for (const { name, status, reason } of order.steps) {
    guide.say(`    ${name}: ${status}${reason ? ` (${reason.type}: ${reason.message})` : ''}`);
  }
  for (const { name, status } of order.compensations) guide.say(`    undone with ${name}: ${status}`);
  guide.show(order.workflow);
  return order;
}

/** The number of pieces of a product that are still for sale. */
export async function available(guide: Guide, sku: string): Promise<number> {
  const { items } = await guide.expect(200, guide.quiet.GET('/v1/products', { params: { query: { limit: 200 } } }));
  return items.find((item) => item.sku === sku)?.available ?? 0;
}
