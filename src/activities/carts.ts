import { cartInput } from '../schemas/cart.js';
import type { Store } from '../store/index.js';
import { invalidInput, parseInput, refused } from './failures.js';

export function createCartActivities({ store }: { store: Store }) {
  return {
    /** Parses what a cart was started with. `cartId` is the one in the workflow id. @throws `InvalidInput`. */
    async openCart(input: unknown, cartId: string): Promise<void> {
      const cart = parseInput(cartInput, input);
      if (cart.cartId !== cartId) {
        const detail = `must be the workflow id without its prefix, "${cartId}" is not "${cart.cartId}"`;
        throw invalidInput([{ pointer: '/cartId', detail }]);
      }
    },

    /**
     * Whether a cart may hold so many of a product. Nothing is reserved: that is the order's business.
     *
     * @throws `UnknownSku`, `OutOfStock` when there are fewer just now.
     */
    async checkItem({ sku, quantity }: { sku: string; quantity: number }): Promise<void> {
      const product = (await store.findProducts([sku])).get(sku);
      if (!product) throw refused('UnknownSku', `not in the catalogue: ${sku}`);
      if (product.available < quantity) {
        throw refused('OutOfStock', `${sku}: ${quantity} wanted, ${product.available} there`);
      }
    },

    /** Leaves a message for the customer of a cart, once for each key. */
    async notifyCustomer(message: {
      key: string;
      cartId: string;
      kind: 'cart_reminder' | 'cart_expired';
    }): Promise<void> {
      await store.addNotification(message);
    },
  };
}
