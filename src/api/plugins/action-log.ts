import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { RouteContract } from '../http/route-contract.js';

interface LoggedFields {
  /** The ids of the resources, for a path with a token. */
  params?: Record<string, string>;
  /** What the caller chose, for a route with several actions. */
  action?: string;
  dryRun?: true;
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

declare module 'fastify' {
  interface FastifyRequest {
    /** Fields that the route adds to the line of the action. No free text and no secrets. */
    loggedFields: LoggedFields | undefined;
    /** Overrides the contract, for a route that changes state only with some bodies. */
    changesState: boolean | undefined;
  }
}

/**
 * Logs one line for each request that may change state: who sent the request, what it was for, and its status. The line
 * contains no body and no token. `onSend` also runs when the caller has closed the connection; `onResponse` does not.
 */
export const actionLogPlugin = fp(
  async (app: FastifyInstance) => {
    app.decorateRequest('loggedFields');
    app.decorateRequest('changesState');
    app.addHook('onSend', async (request, reply) => {
      const { contract } = request.routeOptions.config;
      if (request.changesState ?? contract?.changesState ?? !SAFE_METHODS.has(request.method))
        logAction(request, reply, contract);
    });
  },
  { name: 'action-log' },
);

function logAction(request: FastifyRequest, reply: FastifyReply, contract: RouteContract | undefined): void {
  if (!contract) return;
  request.log.info(
    {
      ...senderFields(request, contract),
      // The path of a link contains its token.
      ...(contract.access !== 'link' && { params: request.params, location: reply.getHeader('location') }),
      ...request.loggedFields,
      status: reply.statusCode,
    },
    'action',
  );
}

const senderFields = ({ caller }: FastifyRequest, { operationId, tag, access }: RouteContract) => ({
  caller: access === 'signed' ? 'signed' : caller.id,
  operation: operationId,
  from: tag === 'Console' ? 'console' : 'api',
});

/** Returns the logger for the items of a bulk request. Its lines contain the caller and the operation. */
export function itemLogOf(request: FastifyRequest): FastifyBaseLogger {
  const { contract } = request.routeOptions.config;
  return contract ? request.log.child(senderFields(request, contract)) : request.log;
}
