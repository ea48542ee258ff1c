import { createHmac } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { isToLocalHost } from '../../http/request-origin.js';

const ALGORITHM = 'HS256';

/** A cookie whose claims are signed but readable. Scripts cannot read the cookie. */
export interface SignedCookie {
  /** Returns the claims of a valid cookie of a request. */
  read: (request: FastifyRequest) => Promise<JWTPayload | undefined>;
  /** The `Set-Cookie` header with the claims. The cookie expires at `exp`, in seconds since 1970. */
  create: (request: FastifyRequest, claims: JWTPayload & { exp: number }) => Promise<string>;
  /** The `Set-Cookie` header that deletes the cookie. */
  clear: (request: FastifyRequest) => string;
}

/**
 * @param name separates the cookies: a cookie with one name is invalid under any other name.
 * @param secrets the first secret signs. Cookies that are signed with any of the secrets are valid.
 */
export function createSignedCookie(name: string, secrets: readonly string[]): SignedCookie {
  const keys = secrets.map((secret) => createHmac('sha256', secret).update(`cookie ${name}`).digest());

  return {
    async read(request) {
      const pattern = new RegExp(`(?:^|; *)${fullNameOf(name, request)}=([\\w.-]+)`);
      const token = pattern.exec(request.headers.cookie ?? '')?.[1];
      if (token === undefined) return undefined;
      for (const key of keys) {
        const options = { audience: name, algorithms: [ALGORITHM] };
        const verified = await jwtVerify(token, key, options).catch(() => undefined);
        if (verified) return verified.payload;
      }
      return undefined;
    },
    async create(request, claims) {
      const token = await new SignJWT(claims).setProtectedHeader({ alg: ALGORITHM }).setAudience(name).sign(keys[0]!);
      return formatCookie(request, name, token, claims.exp - nowSeconds());
    },
    clear: (request) => formatCookie(request, name, '', 0),
  };
}

export const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

/**
 * Browsers accept a `__Host-` cookie only over https and only from the host itself, so that a page of a subdomain cannot
 * replace the cookie. Over http to localhost, the cookie has neither the prefix nor the attribute `Secure`.
 */
const fullNameOf = (name: string, request: FastifyRequest) => (isToLocalHost(request) ? name : `__Host-${name}`);

/**
 * `Lax`, because the redirect of an identity provider is a navigation from another site. Forms are protected by
 * `assertFromOwnPage`.
 */
const formatCookie = (request: FastifyRequest, name: string, value: string, seconds: number) =>
  [
    `${fullNameOf(name, request)}=${value}`,
    'Path=/',
    `Max-Age=${seconds}`,
    'HttpOnly',
    'SameSite=Lax',
    ...(isToLocalHost(request) ? [] : ['Secure']),
  ].join('; ');
