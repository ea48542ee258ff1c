import type {
  AbandonInput,
  AddItemInput,
  CartChange,
  CartLine,
  CartSnapshot,
  CheckoutInput,
  RemoveItemInput,
  SetQuantityInput,
} from '../../schemas/cart.js';

// The rules of a cart, as pure functions of the cart and a change.

/**
 * These limits repeat the limits in `schemas/`, which workflow code must not import at run time. A test compares both.
 */
export const LIMITS = {
  /** Maximum number of lines of a cart. */
  lines: 100,
  /** Maximum number of pieces of a line. */
  quantity: 1_000,
  /** Maximum number of idempotency keys that a cart remembers. */
  ledger: 500,
  /** Maximum number of changes that a cart remembers for its view. */
  changes: 20,
  /** Maximum number of characters of an idempotency key. */
  idempotencyKey: 255,
  /** Maximum time until the reminder or the expiry: ten years. */
  seconds: 315_360_000,
} as const;

/** A change of a cart, from an update or a signal. */
export type Change =
  | ({ kind: 'addItem' } & AddItemInput)
  | ({ kind: 'setQuantity' } & SetQuantityInput)
  | ({ kind: 'removeItem' } & RemoveItemInput)
  | ({ kind: 'checkout' } & CheckoutInput)
  | ({ kind: 'abandon' } & AbandonInput);

export type ChangeKind = Change['kind'];

/** Why a change is rejected: a stable type name and a message. */
export interface ChangeRejection {
  type:
    | 'InvalidInput'
    | 'NotTheOwner'
    | 'TooManyLines'
    | 'QuantityTooLarge'
    | 'NotInCart'
    | 'EmptyCart'
    | 'IdempotencyKeyReused'
    | 'CartClosed';
  message: string;
}

export function emptyCart(now: string): CartSnapshot {
  return { lines: [], ledger: [], lastChangeAt: now, reminderPassed: false };
}

/** Returns the quantity of a SKU in the cart, or 0 if the cart does not contain the SKU. */
export function quantityOf({ lines }: CartSnapshot, sku: string): number {
  return lines.find((line) => line.sku === sku)?.quantity ?? 0;
}

/** Returns the quantity of the SKU after the change, or undefined for a change that needs no stock. */
export function quantityAfter(cart: CartSnapshot, change: Change): number | undefined {
  if (change.kind === 'addItem') return quantityOf(cart, change.sku) + change.quantity;
  return change.kind === 'setQuantity' ? change.quantity : undefined;
}

/** Returns why a change is impossible. Checks only the content of the cart, not the catalogue. */
export function changeRejectionOf(cart: CartSnapshot, change: Change): ChangeRejection | undefined {
  if (change.kind === 'abandon') return undefined;
  if (change.kind === 'checkout') {
    return cart.lines.length ? undefined : { type: 'EmptyCart', message: 'there is nothing in the cart' };
  }
  const present = quantityOf(cart, change.sku);
  if (present === 0 && change.kind !== 'addItem') {
    return { type: 'NotInCart', message: `${change.sku} is not in the cart` };
  }
  if (present === 0 && cart.lines.length >= LIMITS.lines) {
    return { type: 'TooManyLines', message: `a cart holds at most ${LIMITS.lines} different products` };
  }
  const quantity = quantityAfter(cart, change) ?? 0;
  if (quantity > LIMITS.quantity) {
    return { type: 'QuantityTooLarge', message: `a line holds at most ${LIMITS.quantity} pieces, not ${quantity}` };
  }
  return undefined;
}

/** Returns the cart after an accepted change. Does not modify `cart`. */
export function applyChange(cart: CartSnapshot, change: Change, now: string): CartSnapshot {
  const {
    remindedAt: _reset,
    lastIdempotencyKey: _replaced,
    ...rest
  } = recordChange(cart, cartChangeOf(cart, change, now));
  return {
    ...rest,
    lines: linesAfter(cart.lines, change),
    ledger: change.idempotencyKey
      ? [...cart.ledger, { id: change.idempotencyKey, fingerprint: fingerprint(change) }].slice(-LIMITS.ledger)
      : cart.ledger,
    lastChangeAt: now,
    ...(change.idempotencyKey && { lastIdempotencyKey: change.idempotencyKey }),
    reminderPassed: false,
    hasChanged: true,
    ...(change.kind === 'addItem' && lifetimeOf(change)),
  };
}

/** Returns the cart with one more entry in the list of its latest changes. */
export const recordChange = (cart: CartSnapshot, change: CartChange): CartSnapshot => ({
  ...cart,
  changes: [...(cart.changes ?? []), change].slice(-LIMITS.changes),
});

const ITEM_EVENTS = { addItem: 'item_added', setQuantity: 'quantity_set', removeItem: 'item_removed' } as const;

function cartChangeOf(cart: CartSnapshot, change: Change, now: string): CartChange {
  const common = { at: now, ...(change.caller !== undefined && { caller: change.caller }) };
  if (change.kind === 'checkout') return { ...common, event: 'checked_out' };
  if (change.kind === 'abandon') return { ...common, event: 'abandoned' };
  const { kind, sku } = change;
  const quantityBefore = quantityOf(cart, sku);
  return { ...common, event: ITEM_EVENTS[kind], sku, quantityBefore, quantityAfter: quantityAfter(cart, change) ?? 0 };
}

/** Returns the reminder and expiry times that the change sets. */
function lifetimeOf({ remindAfterSeconds, expireAfterSeconds }: AddItemInput): Partial<CartSnapshot> {
  return {
    ...(remindAfterSeconds !== undefined && { remindAfterSeconds }),
    ...(expireAfterSeconds !== undefined && { expireAfterSeconds }),
  };
}

function linesAfter(lines: CartLine[], change: Change): CartLine[] {
  switch (change.kind) {
    case 'addItem':
      return lines.some(({ sku }) => sku === change.sku)
        ? lines.map((line) =>
            line.sku === change.sku ? { sku: line.sku, quantity: line.quantity + change.quantity } : line,
          )
        : [...lines, { sku: change.sku, quantity: change.quantity }];
    case 'setQuantity':
      return lines.map((line) => (line.sku === change.sku ? { sku: line.sku, quantity: change.quantity } : line));
    case 'removeItem':
      return lines.filter(({ sku }) => sku !== change.sku);
    case 'checkout':
    case 'abandon':
      return lines;
  }
}

/**
 * Compares a change with the ledger. `new`: the change was not applied yet. `repeated`: the change was already applied.
 * `other`: another change has used the same idempotency key.
 */
export function checkLedger({ ledger }: CartSnapshot, change: Change): 'new' | 'repeated' | 'other' {
  const entry = change.idempotencyKey && ledger.find(({ id }) => id === change.idempotencyKey);
  if (!entry) return 'new';
  return entry.fingerprint === fingerprint(change) ? 'repeated' : 'other';
}

/** Returns a string that is equal for equal changes. Ignores the idempotency key. */
export function fingerprint(change: Change): string {
  switch (change.kind) {
    case 'addItem':
      return [change.kind, change.sku, change.quantity, change.remindAfterSeconds, change.expireAfterSeconds]
        .join(' ')
        .trimEnd();
    case 'setQuantity':
      return `${change.kind} ${change.sku} ${change.quantity}`;
    case 'removeItem':
      return `${change.kind} ${change.sku}`;
    case 'checkout': {
      const { customerId = '', expectedTotal, payment } = change;
      const total = expectedTotal ? `${expectedTotal.currency}${expectedTotal.value}` : '';
      return `${change.kind} ${customerId} ${total} ${payment.token}`;
    }
    case 'abandon':
      return change.kind;
  }
}

/** Converts the argument of an update or a signal to a change. Validate the argument first. */
export const toChange = (kind: string, argument: unknown): Change => ({ kind, ...(argument as object) }) as Change;
