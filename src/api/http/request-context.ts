import type { FastifyRequest } from 'fastify';
import { restrictedIdOf } from './caller.js';

/** What a service needs to know about the caller and the request. */
export interface RequestContext {
  /** The id whose resources the caller is restricted to; undefined for operators. */
  restrictedToId?: string | undefined;
  /** The operation id, if the request has an `Idempotency-Key`. */
  operationId?: string | undefined;
}

export const requestContextOf = ({ caller, callIdentity }: FastifyRequest): RequestContext => ({
  restrictedToId: restrictedIdOf(caller),
  operationId: callIdentity?.operationId,
});
