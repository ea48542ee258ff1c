import { z } from 'zod';
import { money } from './shared/money.js';
import { reason } from './shared/reason.js';
import { customerId, MAX_LINE_QUANTITY, MAX_ORDER_LINES, payment } from './order.js';
import { pageOf, pageQuery } from './shared/page.js';
import {
  businessId,
  callerId,
  idempotencyKey as requiredIdempotencyKey,
  sku,
  time,
  durationSeconds,
} from './shared/primitives.js';

/** A cart has the same limit as an order. */
export const MAX_CART_LINES = MAX_ORDER_LINES;

export const cartId = businessId.meta({ description: 'The id of a cart.', examples: ['cart-1001'] });

const quantity = z
  .int()
  .min(1)
  .max(MAX_LINE_QUANTITY)
  .meta({ examples: [2] });

const idempotencyKey = requiredIdempotencyKey.optional();

/**
 * The customer who sends the request. The cart of another customer rejects the request. If `caller` is missing, the
 * owner is not checked.
 */
const caller = callerId.optional();

const line = z.strictObject({ sku, quantity });

/** Ten years, in seconds. */
export const MAX_IDLE_SECONDS = 315_360_000;
const seconds = durationSeconds(MAX_IDLE_SECONDS);

const idleTimeouts = {
  remindAfterSeconds: seconds
    .optional()
    .describe('Idle time after which the customer is reminded once. Every change restarts it.'),
  expireAfterSeconds: seconds.optional().describe('Idle time after which the cart expires. Every change restarts it.'),
};

/** The arguments of the cart's updates. Over HTTP, the idempotency key is in a header and the SKU is in the path. */
export const addItemInput = line.extend({ ...idleTimeouts, idempotencyKey, caller });
export const setQuantityInput = line.extend({ idempotencyKey, caller });
export const removeItemInput = z.strictObject({ sku, idempotencyKey, caller });
export const checkoutInput = z.strictObject({
  payment,
  customerId: customerId
    .optional()
    .describe("The customer of the order. Defaults to the cart's owner, or to the cart id if the cart has no owner."),
  expectedTotal: money
    .optional()
    .describe('The total that the customer saw. If the actual total differs, the cart stays open.'),
  idempotencyKey,
  caller,
});
export const abandonInput = z.strictObject({ idempotencyKey, caller });

export const addItemRequest = addItemInput.omit({ idempotencyKey: true, caller: true }).meta({
  id: 'AddItemRequest',
  description: 'An item for a cart, and the idle timeouts of the cart. Omitted timeouts do not change.',
});
export const setQuantityRequest = setQuantityInput
  .pick({ quantity: true })
  .meta({ id: 'SetQuantityRequest', description: 'The new quantity of a line.' });
export const checkoutRequest = checkoutInput
  .omit({ idempotencyKey: true, caller: true })
  .meta({ id: 'CheckoutRequest', description: 'The payment of the order that the checkout creates.' });

/** Maximum number of changes that a cart remembers. */
export const MAX_CART_CHANGES = 20;

export const cartChange = z
  .strictObject({
    at: time,
    event: z
      .enum([
        'item_added',
        'quantity_set',
        'item_removed',
        'checked_out',
        'checkout_failed',
        'abandoned',
        'reminded',
        'expired',
      ])
      .describe(
        '`checkout_failed`: the cart stays open, and `reason` says why. `reminded`: the customer got the reminder.',
      ),
    sku: sku.optional(),
    quantityBefore: z
      .int()
      .min(0)
      .max(MAX_LINE_QUANTITY)
      .optional()
      .describe('The quantity of the SKU before the change; 0 if it had no line.'),
    quantityAfter: z
      .int()
      .min(0)
      .max(MAX_LINE_QUANTITY)
      .optional()
      .describe('The quantity of the SKU after the change; 0 if its line was removed.'),
    reason: reason.optional(),
    caller: callerId
      .optional()
      .describe(
        'The shopper who sent the change. Missing if an operator, a program or the cart itself made the change.',
      ),
  })
  .meta({ id: 'CartChange', description: 'A change of a cart.' });

/** The state of a cart as plain JSON, which continue-as-new passes to the next run. */
export const cartSnapshot = z.strictObject({
  lines: z.array(line).max(MAX_CART_LINES),
  /** The most recently applied requests, oldest first. */
  ledger: z.array(z.strictObject({ id: z.string(), fingerprint: z.string() })),
  lastChangeAt: time,
  /** The idempotency key of the last change, if the change had one. */
  lastIdempotencyKey: z.string().optional(),
  /** True after the time of the reminder has passed, even if the cart was empty and got no reminder. */
  reminderPassed: z.boolean(),
  remindedAt: time.optional(),
  /** Whether the cart has accepted a change. */
  hasChanged: z.boolean().optional(),
  /** The latest changes, oldest first. Runs of earlier versions have none. */
  changes: z.array(cartChange).max(MAX_CART_CHANGES).optional(),
  ...idleTimeouts,
});

/** The input of the `cart` workflow. */
export const cartInput = z.strictObject({
  cartId: businessId,
  /** The customer who owns the cart. */
  customerId: callerId.optional(),
  ...idleTimeouts,
  /** True when an update-with-start opens the cart. If the cart rejects that update, it never exists. */
  openedByChange: z.boolean().optional(),
  /** The number of events after which a run continues as new. The server may suggest this earlier. */
  continueAsNewAfterEvents: z.int().min(1).optional(),
  /** The state of the previous run. */
  state: cartSnapshot.optional(),
});

export const cartStatus = z.enum(['open', 'checked_out', 'expired', 'abandoned']).meta({
  id: 'CartStatus',
  description:
    '`open` accepts changes. `abandoned`: the customer abandoned the cart, or an operator cancelled or terminated it.',
});

/** The result of the `cart` query, of every update and of the workflow. Updates omit `changes`. */
export const cartView = z.object({
  cartId: z.string(),
  customerId: z.string().optional().describe('The owner of the cart, if it has one.'),
  status: cartStatus,
  lines: z.array(line),
  orderId: z.string().optional().describe('The id of the order that the checkout created.'),
  lastChangeAt: time,
  remindedAt: time.optional(),
  expiresAt: time.optional().describe('When the cart expires if it does not change.'),
  changes: z
    .array(cartChange)
    .optional()
    .describe(`The latest changes, newest first, at most ${MAX_CART_CHANGES}. Only \`GET\` returns them.`),
});

const pricedCartLine = line.extend({ name: z.string().optional(), unitPrice: money.optional() }).meta({
  id: 'CartLine',
  description: 'A line of a cart. If name and price are missing, the product is no longer sold.',
});

export const cartResource = cartView.extend({ lines: z.array(pricedCartLine), total: money.optional() }).meta({
  id: 'Cart',
  description:
    'A cart with the current names and prices of the catalogue. The order fixes the prices when it reserves the stock.',
});

export const cartSummary = z
  .object({
    cartId: z.string(),
    customerId: z.string().optional().describe('The owner of the cart, if it has one.'),
    status: cartStatus,
    orderId: z.string().optional().describe('The id of the order that the checkout created.'),
    openedAt: time.describe('When the first item was added.'),
    closedAt: time.optional(),
  })
  .meta({
    id: 'CartSummary',
    description:
      'A cart in a list. If a cart id was reused after its cart closed, the list contains each of these carts.',
  });

export const cartListQuery = pageQuery.extend({ customerId: customerId.optional(), status: cartStatus.optional() });

export const cartList = pageOf(cartSummary).meta({ id: 'CartList', description: 'A page of carts, newest first.' });

export type CartLine = z.infer<typeof line>;
export type AddItemInput = z.infer<typeof addItemInput>;
export type SetQuantityInput = z.infer<typeof setQuantityInput>;
export type RemoveItemInput = z.infer<typeof removeItemInput>;
export type CheckoutInput = z.infer<typeof checkoutInput>;
export type AbandonInput = z.infer<typeof abandonInput>;
export type CartSnapshot = z.infer<typeof cartSnapshot>;
export type CartChange = z.infer<typeof cartChange>;
export type CartInput = z.infer<typeof cartInput>;
export type CartStatus = z.infer<typeof cartStatus>;
export type CartView = z.infer<typeof cartView>;
export type CartListQuery = z.infer<typeof cartListQuery>;
export type CartList = z.infer<typeof cartList>;
export type CartSummary = z.infer<typeof cartSummary>;
export type CartResource = z.infer<typeof cartResource>;
