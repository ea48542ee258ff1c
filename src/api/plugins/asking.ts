import type { FastifyRequest } from 'fastify';
import { restrictedTo } from './auth/caller.js';

/** What a service needs to know about the caller and the request. */
export interface Asking {
  /** The id whose resources the caller is restricted to; undefined for operators. */
  only?: string | undefined;
  /** The request id, if the request has an `Idempotency-Key`. */
  requestId?: string | undefined;
}

export const askingOf = ({ caller, named }: FastifyRequest): Asking => ({
  only: restrictedTo(caller),
  requestId: named?.requestId,
});

/** Options of an update. Temporal applies an update with the same update id once. */
export const updateIdOf = ({ requestId }: Asking): { updateId?: string } =>
  requestId === undefined ? {} : { updateId: requestId };
