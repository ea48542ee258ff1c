import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type {
  AbandonInput,
  AddItemInput,
  CartView,
  CheckoutInput,
  RemoveItemInput,
  SetQuantityInput,
} from '../../schemas/cart.js';

export const CART_TASK_QUEUE = 'carts';

/** Returns the workflow id of a cart. An open cart has one execution. */
export const cartWorkflowId = (cartId: string): string => `cart:${cartId}`;

/** Returns the cart id that a workflow id contains. */
export const cartIdOf = (workflowId: string): string => workflowId.replace(/^cart:/, '');

export const cartQuery = defineQuery<CartView>('cart');

/**
 * The updates that change a cart. An update returns the cart or is rejected with one of these types: `UnknownSku`,
 * `OutOfStock`, `TooManyLines`, `QuantityTooLarge`, `NotInCart`, `EmptyCart`, `IdempotencyKeyReused`, `CartClosed`. The
 * signals with the same names are for senders that need no response.
 */
export const addItemUpdate = defineUpdate<CartView, [AddItemInput]>('addItem');
export const setQuantityUpdate = defineUpdate<CartView, [SetQuantityInput]>('setQuantity');
export const removeItemUpdate = defineUpdate<CartView, [RemoveItemInput]>('removeItem');
export const checkoutUpdate = defineUpdate<CartView, [CheckoutInput]>('checkout');
export const abandonUpdate = defineUpdate<CartView, [AbandonInput]>('abandon');

/** The updates, keyed by name. Each signal has the same name as its update. */
export const CART_UPDATES = {
  addItem: addItemUpdate,
  setQuantity: setQuantityUpdate,
  removeItem: removeItemUpdate,
  checkout: checkoutUpdate,
  abandon: abandonUpdate,
};
export const CHANGE_KINDS = ['addItem', 'setQuantity', 'removeItem', 'checkout', 'abandon'] as const;

export const addItemSignal = defineSignal<[AddItemInput]>('addItem');
export const setQuantitySignal = defineSignal<[SetQuantityInput]>('setQuantity');
export const removeItemSignal = defineSignal<[RemoveItemInput]>('removeItem');
export const checkoutSignal = defineSignal<[CheckoutInput]>('checkout');
export const abandonSignal = defineSignal<[AbandonInput]>('abandon');
