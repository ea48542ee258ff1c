import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CALLER_ROLES, type ApiKey } from '../../../schemas/api-key.js';
import { callerId } from '../../../schemas/shared/primitives.js';
import type { Caller } from '../../http/caller.js';
import { assertFromOwnPage } from '../../http/request-origin.js';
import type { RouteContract } from '../../http/route-contract.js';
import { forbidden } from '../../problems/http-problem.js';
import { hashOfKey } from './api-keys.js';
import { createSignedCookie, nowSeconds } from './signed-cookie.js';

const COOKIE_NAME = 'session';

/** Maximum length of a session. */
export const SESSION_SECONDS = 60 * 60;

/**
 * How many digits of the hash of an API key are in the cookie: 128 bits. Nobody can find a random key by a part of its
 * hash.
 */
const KEY_NAME_LENGTH = 32;

/** A session names the API key that started it, or has the caller of the token that started it. */
const sessionClaims = z.union([
  z.object({ exp: z.number(), key: z.string() }),
  z.object({ exp: z.number(), sub: callerId, roles: z.array(z.enum(CALLER_ROLES)), iss: z.string() }),
]);

/** Sessions of browsers, for the console and for the codec. A session is stored only in its signed cookie. */
export interface Sessions {
  /**
   * The `Set-Cookie` header that starts a session. `credential` is the API key or the token of the caller. The session
   * ends with the token if the token expires earlier.
   */
  create: (request: FastifyRequest, caller: Caller, credential: string) => Promise<string>;
  /** The `Set-Cookie` header that ends the session of a browser. */
  clear: (request: FastifyRequest) => string;
  /**
   * Returns the caller of the session cookie. `expiresAt` is the end of the session. Does not check which page sent the
   * request.
   */
  read: (request: FastifyRequest) => Promise<Caller | undefined>;
  /** Like `read`, but only for pages that may use a session for this kind of route. @throws 403 for any other page. */
  authorize: (
    request: FastifyRequest,
    use: NonNullable<RouteContract['acceptsSession']>,
  ) => Promise<Caller | undefined>;
}

interface SessionSettings {
  /** The first secret signs new sessions. Sessions that are signed with any of the secrets are accepted. */
  secrets: readonly string[];
  apiKeys: readonly ApiKey[];
  /** The issuer of accepted tokens. Sessions of tokens of another issuer have ended. */
  issuer?: string | undefined;
  /** The origins of pages that may call the codec with a session. */
  codecOrigins: readonly string[];
}

/**
 * Creates the sessions. Each request of a session of an API key gets the current owner and roles of this key. A key that
 * is not in `apiKeys` has no sessions.
 */
export function createSessions({ secrets, apiKeys, issuer, codecOrigins }: SessionSettings): Sessions {
  const cookie = createSignedCookie(COOKIE_NAME, secrets);
  const owners = new Map(
    apiKeys.flatMap(({ id, roles, hashes }) => hashes.map((hash) => [keyNameOf(hash), { id, roles }] as const)),
  );

  async function read(request: FastifyRequest): Promise<Caller | undefined> {
    const { success, data } = sessionClaims.safeParse(await cookie.read(request));
    if (!success) return undefined;
    if ('key' in data) {
      const owner = owners.get(data.key);
      return owner && { ...owner, expiresAt: data.exp };
    }
    return data.iss === issuer ? { id: data.sub, roles: data.roles, expiresAt: data.exp } : undefined;
  }

  return {
    read,
    clear: cookie.clear,
    async authorize(request, use) {
      const caller = await read(request);
      if (caller) assertMayUseSession(request, use, codecOrigins);
      return caller;
    },
    async create(request, { id, roles, expiresAt = Infinity }, credential) {
      const exp = Math.min(expiresAt, nowSeconds() + SESSION_SECONDS);
      const key = keyNameOf(hashOfKey(credential).toString('hex'));
      const claims = issuer === undefined || owners.has(key) ? { key } : { sub: id, roles, iss: issuer };
      return await cookie.create(request, { ...claims, exp });
    },
  };
}

const keyNameOf = (hash: string) => hash.slice(0, KEY_NAME_LENGTH);

/**
 * Browsers send the cookie with every request from the same site. Pages of the console may send forms, pages of
 * `codecOrigins` may call the codec, and other pages of the same site may do neither.
 */
function assertMayUseSession(
  request: FastifyRequest,
  use: NonNullable<RouteContract['acceptsSession']>,
  codecOrigins: readonly string[],
): void {
  const { method, headers } = request;
  if (use === 'codec') {
    if (headers.origin !== undefined && codecOrigins.includes(headers.origin)) return;
    throw forbidden('a session may be used only by pages of CODEC_ORIGINS');
  }
  if (method !== 'GET' && method !== 'HEAD') assertFromOwnPage(request);
}
