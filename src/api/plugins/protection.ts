import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { requiredRoles } from '../http/route-contract.js';
import { httpProblem, HttpProblem } from '../problems/http-problem.js';
import { allowedMethods } from './error-handler.js';

export interface ProtectionSettings {
  /**
   * Maximum number of requests that one caller may send to this process in a minute. If undefined, there is no limit.
   */
  requestsPerMinute?: number | undefined;
  /** Exact origins of web pages that may call the API from a browser. */
  corsOrigins: readonly string[];
  /** Exact origins of web pages that may call the codec with cookies. They may call no other routes. */
  codecOrigins: readonly string[];
  /** The `max-age` of Strict-Transport-Security, in seconds; 0 omits the header. */
  hstsMaxAgeSeconds: number;
  /** Event loop delay above which requests are rejected. */
  maxEventLoopDelayMs: number;
}

const MINUTE_MS = 60_000;

/** Maximum number of callers that the rate limit tracks. */
const MAX_RATE_LIMITED_CALLERS = 10_000;

/**
 * Routes that respond even when the process is overloaded. Otherwise a health check would report an overloaded process
 * as dead.
 */
const HEALTH_PATHS = new Set(['/livez', '/readyz']);

/**
 * Path of the codec. On this path, CORS allows only `codecOrigins`, because pages of these origins may send cookies.
 */
export const CODEC_PATH = '/codec';

const EXPOSED_HEADERS = [
  'location',
  'retry-after',
  'x-request-id',
  'idempotent-replayed',
  'www-authenticate',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
];

/** Adds security headers, CORS, overload protection and rate limits, which apply before a route does any work. */
export const protectionPlugin = fp(
  async (app: FastifyInstance, settings: ProtectionSettings) => {
    await app.register(helmet, {
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
      },
      strictTransportSecurity: settings.hstsMaxAgeSeconds > 0 && { maxAge: settings.hstsMaxAgeSeconds },
    });
    if (settings.corsOrigins.length || settings.codecOrigins.length) {
      // With `strictPreflight`, the library would answer an OPTIONS request that is not a preflight with a plain text 400
      // instead of a problem.
      const always = { exposedHeaders: EXPOSED_HEADERS, maxAge: 600, strictPreflight: false };
      const ofApi = { ...always, origin: [...settings.corsOrigins], methods: ['GET', 'POST', 'PATCH', 'DELETE'] };
      const ofCodec = {
        ...always,
        origin: [...settings.codecOrigins],
        methods: ['POST'],
        credentials: true,
        allowedHeaders: ['authorization', 'authorization-extras', 'content-type', 'x-api-key', 'x-namespace'],
      };
      await app.register(cors, {
        delegator(request, done) {
          const rules = request.url.startsWith(CODEC_PATH) ? ofCodec : ofApi;
          // Without `preflight: false`, the library would answer a preflight even for a path that does not exist.
          done(null, { ...rules, preflight: allowedMethods(app, request.url).length > 0 });
        },
      });
    }
    await app.register(underPressure, {
      maxEventLoopDelay: settings.maxEventLoopDelayMs,
      pressureHandler: (request) => {
        if (HEALTH_PATHS.has(request.routeOptions.url ?? '')) return;
        throw httpProblem('overloaded', 'server overloaded');
      },
    });
    if (settings.requestsPerMinute !== undefined) {
      await app.register(rateLimit, {
        max: settings.requestsPerMinute,
        timeWindow: MINUTE_MS,
        cache: MAX_RATE_LIMITED_CALLERS,
        enableDraftSpec: true,
        // Counts requests without an authenticated caller by IP address. Requests with an invalid key are therefore
        // limited too.
        keyGenerator: ({ caller, authenticationError, routeOptions, ip }) =>
          authenticationError || !requiredRoles(routeOptions.config.contract) ? `ip ${ip}` : `caller ${caller.id}`,
        allowList: ({ routeOptions: { url = '', config } }) =>
          HEALTH_PATHS.has(url) || config.contract?.access === 'signed',
        errorResponseBuilder: (_request, { ttl, max }) =>
          new HttpProblem('too-many-requests', {
            detail: `the limit is ${max} requests per minute`,
            headers: { 'retry-after': String(Math.ceil(ttl / 1000)) },
          }),
      });
    }
  },
  { name: 'protection' },
);
