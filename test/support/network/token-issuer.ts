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

/** The claims of a token; undefined removes a claim. */
export type Claims = Record<string, unknown>;

/** An identity provider that signs tokens and publishes its keys at a URL. */
export interface TokenIssuer {
  settings: TokenSettings;
  /** How often the keys were fetched. */
  fetchCount: () => number;
  /** Replaces the published keys. */
  publishKeys: (...keys: SigningKey[]) => void;
  /** Returns this status instead of the keys. */
  failWith: (status: number, body?: string) => void;
  /** Creates a token. Default: valid for five minutes. */
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
