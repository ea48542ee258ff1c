import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { AbandonCart, AddItem, CartView, CheckoutCart, RemoveItem, SetQuantity } from '../../schemas/cart.js';

export const CART_TASK_QUEUE = 'carts';

/** Defaults: an idle cart gets a reminder after a day and expires after 30 days. */
export const DEFAULT_REMIND_AFTER_SECONDS = 24 * 60 * 60;
export const DEFAULT_EXPIRE_AFTER_SECONDS = 30 * 24 * 60 * 60;

/** The workflow id of a cart: one cart, one execution. */
export const cartWorkflowId = (cartId: string): string => `cart:${cartId}`;

/** The cart id in a workflow id. */
export const cartIdOf = (workflowId: string): string => workflowId.replace(/^cart:/, '');

export const cartQuery = defineQuery<CartView>('cart');

/**
 * The changes of a cart. Updates return the cart, or are rejected with a reason (`UnknownSku`, `OutOfStock`,
 * `TooManyLines`, `QuantityTooLarge`, `NotInCart`, `EmptyCart`, `RequestIdReused`, `CartClosed`). The signals of the
 * same names are for senders that need no response.
 */
export const addItemUpdate = defineUpdate<CartView, [AddItem]>('addItem');
export const setQuantityUpdate = defineUpdate<CartView, [SetQuantity]>('setQuantity');
export const removeItemUpdate = defineUpdate<CartView, [RemoveItem]>('removeItem');
export const checkoutUpdate = defineUpdate<CartView, [CheckoutCart]>('checkout');
export const abandonUpdate = defineUpdate<CartView, [AbandonCart]>('abandon');

/** The updates by name, which equals the name of the signal. */
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
