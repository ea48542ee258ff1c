import type { Reason } from '../../schemas/reason.js';

/** The same limit as in `schemas/`, in UTF-16 code units. */
const MAX_REASON = 500;

/** What is wrong with an argument that may only say why: nothing at all, or `{"reason"?: string}`. */
export function malformedReasonRequest(value: unknown): Reason | undefined {
  if (value === undefined || value === null || isReasonRequest(value)) return undefined;
  return { type: 'InvalidInput', message: 'the argument must be {"reason"?: string}' };
}

function isReasonRequest(value: unknown): boolean {
  if (typeof value !== 'object' || Array.isArray(value)) return false;
  const { reason, ...unknown } = value as Record<string, unknown>;
  if (Object.keys(unknown).length > 0) return false;
  return reason === undefined || (typeof reason === 'string' && reason.length <= MAX_REASON);
}
