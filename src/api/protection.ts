import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import { parse } from 'secure-json-parse';
import { rolesOf } from './contract.js';
import { httpProblem, HttpProblem, malformedRequest } from './errors.js';
import { MAX_JSON_DEPTH } from './limits.js';

export interface ProtectionSettings {
  /** Requests that one caller may send in a minute to this process; none are counted without it. */
  requestsPerMinute?: number | undefined;
  /** Web pages that may call the API from a browser, by their exact origin. */
  corsOrigins: readonly string[];
  /** Web pages that may ask the codec, with cookies, and nothing else. */
  codecOrigins: readonly string[];
  /** For how long browsers are told to come by https alone; 0 says nothing. */
  hstsMaxAgeSeconds: number;
  /** How long the event loop may be late before requests are turned away. */
  maxEventLoopDelayMs: number;
}

const MINUTE_MS = 60_000;

/** Callers that are remembered for counting. */
const MAX_COUNTED_CALLERS = 10_000;

/** Answers while the process is under pressure, so that nobody takes it for dead. */
const ALWAYS_ANSWERED = new Set(['/livez', '/readyz']);

/** Where the codec is. Its pages may do more there than any other, so no other list of pages counts. */
export const CODEC = '/codec';

const READABLE_HEADERS = [
  ...['location', 'retry-after', 'x-request-id', 'idempotent-replayed', 'www-authenticate'],
  ...['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
];

/** Turns requests away before they do any work: too many of them, from pages that may not, while there is no room. */
export async function installProtection(app: FastifyInstance, settings: ProtectionSettings): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
    },
    strictTransportSecurity: settings.hstsMaxAgeSeconds > 0 && { maxAge: settings.hstsMaxAgeSeconds },
  });
  if (settings.corsOrigins.length || settings.codecOrigins.length) {
    // Whatever else asks for OPTIONS gets the problem that any method gets that is not there.
    const always = { exposedHeaders: READABLE_HEADERS, maxAge: 600, strictPreflight: false };
    const ofApi = { ...always, origin: [...settings.corsOrigins], methods: ['GET', 'POST', 'PATCH', 'DELETE'] };
    const ofCodec = {
      ...{ ...always, origin: [...settings.codecOrigins], methods: ['POST'], credentials: true },
      allowedHeaders: ['authorization', 'authorization-extras', 'content-type', 'x-api-key', 'x-namespace'],
    };
    await app.register(cors, {
      delegator: (request, done) => done(null, request.url.startsWith(CODEC) ? ofCodec : ofApi),
    });
  }
  await app.register(underPressure, {
    maxEventLoopDelay: settings.maxEventLoopDelayMs,
    pressureHandler: (request) => {
      if (ALWAYS_ANSWERED.has(request.routeOptions.url ?? '')) return;
      throw httpProblem('overloaded', 'the process has more to do than it can');
    },
  });
  if (settings.requestsPerMinute !== undefined) {
    await app.register(rateLimit, {
      max: settings.requestsPerMinute,
      timeWindow: MINUTE_MS,
      cache: MAX_COUNTED_CALLERS,
      enableDraftSpec: true,
      // Whoever does not say who he is counts by his address, also his wrong keys.
      keyGenerator: ({ caller, callerProblem, routeOptions, ip }) =>
        callerProblem || !rolesOf(routeOptions.config.contract) ? `ip ${ip}` : `caller ${caller.id}`,
      allowList: ({ routeOptions: { url = '', config } }) =>
        ALWAYS_ANSWERED.has(url) || config.contract?.access === 'signed',
      errorResponseBuilder: (_request, { ttl, max }) =>
        new HttpProblem('too-many-requests', {
          detail: `${max} requests a minute are possible`,
          headers: { 'retry-after': String(Math.ceil(ttl / 1000)) },
        }),
    });
  }
}

/** JSON, parsed with limits. An empty body is none, whatever its content type says. */
export function installJsonParser(app: FastifyInstance): void {
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, bytes, done) => {
    try {
      done(null, parseJson(decodeUtf8(bytes as Buffer)));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** @throws 400 for what is no UTF-8. */
function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw malformedRequest('the body is not UTF-8');
  }
}

/** @throws 400 for what is no JSON, is nested too deeply or sets a prototype. */
function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  if (depthOf(text) > MAX_JSON_DEPTH) throw malformedRequest(`the body is nested deeper than ${MAX_JSON_DEPTH} levels`);
  try {
    return parse(text, { protoAction: 'error', constructorAction: 'error' }) as unknown;
  } catch {
    throw malformedRequest('the body is not valid JSON, or sets a prototype');
  }
}

/** How deep objects and lists lie within each other, without building them. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') inString = !inString;
    else if (inString) at += char === '\\' ? 1 : 0;
    else if (char === '[' || char === '{') deepest = Math.max(deepest, (depth += 1));
    else if (char === ']' || char === '}') depth -= 1;
  }
  return deepest;
}
