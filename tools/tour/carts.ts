import { randomUUID } from 'node:crypto';
import type { Schemas } from '../api-client/client.js';
import { readExample, type TourClient, type Scenario } from './tour-client.js';
import { orderReader } from './order-steps.js';

/**
 * A cart with a new id. Each change has an idempotency key, so that it can be repeated, and prints the cart's new
 * content.
 */
function createTourCart(guide: TourClient) {
  const cartId = `tour-${randomUUID()}`;
  const path = { cartId };
  const named = (key: string = randomUUID()) => ({ 'Idempotency-Key': key });

  function tell(cart: Schemas['Cart']): Schemas['Cart'] {
    const lines = cart.lines.map(({ sku, quantity }) => `${quantity} x ${sku}`).join(', ');
    const { total } = cart;
    guide.print(`    ${lines || 'empty'}${total ? `, ${(total.value / 100).toFixed(2)} ${total.currency}` : ''}`);
    return cart;
  }
  const adding = (body: Schemas['AddItemRequest'], key?: string) =>
    guide.api.POST('/v1/carts/{cartId}/items', { params: { path, header: named(key) }, body });

  return {
    cartId,
    adding,
    add: async (body: Schemas['AddItemRequest'], key?: string) =>
      tell(await guide.expectStatus(200, adding(body, key))),
    async set(sku: string, quantity: number) {
      const params = { path: { cartId, sku }, header: named() };
      const call = guide.api.PATCH('/v1/carts/{cartId}/items/{sku}', { params, body: { quantity } });
      return tell(await guide.expectStatus(200, call));
    },
    async checkOut(body: Schemas['CheckoutRequest']) {
      const { orderId } = await guide.expectStatus(
        202,
        guide.api.POST('/v1/carts/{cartId}/checkout', { params: { path }, body }),
      );
      return orderId!;
    },
    /** The response of the closed cart, with its outcome. */
    end: () => guide.expectError(410, guide.api.GET('/v1/carts/{cartId}', { params: { path } })),
    gone: () =>
      guide.pollUntilStatus(
        410,
        () => guide.silentApi.GET('/v1/carts/{cartId}', { params: { path } }),
        'the cart is gone',
      ),
  };
}

/** The cart entity: one execution for its whole life. */
export const cartScenarios: Scenario[] = [
  {
    title: 'A cart that is filled, changed and checked out into an order',
    async run(guide) {
      const cart = createTourCart(guide);
      const item = await readExample('AddItemRequest', 'cart-item.json');
      await cart.add(item, 'first');
      const repeated = await cart.add(item, 'first');
      guide.assert(repeated.lines[0]?.quantity === item.quantity, 'the repeated request was applied once');
      await cart.add({ sku: 'MUG-ENAMEL', quantity: 5 });
      await cart.set('MUG-ENAMEL', 1);
      await guide.expectError(422, cart.adding({ sku: 'SCALE-POCKET', quantity: 1 }));

      const orderId = await cart.checkOut(await readExample('CheckoutRequest', 'cart-checkout.json'));
      const order = await guide.pollUntil(
        orderReader(guide, orderId),
        ({ status }) => status === 'completed',
        `the completion of order ${orderId}`,
      );
      guide.printWorkflowLink({ workflowId: `cart:${cart.cartId}` });
      guide.printWorkflowLink(order.workflow);
      guide.assert(order.lines?.length === 2, 'the order has the two lines of the cart');
      const closed = await cart.end();
      guide.assert(closed.orderId === orderId, 'the closed cart names its order');
    },
  },
  {
    title: 'A cart that expires',
    async run(guide) {
      const cart = createTourCart(guide);
      await cart.add(await readExample('AddItemRequest', 'cart-item-short-lived.json'));
      await cart.gone();
      const { cartStatus } = await cart.end();
      guide.printWorkflowLink({ workflowId: `cart:${cart.cartId}` });
      guide.assert(cartStatus === 'expired', 'the cart expired');
    },
  },
];
