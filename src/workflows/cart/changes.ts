import type {
  AbandonInput,
  AddItemInput,
  CartLine,
  CartState,
  CheckoutInput,
  RemoveItemInput,
  SetQuantityInput,
} from '../../schemas/cart.js';
import { isCallerId, isText } from '../shared/arguments.js';

/** The same limits as in `schemas/`, which this module must not import at run time. A test compares both. */
export const LIMITS = { lines: 100, quantity: 1_000, ledger: 500, idempotencyKey: 255, seconds: 315_360_000 } as const;

/** A change of a cart, from an update or a signal. */
export type Change =
  | ({ kind: 'addItem' } & AddItemInput)
  | ({ kind: 'setQuantity' } & SetQuantityInput)
  | ({ kind: 'removeItem' } & RemoveItemInput)
  | ({ kind: 'checkout' } & CheckoutInput)
  | ({ kind: 'abandon' } & AbandonInput);

export type ChangeKind = Change['kind'];

/** Why a change is rejected: a stable type name, and a message. */
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

export function emptyCart(now: string): CartState {
  return { lines: [], ledger: [], lastChangeAt: now, reminderPassed: false };
}

/** The quantity of a SKU in the cart, 0 if absent. */
export function quantityOf({ lines }: CartState, sku: string): number {
  return lines.find((line) => line.sku === sku)?.quantity ?? 0;
}

/** The quantity of the SKU after the change. Only for changes that need stock. */
export function quantityAfter(state: CartState, change: Change): number | undefined {
  if (change.kind === 'addItem') return quantityOf(state, change.sku) + change.quantity;
  return change.kind === 'setQuantity' ? change.quantity : undefined;
}

/** Why the change is impossible, regardless of the catalogue. */
export function changeRejectionOf(state: CartState, change: Change): ChangeRejection | undefined {
  if (change.kind === 'abandon') return undefined;
  if (change.kind === 'checkout') {
    return state.lines.length ? undefined : { type: 'EmptyCart', message: 'there is nothing in the cart' };
  }
  const present = quantityOf(state, change.sku);
  if (present === 0 && change.kind !== 'addItem') {
    return { type: 'NotInCart', message: `${change.sku} is not in the cart` };
  }
  if (present === 0 && state.lines.length >= LIMITS.lines) {
    return { type: 'TooManyLines', message: `a cart holds at most ${LIMITS.lines} different products` };
  }
  const wanted = quantityAfter(state, change) ?? 0;
  if (wanted > LIMITS.quantity) {
    return { type: 'QuantityTooLarge', message: `a line holds at most ${LIMITS.quantity} pieces, not ${wanted}` };
  }
  return undefined;
}

/** The cart after an accepted change. Does not modify the old state. */
export function applyChange(state: CartState, change: Change, now: string): CartState {
  const { remindedAt: _reset, lastIdempotencyKey: _replaced, ...rest } = state;
  return {
    ...rest,
    lines: linesAfter(state.lines, change),
    ledger: change.idempotencyKey
      ? [...state.ledger, { id: change.idempotencyKey, fingerprint: fingerprint(change) }].slice(-LIMITS.ledger)
      : state.ledger,
    lastChangeAt: now,
    ...(change.idempotencyKey && { lastIdempotencyKey: change.idempotencyKey }),
    reminderPassed: false,
    hasChanged: true,
    ...(change.kind === 'addItem' && lifetimeOf(change)),
  };
}

/** Adding an item can set the reminder and expiry times of the cart. */
function lifetimeOf({ remindAfterSeconds, expireAfterSeconds }: AddItemInput): Partial<CartState> {
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

/** Compares a change with the ledger: new, already applied, or its request id was used for another request. */
export function checkLedger({ ledger }: CartState, change: Change): 'new' | 'repeated' | 'other' {
  const known = change.idempotencyKey && ledger.find(({ id }) => id === change.idempotencyKey);
  if (!known) return 'new';
  return known.fingerprint === fingerprint(change) ? 'repeated' : 'other';
}

/** A request without its id, as a string that is equal for equal requests. */
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

/**
 * Validates the raw argument of an update or a signal by the rules of the schemas, without zod.
 *
 * @returns the problem, or undefined when the argument is valid for this kind of change.
 */
export function validateChange(kind: ChangeKind, argument: unknown): ChangeRejection | undefined {
  const expected = {
    addItem:
      '{"sku": string, "quantity": 1 to 1000, "remindAfterSeconds"?: number, "expireAfterSeconds"?: number, "idempotencyKey"?: string, "caller"?: string}',
    setQuantity: '{"sku": string, "quantity": 1 to 1000, "idempotencyKey"?: string, "caller"?: string}',
    removeItem: '{"sku": string, "idempotencyKey"?: string, "caller"?: string}',
    checkout:
      '{"payment": {"token": string}, "customerId"?: string, "expectedTotal"?: {"value": number, "currency": string}, "idempotencyKey"?: string, "caller"?: string}',
    abandon: '{"idempotencyKey"?: string, "caller"?: string}, or nothing',
  }[kind];
  return isValidArgument(kind, argument)
    ? undefined
    : { type: 'InvalidInput', message: `the argument of ${kind} must be ${expected}` };
}

const ARGUMENT_FIELDS: Record<ChangeKind, string[]> = {
  addItem: ['sku', 'quantity', 'remindAfterSeconds', 'expireAfterSeconds', 'idempotencyKey', 'caller'],
  setQuantity: ['sku', 'quantity', 'idempotencyKey', 'caller'],
  removeItem: ['sku', 'idempotencyKey', 'caller'],
  checkout: ['payment', 'customerId', 'expectedTotal', 'idempotencyKey', 'caller'],
  abandon: ['idempotencyKey', 'caller'],
};

const SKU = /^[A-Z0-9][A-Z0-9-]{0,31}$/;

function isValidArgument(kind: ChangeKind, argument: unknown): boolean {
  if (argument === undefined || argument === null) return kind === 'abandon';
  if (!isObjectWith(argument, ARGUMENT_FIELDS[kind])) return false;
  const {
    sku,
    quantity,
    idempotencyKey,
    caller,
    customerId,
    payment,
    expectedTotal,
    remindAfterSeconds,
    expireAfterSeconds,
  } = argument;
  if (idempotencyKey !== undefined && !isNonEmptyText(idempotencyKey, LIMITS.idempotencyKey)) return false;
  if (caller !== undefined && !isCallerId(caller)) return false;
  switch (kind) {
    case 'addItem':
      return (
        matches(sku, SKU) &&
        isQuantity(quantity) &&
        [remindAfterSeconds, expireAfterSeconds].every((seconds) => seconds === undefined || isSeconds(seconds))
      );
    case 'setQuantity':
      return matches(sku, SKU) && isQuantity(quantity);
    case 'removeItem':
      return matches(sku, SKU);
    case 'checkout':
      return (
        isObjectWith(payment, ['token']) &&
        isNonEmptyText(payment.token, 200) &&
        (customerId === undefined || isCallerId(customerId)) &&
        (expectedTotal === undefined || isMoney(expectedTotal))
      );
    case 'abandon':
      return true;
  }
}

function isObjectWith(value: unknown, fields: string[]): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).every((key) => fields.includes(key))
  );
}

function isMoney(value: unknown): boolean {
  return (
    isObjectWith(value, ['value', 'currency']) &&
    Number.isSafeInteger(value.value) &&
    Number(value.value) >= 0 &&
    matches(value.currency, /^[A-Z]{3}$/)
  );
}

function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

function isSeconds(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= LIMITS.seconds;
}

function isNonEmptyText(value: unknown, max: number): boolean {
  return value !== '' && isText(value, max);
}

function isQuantity(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= LIMITS.quantity;
}
