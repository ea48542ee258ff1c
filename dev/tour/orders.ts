import { z } from 'zod';
import { orderResource, type OrderResource } from '../../src/schemas/order.js';
import { product } from '../../src/schemas/product.js';
import { example, type Guide, type Scene } from './guide.js';

const FINAL = ['completed', 'rejected', 'cancelled', 'failed'];

async function place(guide: Guide, file: string): Promise<string> {
  const body = await guide.expect(202, 'POST', '/v1/orders', await example(file));
  return z.object({ orderId: z.string() }).parse(body).orderId;
}

async function end(guide: Guide, orderId: string): Promise<OrderResource> {
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

async function available(guide: Guide, sku: string): Promise<number> {
  const { body } = await guide.request('GET', '/v1/products?limit=200');
  const { items } = z.object({ items: z.array(product) }).parse(body);
  return items.find((item) => item.sku === sku)?.available ?? 0;
}

const undone = (order: OrderResource) => order.compensations.map(({ name }) => name).join(', ');

/** The order saga: what completes, what is refused, and what is undone. */
export const orderScenes: Scene[] = [
  {
    title: 'An order that completes',
    async play(guide) {
      const orderId = await place(guide, 'order.json');
      const order = await end(guide, orderId);
      guide.check(order.status === 'completed', 'the order is completed');
      guide.check(order.shipment?.status === 'delivered', 'the carrier delivered the parcel');
    },
  },
  {
    title: 'An order for something that the catalogue does not have',
    async play(guide) {
      const order = await end(guide, await place(guide, 'order-unknown-sku.json'));
      guide.check(order.status === 'rejected' && order.reason?.type === 'UnknownSku', 'rejected as UnknownSku');
      guide.check(order.steps.length === 1, 'it ended before anything was reserved or charged');
    },
  },
  {
    title: 'An order for something that is sold out',
    async play(guide) {
      const before = await available(guide, 'MUG-ENAMEL');
      const order = await end(guide, await place(guide, 'order-out-of-stock.json'));
      guide.check(order.status === 'rejected' && order.reason?.type === 'OutOfStock', 'rejected as OutOfStock');
      guide.check((await available(guide, 'MUG-ENAMEL')) === before, 'the line that was in stock is still there');
    },
  },
  {
    title: 'An order whose card is declined after the stock was reserved',
    async play(guide) {
      const before = await available(guide, 'GRINDER-HAND');
      const order = await end(guide, await place(guide, 'order-declined.json'));
      guide.check(order.status === 'rejected' && order.reason?.type === 'CardDeclined', 'rejected as CardDeclined');
      guide.check(undone(order) === 'refundPayment, releaseStock', 'undone in reverse: payment, then stock');
      guide.check((await available(guide, 'GRINDER-HAND')) === before, 'the stock is back');
    },
  },
  {
    title: 'An order that the customer cancels',
    async play(guide) {
      const before = await available(guide, 'KETTLE-GOOSENECK');
      const orderId = await place(guide, 'order-to-cancel.json');
      await guide.expect(202, 'POST', `/v1/orders/${orderId}/cancel`, { reason: 'changed my mind' });
      const order = await end(guide, orderId);
      guide.check(order.status === 'cancelled', 'the order is cancelled');
      guide.check((await available(guide, 'KETTLE-GOOSENECK')) === before, 'the stock is back');
    },
  },
];
