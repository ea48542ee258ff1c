import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify';
import fp from 'fastify-plugin';
import { HttpProblem, notFound } from '../problems/http-problem.js';
import { sendError, sendProblem } from '../problems/send-problem.js';

const HTTP_METHODS: HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Turns every error, also a missing route or method, into an `application/problem+json` response. */
export const errorHandlerPlugin = fp(
  async (app: FastifyInstance) => {
    app.setErrorHandler(sendError);
    const noRouteProblem = ({ url }: FastifyRequest) => {
      const allowed = allowedMethods(app, url);
      return allowed.length
        ? new HttpProblem('method-not-allowed', { headers: { allow: allowed.join(', ') } })
        : notFound('no route has this path');
    };
    app.setNotFoundHandler((request, reply) => sendProblem(noRouteProblem(request), request, reply));
    // Rejects an unsupported method before the body is read. Otherwise the client could get an error about the body
    // instead of the 405.
    app.addHook('preParsing', async (request) => {
      const problem = request.is404 ? noRouteProblem(request) : undefined;
      if (problem?.kind === 'method-not-allowed') throw problem;
    });
  },
  { name: 'error-handler' },
);

/** Returns the methods that a path supports; empty if no route has this path. */
export function allowedMethods(app: FastifyInstance, url: string): HTTPMethods[] {
  const [path = ''] = url.split('?');
  return HTTP_METHODS.filter((method) => app.findRoute({ method, url: path }) !== null);
}
