import { isGrpcServiceError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaCompiler } from 'fastify';
import pg from 'pg';
import type { z } from 'zod';
import type { Problem } from '../schemas/problem.js';
import { problemsOf, type InputProblem } from '../schemas/problems-of.js';

/** How long a client is asked to wait before it tries again. */
const RETRY_AFTER_SECONDS = 5;

interface ProblemOptions {
  detail?: string;
  /** Members that the problem has beside the standard ones. */
  extensions?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** An error that a client may see. Whatever else is thrown becomes a 500 that tells nothing. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly kind: string;
  readonly title: string;
  readonly options: ProblemOptions;

  constructor(status: number, kind: string, title: string, options: ProblemOptions = {}) {
    super(options.detail ?? title);
    this.status = status;
    this.kind = kind;
    this.title = title;
    this.options = options;
  }
}

export const invalidRequest = (errors: InputProblem[]) =>
  new HttpProblem(400, 'invalid-request', 'The request is not valid', {
    detail: errors.map(({ pointer, detail }) => `${pointer} ${detail}`.trim()).join('; '),
    extensions: { errors },
  });

/** Parses requests with zod; the problem names each wrong field by its JSON pointer. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    const parsed = schema.safeParse(data);
    return parsed.success ? { value: parsed.data } : { error: invalidRequest(problemsOf(parsed.error.issues)) };
  };

export const unauthorized = (detail: string) =>
  new HttpProblem(401, 'unauthorized', 'The caller could not be verified', { detail });

export const forbidden = (type: string, detail: string) =>
  new HttpProblem(403, kindOf(type), 'The caller may not do this', { detail });

export const notFound = (detail: string) => new HttpProblem(404, 'not-found', 'There is no such resource', { detail });

/** Kind and title of what is wrong with a request before anybody has looked at what it asks. */
const REFUSALS = {
  400: ['malformed-request', 'The request could not be read'],
  413: ['too-large', 'The request is too large'],
  414: ['path-too-long', 'A part of the path is too long'],
  415: ['unsupported-media-type', 'The content type is not supported'],
  429: ['too-many-requests', 'There were too many requests'],
} as const;

function refusedRequest(status: keyof typeof REFUSALS, detail: string): HttpProblem {
  const [kind, title] = REFUSALS[status];
  return new HttpProblem(status, kind, title, { detail });
}

export const malformedRequest = (detail: string) => refusedRequest(400, detail);

export const notAcceptable = (detail: string) =>
  new HttpProblem(406, 'not-acceptable', 'The resource has no such representation', { detail });

const timedOut = (detail: string) =>
  new HttpProblem(408, 'request-timeout', 'The request took too long', { detail, headers: { connection: 'close' } });

export const conflict = (kind: string, detail: string, extensions: Record<string, unknown> = {}) =>
  new HttpProblem(409, kind, 'The request conflicts with the state of the resource', { detail, extensions });

export const gone = (detail: string, extensions: Record<string, unknown>) =>
  new HttpProblem(410, 'gone', 'The resource is no longer there', { detail, extensions });

export const tooLarge = (detail: string) => refusedRequest(413, detail);

export const unsupportedMediaType = (detail: string) => refusedRequest(415, detail);

/** A business rule said no. `type` is its name: `OutOfStock` becomes the kind `out-of-stock`. */
export const refusedByRule = (type: string, detail: string) =>
  new HttpProblem(422, kindOf(type), 'A business rule refuses the request', { detail });

/** The name of a failure as a problem's kind. */
export const kindOf = (type: string): string => type.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();

export const unavailable = (kind: string, detail: string, extensions: Record<string, unknown> = {}) =>
  new HttpProblem(503, kind, 'A part of the service is away', {
    detail,
    extensions,
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  });

/** gRPC status codes that say that the server is away or overloaded, not that the request was wrong. */
const AWAY = new Set([1 /* CANCELLED */, 4 /* DEADLINE_EXCEEDED */, 8 /* RESOURCE_EXHAUSTED */, 14 /* UNAVAILABLE */]);
const INVALID_ARGUMENT = 3;

/** PostgreSQL's SQLSTATE classes: connection, resources, operator intervention (a restart). */
const STORE_AWAY = /^(08|53|57)/;

/** Installs the one place where errors become answers: always `application/problem+json`. */
export function installErrorHandling(app: FastifyInstance): void {
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => {
    const allowed = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) =>
      app.findRoute({ method, url: request.url.split('?')[0]! }),
    );
    return send(
      allowed.length
        ? new HttpProblem(405, 'method-not-allowed', 'The resource does not have this method', {
            headers: { allow: allowed.join(', ') },
          })
        : notFound('no route has this path'),
      request,
      reply,
    );
  });
}

/** Answers an error as a problem. What is our own fault is logged, and tells nothing. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  if (problem.status >= 500) request.log.error({ err: error }, 'request failed');
  return send(problem, request, reply);
}

/** Answers 408 to a request that is not received whole in time, and ends its connection. */
export function cutWhenLate(request: FastifyRequest, reply: FastifyReply, limitMs: number): void {
  const { raw } = request;
  if (raw.complete) return;
  const timer = setTimeout(() => {
    if (raw.complete || reply.sent) return;
    reply.raw.once('finish', () => raw.socket.destroySoon());
    void send(timedOut(`it was not received whole within ${limitMs / 1000} seconds`), request, reply);
  }, limitMs);
  for (const event of ['end', 'close'] as const) raw.once(event, () => clearTimeout(timer));
}

function send({ status, kind, title, options }: HttpProblem, request: FastifyRequest, reply: FastifyReply) {
  const body: Problem = {
    type: `/problems/${kind}`,
    title,
    status,
    ...(options.detail && { detail: options.detail }),
    requestId: request.id,
    ...options.extensions,
  };
  return reply
    .code(status)
    .headers({ 'x-request-id': request.id, ...options.headers })
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(body);
}

/** What an error means for a client. */
export function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof WorkflowNotFoundError) return notFound('it does not exist, or its history is no longer kept');
  return temporalProblem(error) ?? storeProblem(error) ?? httpProblem(error) ?? internalError();
}

/** What a failed call to Temporal means for an HTTP client. */
function temporalProblem(error: unknown): HttpProblem | undefined {
  const grpc = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(grpc)) return undefined;
  const code = grpc.code as number;
  if (AWAY.has(code)) return unavailable('temporal-unavailable', 'Temporal does not answer');
  if (code === INVALID_ARGUMENT) return invalidRequest([{ pointer: '', detail: 'Temporal refused an argument' }]);
  return undefined;
}

function storeProblem(error: unknown): HttpProblem | undefined {
  const away = () => unavailable('store-unavailable', 'the database does not answer');
  if (error instanceof pg.DatabaseError) {
    if (STORE_AWAY.test(error.code ?? '')) return away();
    if (error.code?.startsWith('22')) return invalidRequest([{ pointer: '', detail: 'a value cannot be stored' }]);
    return undefined;
  }
  const { code, message } = error as NodeJS.ErrnoException;
  const lost =
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(code ?? '') ||
    /connection (timeout|terminated)|timeout exceeded when trying to connect/i.test(message);
  return lost ? away() : undefined;
}

/** Fastify's own refusals: malformed JSON, wrong content type, body too large, and so on. */
function httpProblem(error: unknown): HttpProblem | undefined {
  const { statusCode, code, message } = error as FastifyError;
  if (!statusCode || statusCode < 400 || statusCode >= 500) return undefined;
  const [kind, title] = (REFUSALS as Record<number, readonly [string, string]>)[statusCode] ?? [
    'request-refused',
    'The request was refused',
  ];
  return new HttpProblem(statusCode, kind, title, { detail: code?.startsWith('FST_') ? message : title });
}

const internalError = () => new HttpProblem(500, 'internal-error', 'Something went wrong on our side');
