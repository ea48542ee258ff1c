import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { toProblem } from './error-mapping.js';
import { HttpProblem, toProblemBody, unsupportedMediaType } from './http-problem.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The resource that the request creates, if the API generated its id. */
    newResource?: { path: string; idField: string; id: string };
  }
}

/** Sends an error as a problem. Logs every 5xx; an unexpected error becomes a 500 without details. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const isMediaType = (error as FastifyError | undefined)?.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE';
  const problem = isMediaType ? unsupportedMediaType(request) : withResourceId(toProblem(error), request);
  if (problem.status >= 500) request.log.error({ err: error }, 'request failed');
  return sendProblem(problem, request, reply);
}

/**
 * Adds the generated id of the new resource to a 5xx, because the request may have created the resource. With the id,
 * the caller can read the resource or repeat the request.
 */
function withResourceId(problem: HttpProblem, { newResource }: FastifyRequest): HttpProblem {
  if (problem.status < 500 || !newResource) return problem;
  const { path, idField, id } = newResource;
  const { detail = problem.message, extensions, ...options } = problem.options;
  return new HttpProblem(problem.kind, {
    ...options,
    detail: `${detail}; the resource may exist: read ${path}/${id}, or repeat the request with ${idField} ${id}`,
    extensions: { ...extensions, [idField]: id },
  });
}

/** Sends a problem as `application/problem+json`. Does not use the serializer of the route. */
export function sendProblem(problem: HttpProblem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply
    .code(problem.status)
    .headers({ 'x-request-id': request.id, ...problem.headers })
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(toProblemBody(problem, request.id));
}
