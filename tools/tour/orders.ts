import type { Schemas } from '../api-client/client.js';
import type { Scenario } from './tour-client.js';
import { readAvailableStock, waitForOrderEnd, placeOrder } from './order-steps.js';

const compensationNames = (order: Schemas['Order']) => order.compensations.map(({ name }) => name).join(', ');

/** The order saga: completed, rejected and compensated orders. */
export const orderScenarios: Scenario[] = [
  {
    title: 'An order that completes',
    async run(guide) {
      const orderId = await placeOrder(guide, 'order.json');
      const order = await waitForOrderEnd(guide, orderId);
      guide.assert(order.status === 'completed', 'the order is completed');
      guide.assert(order.shipment?.status === 'delivered', 'the carrier delivered the parcel');
    },
  },
  {
    title: 'An order of an unknown product',
    async run(guide) {
      const order = await waitForOrderEnd(guide, await placeOrder(guide, 'order-unknown-sku.json'));
      guide.assert(order.status === 'rejected' && order.reason?.type === 'UnknownSku', 'rejected as UnknownSku');
      guide.assert(order.steps.length === 1, 'no stock was reserved and nothing was charged');
    },
  },
  {
    title: 'An order of a product that is out of stock',
    async run(guide) {
      const before = await readAvailableStock(guide, 'MUG-ENAMEL');
      const order = await waitForOrderEnd(guide, await placeOrder(guide, 'order-out-of-stock.json'));
      guide.assert(order.status === 'rejected' && order.reason?.type === 'OutOfStock', 'rejected as OutOfStock');
      guide.assert(
        (await readAvailableStock(guide, 'MUG-ENAMEL')) === before,
        'the line that was in stock is still there',
      );
    },
  },
  {
    title: 'An order whose card is declined after the stock was reserved',
    async run(guide) {
      const before = await readAvailableStock(guide, 'GRINDER-HAND');
      const order = await waitForOrderEnd(guide, await placeOrder(guide, 'order-declined.json'));
      guide.assert(order.status === 'rejected' && order.reason?.type === 'CardDeclined', 'rejected as CardDeclined');
      guide.assert(
        compensationNames(order) === 'refundPayment, releaseStock',
        'compensated in reverse order: payment, then stock',
      );
      guide.assert((await readAvailableStock(guide, 'GRINDER-HAND')) === before, 'the stock is back');
    },
  },
  {
    title: 'An order that the customer cancels',
    async run(guide) {
      const before = await readAvailableStock(guide, 'KETTLE-GOOSENECK');
      const orderId = await placeOrder(guide, 'order-to-cancel.json');
      const body = { reason: 'changed my mind' };
      await guide.expectStatus(
        202,
        guide.api.POST('/v1/orders/{orderId}/cancel', { params: { path: { orderId } }, body }),
      );
      const order = await waitForOrderEnd(guide, orderId);
      guide.assert(order.status === 'cancelled', 'the order is cancelled');
      guide.assert((await readAvailableStock(guide, 'KETTLE-GOOSENECK')) === before, 'the stock is back');
    },
  },
];
