import type { Schemas } from '../api-client/client.js';
import type { Scene } from './guide.js';
import { available, end, place } from './order-steps.js';

const undone = (order: Schemas['Order']) => order.compensations.map(({ name }) => name).join(', ');

/** The order saga: completed, rejected and compensated orders. */
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
      const body = { reason: 'changed my mind' };
      await guide.expect(202, guide.api.POST('/v1/orders/{orderId}/cancel', { params: { path: { orderId } }, body }));
      const order = await end(guide, orderId);
      guide.check(order.status === 'cancelled', 'the order is cancelled');
      guide.check((await available(guide, 'KETTLE-GOOSENECK')) === before, 'the stock is back');
    },
  },
];
