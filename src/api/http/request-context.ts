import type { FastifyRequest } from 'fastify';
import { fairnessKeyOf, restrictedIdOf } from './caller.js';

/** The properties of the caller and the request that a service uses. */
export interface RequestContext {
  /** The caller may access only the resources of this id. Undefined for operators, who may access all resources. */
  restrictedToId?: string | undefined;
  /** The operation id, if the request has an `Idempotency-Key`. */
  operationId?: string | undefined;
  /** Temporal's fairness key for long work that the request starts. Callers share the workers fairly. */
  fairnessKey?: string | undefined;
}

export const requestContextOf = ({ caller, callIdentity }: FastifyRequest): RequestContext => ({
  restrictedToId: restrictedIdOf(caller),
  operationId: callIdentity?.operationId,
  fairnessKey: fairnessKeyOf(caller),
});
