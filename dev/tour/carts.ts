import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { cartResource } from '../../src/schemas/cart.js';
import { orderResource } from '../../src/schemas/order.js';
import { example, type Guide, type Scene } from './guide.js';

const gone = z.object({ cartStatus: z.string(), orderId: z.string().optional() });

async function change(guide: Guide, method: string, path: string, body?: unknown, key: string = randomUUID()) {
  const cart = cartResource.parse(await guide.expect(200, method, path, body, { 'idempotency-key': key }));
  const lines = cart.lines.map(({ sku, quantity }) => `${quantity} x ${sku}`).join(', ');
  guide.say(
    `    ${lines || 'empty'}${cart.total ? `, ${(cart.total.value / 100).toFixed(2)} ${cart.total.currency}` : ''}`,
  );
  return cart;
}

/** The cart entity: one execution for its whole life. */
export const cartScenes: Scene[] = [
  {
    title: 'A cart that is filled, changed and checked out into an order',
    async play(guide) {
      const cartId = `tour-${randomUUID()}`;
      const path = `/v1/carts/${cartId}`;
      const item = await example('cart-item.json');
      await change(guide, 'POST', `${path}/items`, item, 'first');
      const repeated = await change(guide, 'POST', `${path}/items`, item, 'first');
      guide.check(repeated.lines[0]?.quantity === item.quantity, 'the repeated request was applied once');
      await change(guide, 'POST', `${path}/items`, { sku: 'MUG-ENAMEL', quantity: 5 });
      await change(guide, 'PATCH', `${path}/items/MUG-ENAMEL`, { quantity: 1 });
      await guide.expect(422, 'POST', `${path}/items`, { sku: 'SCALE-POCKET', quantity: 1 });

      const checkout = await guide.expect(202, 'POST', `${path}/checkout`, await example('cart-checkout.json'));
      const { orderId } = cartResource.parse(checkout);
      const order = await guide.watch(
        `/v1/orders/${orderId}`,
        orderResource,
        ({ status }) => status === 'completed',
        `the completion of order ${orderId}`,
      );
      guide.show({ workflowId: `cart:${cartId}` });
      guide.show(order.workflow);
      guide.check(order.lines?.length === 2, 'the order has the two lines of the cart');
      const closed = gone.parse(await guide.expect(410, 'GET', path));
      guide.check(closed.orderId === orderId, 'the closed cart names its order');
    },
  },
  {
    title: 'A cart that nobody comes back to',
    async play(guide) {
      const cartId = `tour-${randomUUID()}`;
      const path = `/v1/carts/${cartId}`;
      await change(guide, 'POST', `${path}/items`, await example('cart-item-short-lived.json'));
      await guide.until(410, path, 'the cart is gone');
      const { cartStatus } = gone.parse(await guide.expect(410, 'GET', path));
      guide.show({ workflowId: `cart:${cartId}` });
      guide.check(cartStatus === 'expired', 'the cart expired');
    },
  },
];
