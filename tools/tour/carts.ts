import { randomUUID } from 'node:crypto';
import type { Schemas } from '../api-client/client.js';
import { readExample, type TourClient, type Scenario } from './tour-client.js';
import { orderReader } from './order-steps.js';

/**
 * Returns the steps of the tour for a cart with a new id. Each change sends an idempotency key and prints the new
 * content of the cart.
 */
function createTourCart(client: TourClient) {
  const cartId = `tour-${randomUUID()}`;
  const path = { cartId };
  const idempotencyHeader = (key: string = randomUUID()) => ({ 'Idempotency-Key': key });

  function printCart(cart: Schemas['Cart']): Schemas['Cart'] {
    const lines = cart.lines.map(({ sku, quantity }) => `${quantity} x ${sku}`).join(', ');
    const { total } = cart;
    client.print(`    ${lines || 'empty'}${total ? `, ${(total.value / 100).toFixed(2)} ${total.currency}` : ''}`);
    return cart;
  }
  const postItem = (body: Schemas['AddItemRequest'], key?: string) =>
    client.api.POST('/v1/carts/{cartId}/items', { params: { path, header: idempotencyHeader(key) }, body });

  return {
    cartId,
    postItem,
    add: async (body: Schemas['AddItemRequest'], key?: string) =>
      printCart(await client.expectStatus(200, postItem(body, key))),
    async set(sku: string, quantity: number) {
      const params = { path: { cartId, sku }, header: idempotencyHeader() };
      const call = client.api.PATCH('/v1/carts/{cartId}/items/{sku}', { params, body: { quantity } });
      return printCart(await client.expectStatus(200, call));
    },
    async checkOut(body: Schemas['CheckoutRequest']) {
      const { orderId } = await client.expectStatus(
        202,
        client.api.POST('/v1/carts/{cartId}/checkout', { params: { path }, body }),
      );
      return orderId!;
    },
    /** Reads the 410 response of the closed cart, which contains its outcome. */
    readClosed: () => client.expectError(410, client.api.GET('/v1/carts/{cartId}', { params: { path } })),
    waitUntilClosed: () =>
      client.pollUntilStatus(
        410,
        () => client.silentApi.GET('/v1/carts/{cartId}', { params: { path } }),
        'the end of the cart',
      ),
  };
}

/** Scenarios of carts: one workflow execution for the whole life of a cart. */
export const cartScenarios: Scenario[] = [
  {
    title: 'A cart that is filled, changed and checked out into an order',
    async run(client) {
      const cart = createTourCart(client);
      const item = await readExample('AddItemRequest', 'cart-item.json');
      await cart.add(item, 'first');
      const repeated = await cart.add(item, 'first');
      client.assert(repeated.lines[0]?.quantity === item.quantity, 'the repeated request was applied once');
      await cart.add({ sku: 'MUG-ENAMEL', quantity: 5 });
      await cart.set('MUG-ENAMEL', 1);
      await client.expectError(422, cart.postItem({ sku: 'SCALE-POCKET', quantity: 1 }));

      const orderId = await cart.checkOut(await readExample('CheckoutRequest', 'cart-checkout.json'));
      const order = await client.pollUntil(
        orderReader(client, orderId),
        ({ status }) => status === 'completed',
        `the completion of order ${orderId}`,
      );
      client.printWorkflowLink({ workflowId: `cart:${cart.cartId}` });
      client.printWorkflowLink(order.workflow);
      client.assert(order.lines?.length === 2, 'the order has the two lines of the cart');
      const closed = await cart.readClosed();
      client.assert(closed.orderId === orderId, 'the closed cart names its order');
    },
  },
  {
    title: 'A cart that expires',
    async run(client) {
      const cart = createTourCart(client);
      await cart.add(await readExample('AddItemRequest', 'cart-item-short-lived.json'));
      await cart.waitUntilClosed();
      const { cartStatus } = await cart.readClosed();
      client.printWorkflowLink({ workflowId: `cart:${cart.cartId}` });
      client.assert(cartStatus === 'expired', 'the cart expired');
    },
  },
];
