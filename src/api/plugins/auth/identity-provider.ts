import type { FastifyRequest } from 'fastify';
import * as oidc from 'openid-client';
import { z } from 'zod';
import type { Caller } from '../../http/caller.js';
import { HttpProblem, httpProblem } from '../../problems/http-problem.js';
import { createSignedCookie, nowSeconds } from './signed-cookie.js';
import { createTokenVerifier, type TokenSettings } from './tokens.js';

export interface OidcSettings {
  clientId: string;
  /** Undefined for a public client. */
  clientSecret?: string | undefined;
  /** Space-separated, with `openid`. */
  scope: string;
}

const COOKIE_NAME = 'sign-in';

/** How long a caller may stay on the pages of the provider. */
const SIGN_IN_SECONDS = 10 * 60;

const REQUEST_TIMEOUT_SECONDS = 5;

/** What the API remembers of a sign-in, in a cookie of the browser that started the sign-in. */
const pendingSignIn = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  redirectUri: z.url(),
  next: z.string().optional(),
});

/** Thrown when a sign-in fails. The caller can try again. The message is for the caller. */
export class SignInFailed extends Error {
  override readonly name = 'SignInFailed';
}

/** A sign-in at an OpenID Connect provider: the authorization code flow with PKCE. */
export interface IdentityProvider {
  /** The host of the provider. */
  host: string;
  /** The page of the provider that starts a sign-in, and the `Set-Cookie` header that belongs to this sign-in. */
  start: (
    request: FastifyRequest,
    options: { redirectUri: string; next: string | undefined },
  ) => Promise<{ url: string; cookie: string }>;
  /**
   * Completes the sign-in of a request from the provider. Returns the caller, the token that identifies the caller, and
   * `next` of the start.
   *
   * @throws SignInFailed, or 503 when the provider cannot be reached.
   */
  complete: (request: FastifyRequest) => Promise<{ caller: Caller; token: string; next: string | undefined }>;
  /** The `Set-Cookie` header that deletes the cookie of a sign-in. */
  clear: (request: FastifyRequest) => string;
}

/** @param secrets sign the cookies of sign-ins. */
export function createIdentityProvider(
  settings: OidcSettings,
  tokens: TokenSettings,
  secrets: readonly string[],
): IdentityProvider {
  const cookie = createSignedCookie(COOKIE_NAME, secrets);
  const getConfiguration = createDiscovery(settings, tokens.issuer);
  const identify = createIdentification(settings, tokens);
  const { host } = new URL(tokens.issuer);

  return {
    host,
    clear: cookie.clear,
    async start(request, { redirectUri, next }) {
      const configuration = await getConfiguration();
      const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()];
      const url = oidc.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: settings.scope,
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      });
      const pending = { state, nonce, verifier, redirectUri, ...(next !== undefined && { next }) };
      const exp = nowSeconds() + SIGN_IN_SECONDS;
      return { url: url.href, cookie: await cookie.create(request, { ...pending, exp }) };
    },
    async complete(request) {
      const { success, data } = pendingSignIn.safeParse(await cookie.read(request));
      if (!success) throw new SignInFailed('The sign-in took too long, or started in another browser.');
      const { state, nonce, verifier, redirectUri, next } = data;
      const url = new URL(redirectUri);
      url.search = new URL(request.url, redirectUri).search;
      const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
      const configuration = await getConfiguration();
      const received = await oidc
        .authorizationCodeGrant(configuration, url, checks)
        .catch((error: unknown) => rejectSignIn(error, request, host));
      return { ...(await identify(received)), next };
    },
  };
}

/**
 * Creates a function that returns the caller whom the tokens of a sign-in identify. An access token for this API counts
 * first. Many providers issue access tokens for themselves only; then the ID token counts.
 */
function createIdentification({ clientId }: OidcSettings, tokens: TokenSettings) {
  const verifyAccessToken = createTokenVerifier(tokens);
  const verifyIdToken = createTokenVerifier({ ...tokens, audience: clientId });
  return async (received: { access_token: string; id_token?: string }): Promise<{ caller: Caller; token: string }> => {
    const candidates = [
      { token: received.access_token, verify: verifyAccessToken },
      { token: received.id_token ?? '', verify: verifyIdToken },
    ];
    let reason = '';
    for (const { token, verify } of candidates) {
      if (token.split('.').length !== 3) continue;
      try {
        return { caller: await verify(token), token };
      } catch (error) {
        if (!(error instanceof HttpProblem && error.status === 401)) throw error;
        reason = error.message;
      }
    }
    throw new SignInFailed(`The API does not accept the tokens of the provider: ${reason}.`);
  };
}

/** Creates a function that returns the endpoints of the provider. Reads them once. A failed read is repeated. */
function createDiscovery({ clientId, clientSecret }: OidcSettings, issuer: string) {
  const url = new URL(issuer);
  let configuration: Promise<oidc.Configuration> | undefined;

  async function discover(): Promise<oidc.Configuration> {
    const options = {
      timeout: REQUEST_TIMEOUT_SECONDS,
      execute: url.protocol === 'http:' ? [oidc.allowInsecureRequests] : [],
    };
    const discovered = await oidc.discovery(url, clientId, undefined, oidc.None(), options);
    if (clientSecret === undefined) return discovered;
    const metadata = discovered.serverMetadata();
    // Every provider supports `client_secret_basic`, unless its metadata lists only other methods.
    const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    const authentication = methods.includes('client_secret_basic') ? oidc.ClientSecretBasic : oidc.ClientSecretPost;
    const confidential = new oidc.Configuration(metadata, clientId, undefined, authentication(clientSecret));
    confidential.timeout = REQUEST_TIMEOUT_SECONDS;
    for (const execute of options.execute) execute(confidential);
    return confidential;
  }

  return async (): Promise<oidc.Configuration> => {
    configuration ??= discover();
    return await configuration.catch((error: unknown) => {
      configuration = undefined;
      throw unavailable(error);
    });
  };
}

function rejectSignIn(error: unknown, request: FastifyRequest, host: string): never {
  if (isUnavailable(error)) throw unavailable(error);
  const { name, message, code } = error as Error & { code?: string };
  const reason =
    error instanceof oidc.AuthorizationResponseError || error instanceof oidc.ResponseBodyError ? error.error : code;
  request.log.warn({ error: name, reason, detail: message }, 'sign-in at the identity provider failed');
  if (error instanceof oidc.AuthorizationResponseError)
    throw new SignInFailed(`${host} did not complete the sign-in (${error.error}).`);
  throw new SignInFailed(`The sign-in with ${host} failed. The log of the API has the reason.`);
}

/** Whether the provider timed out, responded with 5xx, or cannot be reached: then `fetch` throws a TypeError without code. */
function isUnavailable(error: unknown): boolean {
  const { code, cause } = error as Error & { code?: string };
  if (cause instanceof Response && cause.status >= 500) return true;
  return code === 'OAUTH_TIMEOUT' || (error instanceof TypeError && code === undefined);
}

const unavailable = (cause: unknown) =>
  Object.assign(httpProblem('identity-provider-unavailable', 'the identity provider cannot be reached'), { cause });
