import { z } from 'zod';
import { money } from './money.js';
import { MAX_LINE_QUANTITY, MAX_ORDER_LINES } from './order.js';
import { id, sku, text } from './text.js';

/** A cart holds what one order may hold. */
export const MAX_CART_LINES = MAX_ORDER_LINES;

const quantity = z.int().min(1).max(MAX_LINE_QUANTITY);

/** Names a request, so that it is applied once however often it arrives. */
const requestId = text(255).optional();

const line = z.strictObject({ sku, quantity });

/** Ten years, in seconds. */
export const MAX_LIFETIME_SECONDS = 315_360_000;
const seconds = z.int().min(1).max(MAX_LIFETIME_SECONDS);

const lifetime = {
  /** Idle for this long, the customer is reminded once; a change resets it. */
  remindAfterSeconds: seconds.optional(),
  /** Idle for this long, the cart expires; a change resets it. */
  expireAfterSeconds: seconds.optional(),
};

export const addItem = line.extend({ ...lifetime, requestId });
export const setQuantity = line.extend({ requestId });
export const removeItem = z.strictObject({ sku, requestId });
export const checkoutCart = z.strictObject({
  payment: z.strictObject({ token: text(200) }),
  /** Whose order it becomes; the cart's id unless told. */
  customerId: id.optional(),
  requestId,
});
export const abandonCart = z.strictObject({ requestId });

/** The memory of a cart, as plain JSON: it is handed from run to run. */
export const cartState = z.strictObject({
  lines: z.array(line).max(MAX_CART_LINES),
  /** The requests that were applied lately, oldest first. */
  ledger: z.array(z.strictObject({ id: z.string(), request: z.string() })),
  lastChangeAt: z.iso.datetime(),
  /** Whether the time of the reminder is over, also when there was nothing to remind of. */
  reminderPassed: z.boolean(),
  remindedAt: z.iso.datetime().optional(),
  /** Whether it ever took a change. */
  changed: z.boolean().optional(),
  ...lifetime,
});

/** The input of the `cart` workflow. */
export const cartInput = z.strictObject({
  cartId: id,
  ...lifetime,
  /** The cart is opened by a change that comes along: if that is refused, there is no cart. */
  openedByChange: z.boolean().optional(),
  /** Events after which a run hands over to the next one, when the server does not suggest it before. */
  continueAsNewAfterEvents: z.int().min(1).optional(),
  /** What the run before hands over. */
  state: cartState.optional(),
});

/** `open` takes changes; the others say what became of it. */
export const cartStatus = z.enum(['open', 'checked_out', 'expired', 'abandoned']);

/** What is told of a cart: by the `cart` query, by every update, and as the workflow's result. */
export const cartView = z.object({
  cartId: z.string(),
  status: cartStatus,
  lines: z.array(line),
  /** The order that it became. */
  orderId: z.string().optional(),
  lastChangeAt: z.iso.datetime(),
  remindedAt: z.iso.datetime().optional(),
  /** When it expires if nothing changes. */
  expiresAt: z.iso.datetime().optional(),
});

/** A cart over HTTP: with the names and prices of the catalogue as they are now. The order's quote fixes them. */
export const cartResource = cartView.extend({
  lines: z.array(line.extend({ name: z.string().optional(), unitPrice: money.optional() })),
  total: money.optional(),
});

export type CartLine = z.infer<typeof line>;
export type AddItem = z.infer<typeof addItem>;
export type SetQuantity = z.infer<typeof setQuantity>;
export type RemoveItem = z.infer<typeof removeItem>;
export type CheckoutCart = z.infer<typeof checkoutCart>;
export type AbandonCart = z.infer<typeof abandonCart>;
export type CartState = z.infer<typeof cartState>;
export type CartInput = z.infer<typeof cartInput>;
export type CartStatus = z.infer<typeof cartStatus>;
export type CartView = z.infer<typeof cartView>;
export type CartResource = z.infer<typeof cartResource>;
