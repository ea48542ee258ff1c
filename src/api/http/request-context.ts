import type { FastifyRequest } from 'fastify';
import { restrictedIdOf } from './caller.js';

/** The properties of the caller and the request that a service uses. */
export interface RequestContext {
  /** The caller may access only the resources of this id. Undefined for operators, who may access all resources. */
  restrictedToId?: string | undefined;
  /** The operation id, if the request has an `Idempotency-Key`. */
  operationId?: string | undefined;
}

export const requestContextOf = ({ caller, callIdentity }: FastifyRequest): RequestContext => ({
  restrictedToId: restrictedIdOf(caller),
  operationId: callIdentity?.operationId,
});
