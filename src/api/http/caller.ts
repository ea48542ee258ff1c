import { CALLER_ROLES, type CallerRole } from '../../schemas/api-key.js';
import { forbidden } from '../problems/http-problem.js';

/** The sender of a request. */
export interface Caller {
  /** The customer id of a shopper, or the id of an approver. It is safe in a visibility query. */
  id: string;
  roles: readonly CallerRole[];
  /** When the token of the caller expires, in seconds since 1970. API keys do not expire. */
  expiresAt?: number;
}

/** The caller of an API that runs without authentication. May do everything. */
export const ANONYMOUS: Caller = { id: 'anonymous', roles: CALLER_ROLES };

/**
 * The id whose resources a caller is restricted to, which is the caller's own; undefined for operators, who see all.
 */
export const restrictedIdOf = ({ id, roles }: Caller): string | undefined =>
  roles.includes('operator') ? undefined : id;

/** A restricted caller may act only under their own id. `as` is the role in the message. @throws 403. */
export function assertActsAsSelf(caller: Caller, id: string | undefined, as: string): void {
  const ownId = restrictedIdOf(caller);
  if (ownId !== undefined && id !== undefined && id !== ownId) throw forbidden(`${ownId} cannot be ${as} ${id}`);
}

/** A decision is personal: not even an operator may decide for another person. @throws 403. */
export function assertDecidesAsSelf(caller: Caller, id: string): void {
  if (caller !== ANONYMOUS && caller.id !== id) throw forbidden(`${caller.id} cannot decide as ${id}`);
}
