import { createHmac } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { CALLER_ROLES, type ApiKey } from '../../../schemas/api-key.js';
import { callerId } from '../../../schemas/shared/primitives.js';
import { forbidden } from '../../problems/http-problem.js';
import type { Caller } from '../../http/caller.js';

const COOKIE_NAME = 'codec-session';
const AUDIENCE = 'codec-session';
const ALGORITHM = 'HS256';

/** Maximum length of a session. A caller who loses the inspector role can keep access for this time. */
export const SESSION_SECONDS = 60 * 60;

const sessionClaims = z.object({ sub: callerId, roles: z.array(z.enum(CALLER_ROLES)) });

/** Browser sessions of the codec. The Web UI can send cookies to a codec, but no API key. */
export interface CodecSessions {
  /**
   * The `Set-Cookie` header that starts a session. The session ends with the caller's token if the token expires
   * earlier.
   */
  create: (caller: Caller, isSecure: boolean) => Promise<string>;
  /** The `Set-Cookie` header that ends a session. */
  clear: () => string;
  /** Returns the caller of the session cookie. Does not check which page sent the request. */
  read: (request: FastifyRequest) => Promise<Caller | undefined>;
  /** Like `read`, but only for pages that may use a session. @throws 403 for any other page. */
  authorize: (request: FastifyRequest) => Promise<Caller | undefined>;
}

/**
 * Creates the sessions. A session is stored only in its signed cookie. The signing key depends on the API keys, so a
 * change of `API_KEYS` ends all sessions.
 *
 * @param secrets the first secret signs new sessions. Sessions that are signed with any of the secrets are accepted.
 * @param origins the origins of pages that may use a session. Browsers do not send the cookie from other sites, but
 * they do send the cookie from every page of the same site. `authorize` therefore checks the origin.
 */
export function createCodecSessions(
  secrets: readonly string[],
  apiKeys: readonly ApiKey[],
  origins: readonly string[],
): CodecSessions {
  const keys = secrets.map((secret) =>
    createHmac('sha256', secret)
      .update(`${AUDIENCE} ${JSON.stringify(apiKeys)}`)
      .digest(),
  );

  async function read({ headers }: FastifyRequest): Promise<Caller | undefined> {
    const token = new RegExp(`(?:^|; *)${COOKIE_NAME}=([\\w.-]+)`).exec(headers.cookie ?? '')?.[1];
    if (token === undefined) return undefined;
    for (const key of keys) {
      const verified = await jwtVerify(token, key, { audience: AUDIENCE, algorithms: [ALGORITHM] }).catch(
        () => undefined,
      );
      const parsed = sessionClaims.safeParse(verified?.payload);
      if (parsed.success) return { id: parsed.data.sub, roles: parsed.data.roles };
    }
    return undefined;
  }

  return {
    read,
    async authorize(request) {
      const caller = await read(request);
      const { origin } = request.headers;
      if (caller && !(origin !== undefined && origins.includes(origin)))
        throw forbidden('a session may be used only by pages of CODEC_ORIGINS');
      return caller;
    },
    async create({ id, roles, expiresAt = Infinity }, isSecure) {
      const now = Math.floor(Date.now() / 1_000);
      const end = Math.min(expiresAt, now + SESSION_SECONDS);
      const token = await new SignJWT({ roles })
        .setProtectedHeader({ alg: ALGORITHM })
        .setAudience(AUDIENCE)
        .setSubject(id)
        .setExpirationTime(end)
        .sign(keys[0]!);
      return formatSessionCookie(token, end - now, isSecure);
    },
    clear: () => formatSessionCookie('', 0, false),
  };
}

/**
 * The cookie has no `Path` attribute, so browsers use the directory of the page that sets the cookie. It is
 * `/codec`, or `<prefix>/codec` behind a proxy that adds a path prefix.
 */
const formatSessionCookie = (value: string, seconds: number, isSecure: boolean) =>
  [
    `${COOKIE_NAME}=${value}`,
    `Max-Age=${seconds}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(isSecure ? ['Secure'] : []),
  ].join('; ');
