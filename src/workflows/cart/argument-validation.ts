import { isCallerId, isText } from '../shared/arguments.js';
import { LIMITS, type ChangeKind, type ChangeRejection } from './changes.js';
import { CHANGE_KINDS } from './contract.js';

export function isChangeKind(name: string): name is ChangeKind {
  return (CHANGE_KINDS as readonly string[]).includes(name);
}

/**
 * Validates the raw argument of an update or a signal. Repeats the rules of the schemas without zod.
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
