import type { Schemas } from '../api-client/client.js';
import type { Scenario } from './tour-client.js';
import { readAvailableStock, waitForOrderEnd, placeOrder } from './order-steps.js';

const compensationNames = (order: Schemas['Order']) => order.compensations.map(({ name }) => name).join(', ');

/** Scenarios of the order saga: completed, rejected and compensated orders. */
export const orderScenarios: Scenario[] = [
  {
    title: 'An order that completes',
    async run(client) {
      const orderId = await placeOrder(client, 'order.json');
      const order = await waitForOrderEnd(client, orderId);
      client.assert(order.status === 'completed', 'the order is completed');
      client.assert(order.shipment?.status === 'delivered', 'the carrier delivered the parcel');
    },
  },
  {
    title: 'An order for an unknown product',
    async run(client) {
      const order = await waitForOrderEnd(client, await placeOrder(client, 'order-unknown-sku.json'));
      client.assert(order.status === 'rejected' && order.reason?.type === 'UnknownSku', 'rejected as UnknownSku');
      client.assert(order.steps.length === 1, 'no stock was reserved and nothing was charged');
    },
  },
  {
    title: 'An order for a product that is out of stock',
    async run(client) {
      const before = await readAvailableStock(client, 'MUG-ENAMEL');
      const order = await waitForOrderEnd(client, await placeOrder(client, 'order-out-of-stock.json'));
      client.assert(order.status === 'rejected' && order.reason?.type === 'OutOfStock', 'rejected as OutOfStock');
      client.assert(
        (await readAvailableStock(client, 'MUG-ENAMEL')) === before,
        'the line that was in stock is still there',
      );
    },
  },
  {
    title: 'An order whose card is declined after the stock was reserved',
    async run(client) {
      const before = await readAvailableStock(client, 'GRINDER-HAND');
      const order = await waitForOrderEnd(client, await placeOrder(client, 'order-declined.json'));
      client.assert(order.status === 'rejected' && order.reason?.type === 'CardDeclined', 'rejected as CardDeclined');
      client.assert(
        compensationNames(order) === 'refundPayment, releaseStock',
        'compensated in reverse order: payment, then stock',
      );
      client.assert((await readAvailableStock(client, 'GRINDER-HAND')) === before, 'the stock is back');
    },
  },
  {
    title: 'An order that the customer cancels',
    async run(client) {
      const before = await readAvailableStock(client, 'KETTLE-GOOSENECK');
      const orderId = await placeOrder(client, 'order-to-cancel.json');
      const body = { reason: 'changed my mind' };
      await client.expectStatus(
        202,
        client.api.POST('/v1/orders/{orderId}/cancel', { params: { path: { orderId } }, body }),
      );
      const order = await waitForOrderEnd(client, orderId);
      client.assert(order.status === 'cancelled', 'the order is cancelled');
      client.assert((await readAvailableStock(client, 'KETTLE-GOOSENECK')) === before, 'the stock is back');
    },
  },
];
