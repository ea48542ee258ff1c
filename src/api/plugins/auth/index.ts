import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { isLoopback } from '../../../http-client/addresses.js';
import type { ApiKey } from '../../../schemas/api-key.js';
import { requiredRoles } from '../../http/route-contract.js';
import { forbidden, unauthorized } from '../../problems/http-problem.js';
import { createApiKeyLookup } from './api-keys.js';
import { ANONYMOUS, type Caller } from '../../http/caller.js';
import type { CodecSessions } from './sessions.js';
import { createTokenVerifier, type TokenSettings } from './tokens.js';

export interface AuthSettings {
  apiKeys: readonly ApiKey[];
  tokens?: TokenSettings | undefined;
}

interface AuthPluginOptions {
  /** With `open`, callers are not authenticated and have all permissions. */
  settings: AuthSettings | 'open';
  sessions?: CodecSessions | undefined;
}

/** The headers that carry credentials. */
interface Credentials {
  authorization?: string | undefined;
  'x-api-key'?: string | string[] | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Returns the caller whom the credentials identify. @throws 401. */
    authenticate: (credentials: Credentials) => Promise<Caller>;
    /** The sender of the request. `ANONYMOUS` on routes without roles, and if the API runs without authentication. */
    caller: Caller;
    /** The error of a failed authentication; undefined after a successful authentication. */
    authenticationError: unknown;
  }
}

/**
 * Authenticates callers, and denies access to callers without a required role. Throws `authenticationError` only after
 * all `onRequest` hooks have run, because the rate limit also counts requests of unknown callers.
 */
export const authPlugin = fp(
  async (app: FastifyInstance, { settings, sessions }: AuthPluginOptions) => {
    app.decorateRequest('caller');
    app.decorateRequest('authenticationError');
    app.addHook('onRequest', async (request) => {
      request.caller = ANONYMOUS;
      if (settings === 'open') assertLocalRequest(request);
    });
    if (settings === 'open') return;

    const authenticate = createAuthenticator(settings);
    app.decorateRequest('authenticate', authenticate);
    app.addHook('onRequest', async (request) => {
      const { contract } = request.routeOptions.config;
      if (!requiredRoles(contract)) return;
      try {
        const hasKey = request.headers.authorization !== undefined || request.headers['x-api-key'] !== undefined;
        const sessionCaller = contract?.acceptsSession && !hasKey ? await sessions?.authorize(request) : undefined;
        request.caller = sessionCaller ?? (await authenticate(request.headers));
      } catch (error) {
        request.authenticationError = error;
      }
    });
    app.addHook('preParsing', async ({ caller, authenticationError, routeOptions }) => {
      const roles = requiredRoles(routeOptions.config.contract);
      if (!roles) return;
      if (authenticationError) throw authenticationError as Error;
      if (!caller.roles.some((role) => roles.includes(role))) {
        const actual = caller.roles.length ? `has the roles ${caller.roles.join(', ')}` : 'has no role';
        throw forbidden(`requires the role ${roles.join(' or ')}; ${caller.id} ${actual}`);
      }
    });
  },
  { name: 'auth' },
);

/**
 * Creates a function that identifies the caller by `X-API-Key` or by a bearer token. A bearer token is an API key or a
 * JWT. @throws 401.
 */
function createAuthenticator({ apiKeys, tokens }: AuthSettings): FastifyRequest['authenticate'] {
  const findKey = createApiKeyLookup(apiKeys);
  const verifyToken = tokens && createTokenVerifier(tokens);
  return async (headers) => {
    const [, token] = /^Bearer +([^\s]+)$/i.exec(headers.authorization ?? '') ?? [];
    const key = headers['x-api-key'];
    if (key !== undefined && headers.authorization !== undefined) {
      throw unauthorized('the request has both X-API-Key and Authorization: send one of them');
    }
    if (token !== undefined && verifyToken && token.split('.').length === 3) return await verifyToken(token);
    const presented = typeof key === 'string' ? key : token;
    if (presented === undefined)
      throw unauthorized('no credentials: send an API key as X-API-Key, or a token as Authorization: Bearer');
    const caller = findKey(presented);
    if (!caller) throw unauthorized('invalid API key');
    return caller;
  };
}

/** Whether a `Host` header names this machine. */
export const isLocalHostHeader = (host: string) => isLoopback(host.replace(/:\d+$/, ''));

const isLocalOrigin = (origin: string) => URL.canParse(origin) && isLoopback(new URL(origin).hostname);

/**
 * Denies requests of foreign web pages. An API without authentication listens only on loopback. Without this check, a
 * web page in a local browser could still call the API by its address or through DNS rebinding.
 *
 * @throws 403.
 */
function assertLocalRequest({ headers: { host, origin }, routeOptions }: FastifyRequest): void {
  // Routes of approval links accept any origin. The approval page has the referrer policy `no-referrer`, so browsers
  // send its form with `Origin: null`.
  const isForeign = origin !== undefined && routeOptions.config.contract?.access !== 'link' && !isLocalOrigin(origin);
  if (isForeign || (host !== undefined && !isLocalHostHeader(host))) {
    throw forbidden('without API_KEYS or JWT_ISSUER, this API accepts only requests to localhost');
  }
}
