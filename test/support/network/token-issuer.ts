import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import type { TokenSettings } from '../../../src/api/plugins/auth/tokens.js';

export interface SigningKey {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  jwk: JWK;
}

export async function createSigningKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

/** Claims that override the default claims of a token. The value undefined removes a claim. */
export type Claims = Record<string, unknown>;

/** A fake identity provider that signs tokens and publishes its keys at a URL. */
export interface TokenIssuer {
  settings: TokenSettings;
  /** Returns how often the published keys were fetched. */
  fetchCount: () => number;
  /** Replaces the published keys. */
  publishKeys: (...keys: SigningKey[]) => void;
  /** From now on, responds to key requests with this status and body instead of the keys. */
  failWith: (status: number, body?: string) => void;
  /** Creates a signed token that is valid for five minutes, unless `claims` changes the expiry. */
  createToken: (key: SigningKey, claims?: Claims) => Promise<string>;
  close: () => Promise<void>;
}

const ISSUER = 'https://login.example.com/';
const AUDIENCE = 'https://shop.example.com';

export const epochSecondsFromNow = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

export async function startTokenIssuer(overrides: Partial<TokenSettings> = {}): Promise<TokenIssuer> {
  let keyResponse = { status: 200, body: '{"keys":[]}' };
  let fetches = 0;
  const server = createServer((_request, response) => {
    fetches += 1;
    response.writeHead(keyResponse.status, { 'content-type': 'application/json' }).end(keyResponse.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    settings: {
      issuer: ISSUER,
      audience: AUDIENCE,
      idClaim: 'sub',
      rolesClaim: 'roles',
      jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
      ...overrides,
    },
    fetchCount: () => fetches,
    publishKeys: (...keys) =>
      (keyResponse = { status: 200, body: JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }) }),
    failWith: (status, body = '') => (keyResponse = { status, body }),
    createToken: ({ kid, alg, privateKey }, claims = {}) =>
      new SignJWT({
        iss: ISSUER,
        aud: AUDIENCE,
        sub: 'ada',
        roles: ['shopper'],
        exp: epochSecondsFromNow(300),
        ...claims,
      })
        .setProtectedHeader({ alg, kid })
        .sign(privateKey),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
