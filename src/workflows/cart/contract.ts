import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { AbandonCart, AddItem, CartView, CheckoutCart, RemoveItem, SetQuantity } from '../../schemas/cart.js';

export const CART_TASK_QUEUE = 'carts';

/** When the input does not say: an idle cart is reminded of after a day, and expires after thirty. */
export const DEFAULT_REMIND_AFTER_SECONDS = 24 * 60 * 60;
export const DEFAULT_EXPIRE_AFTER_SECONDS = 30 * 24 * 60 * 60;

/** The workflow id of a cart. One cart, one execution, for its whole life. */
export const cartWorkflowId = (cartId: string): string => `cart:${cartId}`;

/** The cart id in a workflow id. */
export const cartIdOf = (workflowId: string): string => workflowId.replace(/^cart:/, '');

export const cartQuery = defineQuery<CartView>('cart');

/**
 * The changes of a cart. As updates they answer with the cart and are refused with a reason (`UnknownSku`, `OutOfStock`,
 * `TooManyLines`, `QuantityTooLarge`, `NotInCart`, `EmptyCart`, `RequestIdReused`, `CartClosed`); as signals of the same
 * name they are for senders that need no answer.
 */
export const addItemUpdate = defineUpdate<CartView, [AddItem]>('addItem');
export const setQuantityUpdate = defineUpdate<CartView, [SetQuantity]>('setQuantity');
export const removeItemUpdate = defineUpdate<CartView, [RemoveItem]>('removeItem');
export const checkoutUpdate = defineUpdate<CartView, [CheckoutCart]>('checkout');
export const abandonUpdate = defineUpdate<CartView, [AbandonCart]>('abandon');

/** The changes of a cart, by the name under which updates and signals arrive. */
export const UPDATES = {
  addItem: addItemUpdate,
  setQuantity: setQuantityUpdate,
  removeItem: removeItemUpdate,
  checkout: checkoutUpdate,
  abandon: abandonUpdate,
};
export const CHANGES = ['addItem', 'setQuantity', 'removeItem', 'checkout', 'abandon'] as const;

export const addItemSignal = defineSignal<[AddItem]>('addItem');
export const setQuantitySignal = defineSignal<[SetQuantity]>('setQuantity');
export const removeItemSignal = defineSignal<[RemoveItem]>('removeItem');
export const checkoutSignal = defineSignal<[CheckoutCart]>('checkout');
export const abandonSignal = defineSignal<[AbandonCart]>('abandon');
