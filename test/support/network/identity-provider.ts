import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateKeyPair, exportJWK } from 'jose';
import { vi } from 'vitest';
import type { Provider } from 'oidc-provider';
import type { OidcSettings } from '../../../src/api/plugins/auth/identity-provider.js';
import type { TokenSettings } from '../../../src/api/plugins/auth/tokens.js';
import type { CallerRole } from '../../../src/schemas/api-key.js';

const AUDIENCE = 'https://shop.example.com';
const CLIENT_ID = 'shop-console';
const CLIENT_SECRET = 'the-secret-of-the-console';

interface Options {
  /** The roles of the users, by their login. */
  roles: Record<string, CallerRole[]>;
  /** Whether access tokens are JWTs for the API. Otherwise they are opaque, and only the ID token names the caller. */
  hasApiTokens?: boolean;
  /** Whether the client has no secret. */
  isPublic?: boolean;
  tokenSeconds?: number;
}

/** A real OpenID Connect provider with a login page that accepts any login without a password. */
export interface TestIdentityProvider {
  tokens: TokenSettings;
  oidc: OidcSettings;
  /** Sets the addresses to which the provider may redirect. Call this function before the first sign-in. */
  allowRedirects: (...origins: string[]) => Promise<void>;
  /** From now on, the provider responds 500 to every request, or works again. */
  setFailing: (isFailing: boolean) => void;
  close: () => Promise<void>;
}

export async function startIdentityProvider({
  roles,
  hasApiTokens = true,
  isPublic = false,
  tokenSeconds = 600,
}: Options): Promise<TestIdentityProvider> {
  let handle: ReturnType<Provider['callback']> | undefined;
  let isFailing = false;
  const server = createServer((request, response) => {
    if (isFailing || !handle) response.writeHead(500).end();
    else handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'one' };

  const rolesOf = (login: string | undefined) => roles[login ?? ''] ?? [];
  const configure = (origins: string[]) => ({
    clients: [
      {
        client_id: CLIENT_ID,
        ...(isPublic ? { token_endpoint_auth_method: 'none' } : { client_secret: CLIENT_SECRET }),
        application_type: 'native',
        redirect_uris: origins.map((origin) => `${origin}/console/sign-in/callback`),
      },
    ],
    jwks: { keys: [jwk] },
    cookies: { keys: ['the-cookie-key-of-the-provider'] },
    claims: { openid: ['sub', 'roles'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    ttl: { AccessToken: tokenSeconds, IdToken: tokenSeconds, Grant: 600, Interaction: 600, Session: 600 },
    findAccount: (_context: unknown, sub: string) => ({
      accountId: sub,
      claims: () => ({ sub, roles: rolesOf(sub) }),
    }),
    extraTokenClaims: (_context: unknown, token: { accountId?: string }) => ({ roles: rolesOf(token.accountId) }),
    features: {
      devInteractions: { enabled: true },
      resourceIndicators: {
        enabled: hasApiTokens,
        defaultResource: () => AUDIENCE,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: '',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: tokenSeconds,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });

  return {
    tokens: {
      issuer,
      audience: AUDIENCE,
      jwksUrl: `${issuer}/jwks`,
      idClaim: 'sub',
      rolesClaim: 'roles',
    },
    oidc: { clientId: CLIENT_ID, clientSecret: isPublic ? undefined : CLIENT_SECRET, scope: 'openid' },
    async allowRedirects(...origins) {
      handle = (await createProvider(issuer, configure(origins))).callback();
    },
    setFailing: (failing) => void (isFailing = failing),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Creates a provider. Hides its warnings, which say that its storage and its pages are only for development. */
async function createProvider(issuer: string, configuration: Record<string, unknown>): Promise<Provider> {
  const warnings = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  try {
    const { Provider } = await import('oidc-provider');
    return new Provider(issuer, configuration);
  } finally {
    warnings.mockRestore();
  }
}
