import { ROLES, type Role } from '../../../schemas/api-key.js';
import { forbidden } from '../errors.js';

/** Who sends a request. */
export interface Caller {
  /** The customer that a shopper is, the name that an approver is asked by; safe in a visibility query. */
  id: string;
  roles: readonly Role[];
  /** When what says so ends, in seconds since 1970; keys have no end. */
  expiresAt?: number;
}

/** Whoever reaches an API that runs open: nobody in particular, who may do everything. */
export const ANYBODY: Caller = { id: 'anybody', roles: ROLES };

/** The one whose resources a caller is restricted to: himself. Operators see everybody's. */
export const restrictedTo = ({ id, roles }: Caller): string | undefined =>
  roles.includes('operator') ? undefined : id;

/** Whoever is restricted acts for himself alone. @throws 403. */
export function assertActsAs(caller: Caller, id: string | undefined, as: string): void {
  const only = restrictedTo(caller);
  if (only !== undefined && id !== undefined && id !== only) throw forbidden(`${only} cannot be ${as} ${id}`);
}

/** A decision is somebody's own: not even an operator makes it for another. @throws 403. */
export function assertIs(caller: Caller, id: string): void {
  if (caller !== ANYBODY && caller.id !== id) throw forbidden(`${caller.id} cannot decide as ${id}`);
}
