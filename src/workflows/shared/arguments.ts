import { isWellFormed } from '../../text/well-formed-text.js';
import type { Reason } from '../../schemas/shared/reason.js';

// Signals and updates deliver unparsed arguments. Workflow code cannot import zod at run time, so these checks repeat
// rules of the schemas. Tests compare both.

const CALLER_ID = /^[A-Za-z0-9!#$%&'()*+,\-./:;=?@[\]^_{|}~]{1,120}$/;

/** Maximum length of a reason in UTF-16 code units. */
const MAX_REASON_LENGTH = 500;

/** Whether a value is a valid id of a customer, an approver or another caller. */
export const isCallerId = (value: unknown): value is string => typeof value === 'string' && CALLER_ID.test(value);

/** Whether a value is well-formed text of at most `max` UTF-16 code units. */
export const isText = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value.length <= max && isWellFormed(value);

/**
 * Checks an optional argument `{"reason"?: string}`.
 *
 * @returns the problem, or undefined when the argument is valid or missing.
 */
export function validateReasonRequest(value: unknown): Reason | undefined {
  if (value === undefined || value === null || isReasonRequest(value)) return undefined;
  return { type: 'InvalidInput', message: 'the argument must be {"reason"?: string}' };
}

/** Returns the fields of an untyped argument, or no fields if the argument is not an object. */
export const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

function isReasonRequest(value: unknown): boolean {
  if (typeof value !== 'object' || Array.isArray(value)) return false;
  const { reason, ...unknown } = value as Record<string, unknown>;
  if (Object.keys(unknown).length > 0) return false;
  return reason === undefined || (typeof reason === 'string' && reason.length <= MAX_REASON_LENGTH);
}
