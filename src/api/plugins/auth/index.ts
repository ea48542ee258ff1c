import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { ApiKey } from '../../../schemas/api-key.js';
import { ANONYMOUS, VISITOR, type Caller } from '../../http/caller.js';
import { assertLocalRequest } from '../../http/request-origin.js';
import { requiredRoles } from '../../http/route-contract.js';
import { forbidden, unauthorized } from '../../problems/http-problem.js';
import { createApiKeyLookup } from './api-keys.js';
import type { OidcSettings } from './identity-provider.js';
import type { Sessions } from './sessions.js';
import { createTokenVerifier, type TokenSettings } from './tokens.js';

export interface AuthSettings {
  apiKeys: readonly ApiKey[];
  tokens?: TokenSettings | undefined;
  /** The client of the token issuer for the sign-in to the console. Requires `tokens`. */
  oidc?: OidcSettings | undefined;
}

interface AuthPluginOptions {
  /** With `open`, callers are not authenticated and have all permissions. */
  settings: AuthSettings | 'open';
  /** Undefined without authentication. */
  sessions: Sessions | undefined;
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
    /**
     * The sender of the request. Without authentication, `ANONYMOUS`. Otherwise, `VISITOR` on routes without roles and
     * until the caller is authenticated.
     */
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
      request.caller = settings === 'open' ? ANONYMOUS : VISITOR;
      if (settings === 'open') assertLocalRequest(request);
    });
    if (settings === 'open') return;

    const authenticate = createAuthenticator(settings);
    app.decorateRequest('authenticate', authenticate);
    app.addHook('onRequest', async (request) => {
      const { contract } = request.routeOptions.config;
      if (contract?.access === 'page') request.caller = (await sessions?.read(request)) ?? VISITOR;
      if (!requiredRoles(contract)) return;
      try {
        const { acceptsSession: use } = contract!;
        const sessionCaller =
          use && !hasCredentials(request.headers) ? await sessions?.authorize(request, use) : undefined;
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

/** Ignores other schemes of `Authorization`, because browsers also send the password of a proxy in this header. */
const hasCredentials = ({ authorization = '', 'x-api-key': key }: Credentials): boolean =>
  key !== undefined || /^Bearer /i.test(authorization);

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
