import type { FastifyRequest } from 'fastify';
import { restrictedTo } from './auth/caller.js';

/** Who asks, as far as what he asks for has to know. */
export interface Asking {
  /** The one whose resources he is restricted to: himself. */
  only?: string | undefined;
  /** The id of his request, if he gave it a name. */
  requestId?: string | undefined;
}

export const askingOf = ({ caller, named }: FastifyRequest): Asking => ({
  only: restrictedTo(caller),
  requestId: named?.requestId,
});

/** Options of an update that a named request sends: Temporal does once what has the same id. */
export const updateIdOf = ({ requestId }: Asking): { updateId?: string } =>
  requestId === undefined ? {} : { updateId: requestId };
