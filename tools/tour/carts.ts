import { randomUUID } from 'node:crypto';
import type { Schemas } from '../api-client/client.js';
import { example, type Guide, type Scene } from './guide.js';
import { reading } from './order-steps.js';

/**
 * A cart with a new id. Each change has an idempotency key, so that it can be repeated, and prints the cart's new
 * content.
 */
function aCart(guide: Guide) {
  const cartId = `tour-${randomUUID()}`;
  const path = { cartId };
  const named = (key: string = randomUUID()) => ({ 'Idempotency-Key': key });

  function tell(cart: Schemas['Cart']): Schemas['Cart'] {
    const lines = cart.lines.map(({ sku, quantity }) => `${quantity} x ${sku}`).join(', ');
    const { total } = cart;
    guide.say(`    ${lines || 'empty'}${total ? `, ${(total.value / 100).toFixed(2)} ${total.currency}` : ''}`);
    return cart;
  }
  const adding = (body: Schemas['AddItemRequest'], key?: string) =>
    guide.api.POST('/v1/carts/{cartId}/items', { params: { path, header: named(key) }, body });

  return {
    cartId,
    adding,
    add: async (body: Schemas['AddItemRequest'], key?: string) => tell(await guide.expect(200, adding(body, key))),
    async set(sku: string, quantity: number) {
      const params = { path: { cartId, sku }, header: named() };
      const call = guide.api.PATCH('/v1/carts/{cartId}/items/{sku}', { params, body: { quantity } });
      return tell(await guide.expect(200, call));
    },
    async checkOut(body: Schemas['CheckoutRequest']) {
      const { orderId } = await guide.expect(
        202,
        guide.api.POST('/v1/carts/{cartId}/checkout', { params: { path }, body }),
      );
      return orderId!;
    },
    /** The response of the closed cart, with its outcome. */
    end: () => guide.expectRefusal(410, guide.api.GET('/v1/carts/{cartId}', { params: { path } })),
    gone: () => guide.until(410, () => guide.quiet.GET('/v1/carts/{cartId}', { params: { path } }), 'the cart is gone'),
  };
}

/** The cart entity: one execution for its whole life. */
export const cartScenes: Scene[] = [
  {
    title: 'A cart that is filled, changed and checked out into an order',
    async play(guide) {
      const cart = aCart(guide);
      const item = await example('AddItemRequest', 'cart-item.json');
      await cart.add(item, 'first');
      const repeated = await cart.add(item, 'first');
      guide.check(repeated.lines[0]?.quantity === item.quantity, 'the repeated request was applied once');
      await cart.add({ sku: 'MUG-ENAMEL', quantity: 5 });
      await cart.set('MUG-ENAMEL', 1);
      await guide.expectRefusal(422, cart.adding({ sku: 'SCALE-POCKET', quantity: 1 }));

      const orderId = await cart.checkOut(await example('CheckoutRequest', 'cart-checkout.json'));
      const order = await guide.watch(
        reading(guide, orderId),
        ({ status }) => status === 'completed',
        `the completion of order ${orderId}`,
      );
      guide.show({ workflowId: `cart:${cart.cartId}` });
      guide.show(order.workflow);
      guide.check(order.lines?.length === 2, 'the order has the two lines of the cart');
      const closed = await cart.end();
      guide.check(closed.orderId === orderId, 'the closed cart names its order');
    },
  },
  {
    title: 'A cart that nobody comes back to',
    async play(guide) {
      const cart = aCart(guide);
      await cart.add(await example('AddItemRequest', 'cart-item-short-lived.json'));
      await cart.gone();
      const { cartStatus } = await cart.end();
      guide.show({ workflowId: `cart:${cart.cartId}` });
      guide.check(cartStatus === 'expired', 'the cart expired');
    },
  },
];
