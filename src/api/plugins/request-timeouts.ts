import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { DRAIN_TIMEOUT_MS } from '../limits.js';
import { HttpProblem } from '../problems/http-problem.js';
import { sendProblem } from '../problems/send-problem.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Exempts the route from the request timeout, because an upload can take hours. The route enforces a minimum speed
     * instead.
     */
    isUpload?: true;
  }
}

/** Limits the time until a request is received completely, and drains requests that were answered early. */
export const requestTimeoutsPlugin = fp(
  async (app: FastifyInstance, { limitMs }: { limitMs: number }) => {
    app.addHook('onRequest', async (request, reply) => {
      if (!request.routeOptions.config.isUpload) enforceRequestTimeout(request, reply, limitMs);
    });
    app.addHook('onResponse', async (request) => drainRequestBody(request));
  },
  { name: 'request-timeouts' },
);

/** Responds with 408 to a request that is not received completely within `limitMs`, and closes its connection. */
function enforceRequestTimeout(request: FastifyRequest, reply: FastifyReply, limitMs: number): void {
  const { raw } = request;
  if (raw.complete) return;
  const timer = setTimeout(() => {
    if (raw.complete || reply.sent) return;
    reply.raw.once('finish', () => raw.socket.destroySoon());
    const detail = `the request was not received completely within ${limitMs / 1000} seconds`;
    void sendProblem(new HttpProblem('request-timeout', { detail, headers: { connection: 'close' } }), request, reply);
  }, limitMs);
  for (const event of ['end', 'close'] as const) raw.once(event, () => clearTimeout(timer));
}

/**
 * Reads and discards the rest of a request that was answered early. A client that is still sending does not read the
 * response. After `DRAIN_TIMEOUT_MS`, closes the connection.
 */
function drainRequestBody({ raw }: FastifyRequest): void {
  if (raw.complete || raw.destroyed) return;
  const timer = setTimeout(() => raw.destroy(), DRAIN_TIMEOUT_MS).unref();
  for (const event of ['end', 'close'] as const) raw.once(event, () => clearTimeout(timer));
  raw.resume();
}
