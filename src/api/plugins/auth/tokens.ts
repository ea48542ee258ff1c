import { createHash } from 'node:crypto';
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { callerId } from '../../../schemas/shared/primitives.js';
import { httpProblem, unauthorized } from '../../problems/http-problem.js';
import { CALLER_ROLES, type CallerRole } from '../../../schemas/api-key.js';
import type { Caller } from '../../http/caller.js';

export interface TokenSettings {
  issuer: string;
  audience: string;
  jwksUrl: string;
  /** The claim that identifies the caller. `toCallerId` converts it to the caller id. */
  idClaim: string;
  /**
   * The claim with the roles of the caller: a list, or words separated by spaces. `a.b` means the claim `b` inside the
   * claim `a`.
   */
  rolesClaim: string;
}

/** Contains only asymmetric algorithms, because a party that can verify tokens must not be able to sign tokens. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];

/** Tolerance for clocks that differ between two machines. */
const CLOCK_TOLERANCE_SECONDS = 5;

const JWKS_TIMEOUT_MS = 5_000;

/** After a failed fetch of the keys, the API uses the known keys for this time and then fetches again. */
const JWKS_RETRY_MS = 30_000;

/**
 * Creates a function that verifies JWTs of one issuer. The function fetches the issuer's keys when the first token
 * arrives, and again when a token names an unknown key.
 *
 * @returns a function that throws 401 for an invalid token, and 503 when the keys cannot be fetched.
 */
export function createTokenVerifier(settings: TokenSettings): (token: string) => Promise<Caller> {
  const keys = createJwksResolver(settings.jwksUrl);
  return async (token) => {
    const payload = await verify(token, keys, settings);
    return {
      id: toCallerId(readSubject(payload, settings.idClaim)),
      roles: readRoles(readClaim(payload, settings.rolesClaim)),
      expiresAt: Math.floor(payload.exp!),
    };
  };
}

/**
 * @throws 401 for a token that does not name the caller, or names the caller by an e-mail address that the issuer has
 * not verified.
 */
function readSubject(payload: JWTPayload, idClaim: string): string {
  const subject = readClaim(payload, idClaim);
  if (typeof subject !== 'string' || subject === '' || !subject.isWellFormed())
    throw unauthorized(`the claim ${idClaim} of the token must be a non-empty string that identifies the caller`);
  // Without verification, anyone could sign up with another person's address.
  if (idClaim === 'email' && isFalseClaim(payload.email_verified))
    throw unauthorized('the issuer has not verified the e-mail address of the token (email_verified is false)');
  return subject;
}

/** Some issuers write booleans as text. */
const isFalseClaim = (claim: unknown) => claim === false || claim === 'false';

const HASHED_ID_PREFIX = 'sha256:';

/**
 * Converts the subject of a token to a caller id. A valid caller id stays as it is. Any other subject becomes `sha256:`
 * and the hash of its UTF-8 bytes. A subject that starts with `sha256:` is hashed too, so no two subjects share an id.
 */
export function toCallerId(subject: string): string {
  if (callerId.safeParse(subject).success && !subject.startsWith(HASHED_ID_PREFIX)) return subject;
  return HASHED_ID_PREFIX + createHash('sha256').update(subject).digest('hex');
}

async function verify(token: string, keys: JWTVerifyGetKey, { issuer, audience }: TokenSettings): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['exp'],
    });
    return payload;
  } catch (error) {
    if (error instanceof JwksUnavailable) {
      const problem = httpProblem('identity-provider-unavailable', 'the keys that verify tokens cannot be fetched');
      throw Object.assign(problem, { cause: error.cause });
    }
    if (error instanceof errors.JOSEError) throw unauthorized(`invalid token: ${error.message}`);
    throw error;
  }
}

/** Thrown when the keys cannot be fetched. This is not the caller's fault, so the caller gets no 401. */
class JwksUnavailable extends Error {
  override readonly name = 'JwksUnavailable';
}

function createJwksResolver(jwksUrl: string): JWTVerifyGetKey {
  const remote = createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: JWKS_TIMEOUT_MS });
  let nextFetchAt = 0;
  return async (header, token) => {
    const known = remote.jwks();
    if (known && Date.now() < nextFetchAt) return await createLocalJWKSet(known)(header, token);
    try {
      return await remote(header, token);
    } catch (error) {
      const isInvalidToken =
        error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys;
      if (isInvalidToken || error instanceof errors.JOSENotSupported) throw error;
      // Keeps using the known keys, because an unavailable issuer must not lock out every caller.
      nextFetchAt = Date.now() + JWKS_RETRY_MS;
      if (known) return await createLocalJWKSet(known)(header, token);
      throw new JwksUnavailable('the keys of the token issuer cannot be fetched', { cause: error });
    }
  };
}

function readClaim(payload: JWTPayload, name: string): unknown {
  if (name in payload) return payload[name];
  return name
    .split('.')
    .reduce<unknown>((value, part) => (value as Record<string, unknown> | null | undefined)?.[part], payload);
}

function readRoles(claim: unknown): CallerRole[] {
  const names = typeof claim === 'string' ? claim.split(/\s+/) : Array.isArray(claim) ? (claim as unknown[]) : [];
  return CALLER_ROLES.filter((role) => names.includes(role));
}
