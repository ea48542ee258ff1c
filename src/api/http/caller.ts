import { createHash } from 'node:crypto';
import { CALLER_ROLES, type CallerRole } from '../../schemas/api-key.js';
import { forbidden } from '../problems/http-problem.js';

/** The sender of a request. */
export interface Caller {
  /** The customer id of a shopper, or the id of an approver. It can contain quotes. */
  id: string;
  roles: readonly CallerRole[];
  /** When the token or the session of the caller expires, in seconds since 1970. API keys do not expire. */
  expiresAt?: number;
}

/** The caller of every request if the API runs without authentication. Has all roles. */
export const ANONYMOUS: Caller = { id: 'anonymous', roles: CALLER_ROLES };

/** A caller who is not identified, in an API with authentication. Has no role. */
export const VISITOR: Caller = { id: 'anonymous', roles: [] };

/**
 * Returns the id of the caller, who may access only the resources of this id. Returns undefined for operators, who may
 * access all resources.
 */
export const restrictedIdOf = ({ id, roles }: Caller): string | undefined =>
  roles.includes('operator') ? undefined : id;

/** The maximum length of a fairness key in Temporal. The id of a caller has only ASCII characters. */
const MAX_FAIRNESS_KEY_LENGTH = 64;

/** Returns Temporal's fairness key for the work of a caller: the id of the caller, or a hash if the id is too long. */
export const fairnessKeyOf = ({ id }: Caller): string =>
  id.length <= MAX_FAIRNESS_KEY_LENGTH ? id : createHash('sha256').update(id).digest('hex');

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
