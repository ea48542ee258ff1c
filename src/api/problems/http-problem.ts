import type { FastifyRequest } from 'fastify';
import type { InputProblem } from '../../schemas/shared/input-problems.js';
import type { Problem } from '../../schemas/shared/problem.js';
import { definitionOf, type ProblemKind } from './problem-kinds.js';

interface ProblemOptions {
  detail?: string;
  /** Members of the problem in addition to the standard members. */
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

/** Creates a problem of any kind. `extensions` are additional members that describe the resource. */
export const httpProblem = (kind: ProblemKind, detail: string, extensions: Record<string, unknown> = {}) =>
  new HttpProblem(kind, { detail, extensions });

/** Creates a 400 that lists each invalid field by its JSON pointer. The pointer `''` means the whole request. */
export const invalidRequest = (errors: InputProblem[]) =>
  new HttpProblem('invalid-request', {
    detail: errors.map(({ pointer, detail }) => `${pointer} ${detail}`.trim()).join('; '),
    extensions: { errors },
  });

const createProblemFactory = (kind: ProblemKind) => (detail: string) => new HttpProblem(kind, { detail });

export const malformedRequest = createProblemFactory('malformed-request');
export const forbidden = createProblemFactory('forbidden');
export const notFound = createProblemFactory('not-found');
export const notAcceptable = createProblemFactory('not-acceptable');
export const tooLarge = createProblemFactory('too-large');
export const bodyTooLarge = (maxBytes: number) => tooLarge(`the body has more than ${maxBytes} bytes`);
export const unauthorized = (detail: string) =>
  new HttpProblem('unauthorized', { detail, headers: { 'www-authenticate': 'Bearer realm="api"' } });

/** Creates a 415 that lists the content types and content encodings that the route accepts. */
export function unsupportedMediaType({ routeOptions: { config } }: FastifyRequest): HttpProblem {
  const { rawBodies, acceptsGzip } = config.contract ?? {};
  const types = Object.keys(rawBodies ?? { 'application/json': true }).join(', ');
  const encodings = acceptsGzip ? 'uncompressed or with Content-Encoding: gzip' : 'uncompressed';
  return new HttpProblem('unsupported-media-type', {
    detail: `send ${types}, ${encodings}`,
    headers: { accept: types, 'accept-encoding': acceptsGzip ? 'gzip, identity' : 'identity' },
  });
}
