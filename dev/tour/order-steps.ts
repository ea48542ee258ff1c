import { z } from 'zod';
import { orderResource, type OrderResource } from '../../src/schemas/order.js';
import { product } from '../../src/schemas/product.js';
import { example, type Guide } from './guide.js';

const FINAL = ['completed', 'rejected', 'cancelled', 'failed'];

/** Places an order of `examples/`. @returns its id. */
export async function place(guide: Guide, file: string): Promise<string> {
  const body = await guide.expect(202, 'POST', '/v1/orders', await example(file));
  return z.object({ orderId: z.string() }).parse(body).orderId;
}

/** Waits for the end of an order, and tells its story. */
export async function end(guide: Guide, orderId: string): Promise<OrderResource> {
  const order = await guide.watch(
    `/v1/orders/${orderId}`,
    orderResource,
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

/** Pieces of a product that can still be sold. */
export async function available(guide: Guide, sku: string): Promise<number> {
  const { body } = await guide.request('GET', '/v1/products?limit=200');
  const { items } = z.object({ items: z.array(product) }).parse(body);
  return items.find((item) => item.sku === sku)?.available ?? 0;
}
