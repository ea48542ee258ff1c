import { isGrpcServiceError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchemaCompiler,
  HTTPMethods,
} from 'fastify';
import pg from 'pg';
import type { z } from 'zod';
import type { Problem } from '../../schemas/shared/problem.js';
import { toInputProblems, type InputProblem } from '../../schemas/shared/input-problems.js';
import { MAX_BODY_BYTES, DRAIN_TIMEOUT_MS } from './limits.js';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from './problem-kinds.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The resource that the request creates, if the API generated its id. */
    newResource?: { path: string; idField: string; id: string };
  }
}

interface ProblemOptions {
  detail?: string;
  /** Members of the problem beyond the standard ones. */
  extensions?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** An error that a client may see. Any other error becomes a 500 without details. */
export class HttpProblem extends Error {
  readonly kind: ProblemKind;
  readonly options: ProblemOptions;

  constructor(kind: ProblemKind, options: ProblemOptions = {}) {
    super(options.detail ?? definitionOf(kind).title);
    this.kind = kind;
    this.options = options;
  }

  get status(): number {
    return definitionOf(this.kind).status;
  }

  get headers(): Record<string, string> {
    const { retryAfter } = definitionOf(this.kind);
    return { ...(retryAfter && { 'retry-after': String(retryAfter) }), ...this.options.headers };
  }
}

const createProblemFactory = (kind: ProblemKind) => (detail: string) => new HttpProblem(kind, { detail });

export const invalidRequest = (errors: InputProblem[]) =>
  new HttpProblem('invalid-request', {
    detail: errors.map(({ pointer, detail }) => `${pointer} ${detail}`.trim()).join('; '),
    extensions: { errors },
  });

/** Parses requests with zod. The problem names each invalid field by its JSON pointer. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    const parsed = schema.safeParse(data);
    return parsed.success ? { value: parsed.data } : { error: invalidRequest(toInputProblems(parsed.error.issues)) };
  };

export const malformedRequest = createProblemFactory('malformed-request');
export const forbidden = createProblemFactory('forbidden');
export const notFound = createProblemFactory('not-found');
export const notAcceptable = createProblemFactory('not-acceptable');
export const tooLarge = createProblemFactory('too-large');
export const unauthorized = (detail: string) =>
  new HttpProblem('unauthorized', { detail, headers: { 'www-authenticate': 'Bearer realm="api"' } });

/** A 415 that lists what the route accepts: content types and content encodings. */
export function unsupportedMediaType({ routeOptions: { config } }: FastifyRequest): HttpProblem {
  const { rawBodies, acceptsGzip } = config.contract ?? {};
  const types = Object.keys(rawBodies ?? { 'application/json': true }).join(', ');
  const coding = acceptsGzip ? 'uncompressed or with Content-Encoding: gzip' : 'uncompressed';
  return new HttpProblem('unsupported-media-type', {
    detail: `send ${types}, ${coding}`,
    headers: { accept: types, 'accept-encoding': acceptsGzip ? 'gzip, identity' : 'identity' },
  });
}

/** A problem of any kind; `extensions` describe the resource. */
export const httpProblem = (kind: ProblemKind, detail: string, extensions: Record<string, unknown> = {}) =>
  new HttpProblem(kind, { detail, extensions });

export const bodyTooLarge = (maxBytes: number) => tooLarge(`the body has more than ${maxBytes} bytes`);

/** gRPC status codes that mean that the server is unavailable or overloaded, not that the request was wrong. */
const UNAVAILABLE_GRPC_CODES = new Set([
  1 /* CANCELLED */, 4 /* DEADLINE_EXCEEDED */, 8 /* RESOURCE_EXHAUSTED */, 14 /* UNAVAILABLE */,
]);
const INVALID_ARGUMENT = 3;

/**
 * SQLSTATE classes of PostgreSQL: connection (08), resources (53) and operator intervention, such as a restart (57).
 */
const UNAVAILABLE_SQLSTATES = /^(08|53|57)/;
/** SQLSTATE `disk_full` and `read_only_sql_transaction`. */
const NOT_WRITABLE_SQLSTATES = new Set(['53100', '25006']);

const HTTP_METHODS: HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Installs the handlers that turn every error into an `application/problem+json` response. */
export function installErrorHandling(app: FastifyInstance): void {
  app.setErrorHandler(sendError);
  const nothingThere = ({ url }: FastifyRequest) => {
    const allowed = allowedMethods(app, url);
    return allowed.length
      ? new HttpProblem('method-not-allowed', { headers: { allow: allowed.join(', ') } })
      : notFound('no route has this path');
  };
  app.setNotFoundHandler((request, reply) => sendProblem(nothingThere(request), request, reply));
  // Rejects an unsupported method before the body is read, so that the client gets 405 and no error about the body.
  app.addHook('preParsing', async (request) => {
    const problem = request.is404 ? nothingThere(request) : undefined;
    if (problem?.kind === 'method-not-allowed') throw problem;
  });
}

/** The methods that a path supports; none when there is no such path. */
export function allowedMethods(app: FastifyInstance, url: string): HTTPMethods[] {
  const [path = ''] = url.split('?');
  return HTTP_METHODS.filter((method) => app.findRoute({ method, url: path }) !== null);
}

/** Sends an error as a problem. Logs every 5xx; an unexpected error becomes a 500 without details. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const isMediaType = (error as FastifyError | undefined)?.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE';
  const problem = isMediaType ? unsupportedMediaType(request) : withResourceId(toProblem(error), request);
  if (problem.status >= 500) request.log.error({ err: error }, 'request failed');
  return sendProblem(problem, request, reply);
}

/**
 * Adds the id of the new resource to a 5xx, because the request may have created it. The API generated the id, so the
 * caller can learn only from this problem what to read or which id to repeat.
 */
function withResourceId(problem: HttpProblem, { newResource }: FastifyRequest): HttpProblem {
  if (problem.status < 500 || !newResource) return problem;
  const { path, idField, id } = newResource;
  const { detail = problem.message, extensions, ...options } = problem.options;
  return new HttpProblem(problem.kind, {
    ...options,
    detail: `${detail}; the resource may exist: look at ${path}/${id}, or send the request again with ${idField} ${id}`,
    extensions: { ...extensions, [idField]: id },
  });
}

/** Responds 408 to a request that is not received completely in time, and closes its connection. */
export function enforceRequestTimeout(request: FastifyRequest, reply: FastifyReply, limitMs: number): void {
  const { raw } = request;
  if (raw.complete) return;
  const timer = setTimeout(() => {
    if (raw.complete || reply.sent) return;
    reply.raw.once('finish', () => raw.socket.destroySoon());
    const detail = `it was not received whole within ${limitMs / 1000} seconds`;
    void sendProblem(new HttpProblem('request-timeout', { detail, headers: { connection: 'close' } }), request, reply);
  }, limitMs);
  for (const event of ['end', 'close'] as const) raw.once(event, () => clearTimeout(timer));
}

/**
 * Reads and discards the rest of a request that was answered early, because a client that is still sending does not
 * read the response. After `DISCARD_MS`, the connection is closed.
 */
export function drainRequestBody({ raw }: FastifyRequest): void {
  if (raw.complete || raw.destroyed) return;
  const timer = setTimeout(() => raw.destroy(), DRAIN_TIMEOUT_MS).unref();
  for (const event of ['end', 'close'] as const) raw.once(event, () => clearTimeout(timer));
  raw.resume();
}

function sendProblem(problem: HttpProblem, request: FastifyRequest, reply: FastifyReply) {
  return reply
    .code(problem.status)
    .headers({ 'x-request-id': request.id, ...problem.headers })
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(toProblemBody(problem, request.id));
}

/** The body of a problem, as RFC 9457 defines it. */
export function toProblemBody({ kind, status, options }: HttpProblem, requestId: string): Problem {
  return {
    type: `/problems/${kind}`,
    title: definitionOf(kind).title,
    status,
    ...(options.detail && { detail: options.detail }),
    requestId,
    ...options.extensions,
  };
}

/** Maps an error to the problem that a client gets. */
export function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof WorkflowNotFoundError) return notFound('it does not exist, or its history is no longer kept');
  return temporalProblem(error) ?? storeProblem(error) ?? fastifyProblem(error) ?? internalError();
}

/** Maps a failed call to Temporal to a problem; undefined for other errors. */
function temporalProblem(error: unknown): HttpProblem | undefined {
  const grpc = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(grpc)) return undefined;
  const code = grpc.code as number;
  if (UNAVAILABLE_GRPC_CODES.has(code)) return httpProblem('temporal-unavailable', 'Temporal does not answer');
  if (code === INVALID_ARGUMENT) return invalidRequest([{ pointer: '', detail: 'Temporal refused an argument' }]);
  return undefined;
}

function storeProblem(error: unknown): HttpProblem | undefined {
  const away = () => httpProblem('store-unavailable', 'the database does not answer');
  if (error instanceof pg.DatabaseError) {
    if (NOT_WRITABLE_SQLSTATES.has(error.code ?? ''))
      return httpProblem('store-unavailable', 'the database cannot be written to');
    if (UNAVAILABLE_SQLSTATES.test(error.code ?? '')) return away();
    if (error.code?.startsWith('22')) return invalidRequest([{ pointer: '', detail: 'a value cannot be stored' }]);
    return undefined;
  }
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  const lost =
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(code ?? '') ||
    /connection (timeout|terminated)|timeout exceeded when trying to connect/i.test(message);
  return lost ? away() : undefined;
}

/** Maps Fastify's own rejections to problems: malformed JSON, wrong content type, body too large, and so on. */
function fastifyProblem(error: unknown): HttpProblem | undefined {
  const { statusCode, code, message } = (error ?? {}) as FastifyError;
  if (code === 'FST_ERR_HANDLER_TIMEOUT') return httpProblem('overloaded', 'no answer was found in time');
  if (!statusCode || statusCode < 400 || statusCode >= 500) return undefined;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return bodyTooLarge(MAX_BODY_BYTES);
  const kind = PROBLEM_KINDS.find((kind) => definitionOf(kind).status === statusCode) ?? 'malformed-request';
  return new HttpProblem(kind, code?.startsWith('FST_') ? { detail: message } : {});
}

const internalError = () => new HttpProblem('internal-error');
