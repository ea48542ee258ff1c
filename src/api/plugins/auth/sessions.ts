import { createHmac } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { ROLES, type ApiKey } from '../../../schemas/api-key.js';
import { callerId } from '../../../schemas/text.js';
import { forbidden } from '../errors.js';
import type { Caller } from './caller.js';

const COOKIE = 'codec-session';
const AUDIENCE = 'codec-session';
const ALGORITHM = 'HS256';

/** At most: who may no longer be an inspector is one for no longer than that. */
export const SESSION_SECONDS = 60 * 60;

const claims = z.object({ sub: callerId, roles: z.array(z.enum(ROLES)) });

/** Who is signed in to the codec with a browser: the Web UI can send cookies along, and no key of its own. */
export interface CodecSessions {
  /** The `Set-Cookie` of a session. It ends with the caller's token, if he has one that ends earlier. */
  begin: (caller: Caller, isSecure: boolean) => Promise<string>;
  /** The `Set-Cookie` that ends it. */
  end: () => string;
  /** Whose session a request carries, whatever page sent it. */
  read: (request: FastifyRequest) => Promise<Caller | undefined>;
  /** The same, for a page that may use it. @throws 403 for any other page. */
  use: (request: FastifyRequest) => Promise<Caller | undefined>;
}

/**
 * Sessions are cookies that are signed, and kept nowhere else. The signature needs the list of keys as well: a change of
 * `API_KEYS` ends them all.
 *
 * @param secrets the first signs, all of them are accepted.
 * @param origins pages that may use a session. A page of another site does not even get the cookie sent; another page of
 * the same site would, and is refused.
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
    const token = new RegExp(`(?:^|; *)${COOKIE}=([\\w.-]+)`).exec(headers.cookie ?? '')?.[1];
    if (token === undefined) return undefined;
    for (const key of keys) {
      const verified = await jwtVerify(token, key, { audience: AUDIENCE, algorithms: [ALGORITHM] }).catch(
        () => undefined,
      );
      const parsed = claims.safeParse(verified?.payload);
      if (parsed.success) return { id: parsed.data.sub, roles: parsed.data.roles };
    }
    return undefined;
  }

  return {
    read,
    async use(request) {
      const caller = await read(request);
      const { origin } = request.headers;
      if (caller && !(origin !== undefined && origins.includes(origin)))
        throw forbidden('a session is for the pages that CODEC_ORIGINS names');
      return caller;
    },
    async begin({ id, roles, expiresAt = Infinity }, isSecure) {
      const now = Math.floor(Date.now() / 1_000);
      const end = Math.min(expiresAt, now + SESSION_SECONDS);
      const token = await new SignJWT({ roles })
        .setProtectedHeader({ alg: ALGORITHM })
        .setAudience(AUDIENCE)
        .setSubject(id)
        .setExpirationTime(end)
        .sign(keys[0]!);
      return cookie(token, end - now, isSecure);
    },
    end: () => cookie('', 0, false),
  };
}

/** Without a path, so that it is that of the page that sets it, `/codec`, also where there is a path before ours. */
const cookie = (value: string, seconds: number, isSecure: boolean) =>
  [`${COOKIE}=${value}`, `Max-Age=${seconds}`, 'HttpOnly', 'SameSite=Strict', ...(isSecure ? ['Secure'] : [])].join(
    '; ',
  );
