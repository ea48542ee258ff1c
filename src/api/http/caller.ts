import { CALLER_ROLES, type CallerRole } from '../../schemas/api-key.js';
import { forbidden } from '../problems/http-problem.js';

/** The sender of a request. */
export interface Caller {
  /** The customer id of a shopper, or the id of an approver. The id is safe to use in a visibility query. */
  id: string;
  roles: readonly CallerRole[];
  /** When the token of the caller expires, in seconds since 1970. API keys do not expire. */
  expiresAt?: number;
}

/** The caller of every request if the API runs without authentication. Has all roles. */
export const ANONYMOUS: Caller = { id: 'anonymous', roles: CALLER_ROLES };

/**
 * Returns the id of the caller, who may access only the resources of this id. Returns undefined for operators, who may
 * access all resources.
 */
export const restrictedIdOf = ({ id, roles }: Caller): string | undefined =>
  roles.includes('operator') ? undefined : id;

/**
 * Checks that a caller who is not an operator acts under their own id. `as` is the role in the error message. @throws
 * 403.
 */
export function assertActsAsSelf(caller: Caller, id: string | undefined, as: string): void {
  const ownId = restrictedIdOf(caller);
  if (ownId !== undefined && id !== undefined && id !== ownId) throw forbidden(`${ownId} cannot be ${as} ${id}`);
}

/**
 * Checks that a caller decides under their own id. Operators must not decide for another person either. @throws 403.
 */
export function assertDecidesAsSelf(caller: Caller, id: string): void {
  if (caller !== ANONYMOUS && caller.id !== id) throw forbidden(`${caller.id} cannot decide as ${id}`);
}
