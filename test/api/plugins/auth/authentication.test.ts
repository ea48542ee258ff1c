import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import fc from 'fast-check';
import { SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createApiKey } from '../../../../src/api/plugins/auth/api-keys.js';
import { toCallerId, type TokenSettings } from '../../../../src/api/plugins/auth/tokens.js';
import type { Problem } from '../../../../src/schemas/shared/problem.js';
import { callerId } from '../../../../src/schemas/shared/primitives.js';
import type { ApiResponse, Api } from '../../../support/api/api.js';
import { authOf, createCaller } from '../../../support/api/callers.js';
import {
  createSigningKey,
  startTokenIssuer,
  epochSecondsFromNow,
  type Claims,
  type TokenIssuer,
  type SigningKey,
} from '../../../support/network/token-issuer.js';
import { startApiWithoutBackends } from '../../../support/api/unreachable-backends.js';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Sends an invalid body to an operation for shoppers and operators. 400 means that the caller is authenticated. */
const sendInvalidOrder = (api: Api, headers: Record<string, string>) =>
  api.request<Problem>('POST', '/v1/orders', { json: {}, headers });

const expectAuthenticated = ({ status, body }: ApiResponse<Problem>) =>
  expect([status, body.type]).toEqual([400, '/problems/invalid-request']);

function expectUnauthorized({ status, headers, body }: ApiResponse<Problem>, detail: RegExp): void {
  expect([status, body.type]).toEqual([401, '/problems/unauthorized']);
  expect(headers.get('www-authenticate')).toBe('Bearer realm="api"');
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(body.detail).toMatch(detail);
}

describe('API keys', () => {
  const ada = createCaller(['shopper']);
  const clerk = createCaller(['approver']);
  const replaced = createApiKey();
  let api: Api;

  beforeAll(async () => {
    const rotating = { ...ada.configEntry, hashes: [...ada.configEntry.hashes, replaced.hash] };
    api = await startApiWithoutBackends({ auth: { apiKeys: [rotating, clerk.configEntry] } });
  });
  afterAll(() => api?.close());

  test.each<[string, (key: string) => Record<string, string>]>([
    ['X-API-Key', (key) => ({ 'x-api-key': key })],
    ['Authorization: Bearer', bearer],
    ['Authorization in mixed case', (key) => ({ authorization: `bEARER  ${key}` })],
  ])('accepts both API keys of a caller during a rotation, sent as %s', async (_description, headers) => {
    expectAuthenticated(await sendInvalidOrder(api, headers(ada.key)));
    expectAuthenticated(await sendInvalidOrder(api, headers(replaced.key)));
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['no key', {}, /send an API key/],
    ['an unknown key', { 'x-api-key': 'wop_nobody' }, /invalid API key/],
    ['an empty key', { 'x-api-key': '' }, /invalid API key|send an API key/],
    ['the hash of a key', { 'x-api-key': ada.configEntry.hashes[0]! }, /invalid API key/],
    ['a key with an extra character', { 'x-api-key': `${ada.key}A` }, /invalid API key/],
    ['two keys in one header', { 'x-api-key': `${ada.key}, ${ada.key}` }, /invalid API key/],
    ['a key under another scheme', { authorization: `Basic ${ada.key}` }, /send an API key/],
    ['a bearer without a token', { authorization: 'Bearer' }, /send an API key/],
    ['a token where only keys are configured', bearer('a.b.c'), /invalid API key/],
    ['a key in both headers', { ...ada.authHeader, ...bearer(ada.key) }, /send one of them/],
    ['a good key and a wrong token', { ...ada.authHeader, ...bearer('wop_nobody') }, /send one of them/],
  ])(
    'returns 401 for a request with %s, explains how to authenticate and does not repeat the key',
    async (_description, headers, detail) => {
      const response = await sendInvalidOrder(api, headers);

      expectUnauthorized(response, detail);
      expect(JSON.stringify(response.body)).not.toContain(ada.key);
    },
  );

  test('denies a caller without the required role with 403, and shows the required roles and the roles of the caller', async () => {
    const { status, body } = await sendInvalidOrder(api, clerk.authHeader);

    expect([status, body.type]).toEqual([403, '/problems/forbidden']);
    expect(body.detail).toBe(`requires the role shopper or operator; ${clerk.id} has the roles approver`);
  });

  test('returns 401 for an unauthenticated request before the API parses the body', async () => {
    for (const text of ['{', 'x'.repeat(10_000)]) {
      const headers = { 'content-type': 'application/json' };
      expectUnauthorized(await api.request('POST', '/v1/orders', { text, headers }), /send an API key/);
    }
  });

  test('createApiKey returns a key with 256 random bits and its hash for the configuration', () => {
    const [one, other] = [createApiKey(), createApiKey()];

    expect(one.key).toMatch(/^wop_[A-Za-z0-9_-]{43}$/);
    expect(one.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(one.key).not.toBe(other.key);
  });
});

describe('tokens', () => {
  let issuer: TokenIssuer;
  let signer: SigningKey;
  let api: Api;
  const clerk = createCaller(['shopper']);

  beforeAll(async () => {
    issuer = await startTokenIssuer();
    signer = await createSigningKey('one');
    issuer.publishKeys(signer);
    api = await startApiWithoutBackends({ auth: { ...authOf(clerk), tokens: issuer.settings } });
  });
  afterAll(async () => {
    await api?.close();
    await issuer?.close();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Runs a test with a new issuer, signing key and API. */
  async function withOtherIssuer(
    run: (world: { issuer: TokenIssuer; key: SigningKey; api: Api }) => Promise<void>,
    { alg, ...settings }: Partial<TokenSettings> & { alg?: string } = {},
  ): Promise<void> {
    const issuer = await startTokenIssuer(settings);
    const key = await createSigningKey('own', alg);
    issuer.publishKeys(key);
    const api = await startApiWithoutBackends({ auth: { apiKeys: [], tokens: issuer.settings } });
    try {
      await run({ issuer, key, api });
    } finally {
      await api.close();
      await issuer.close();
    }
  }

  function advanceClock(seconds: number): void {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
  }

  const send = async (claims?: Claims) => sendInvalidOrder(api, bearer(await issuer.createToken(signer, claims)));

  test('accepts valid tokens and fetches the keys of the issuer only once', async () => {
    for (let number = 0; number < 3; number += 1) expectAuthenticated(await send());
    expect(issuer.fetchCount()).toBe(1);
  });

  test('accepts API keys and tokens when both are configured', async () => {
    expectAuthenticated(await sendInvalidOrder(api, bearer(clerk.key)));
    expectAuthenticated(await sendInvalidOrder(api, clerk.authHeader));
    expectUnauthorized(
      await sendInvalidOrder(api, { 'x-api-key': await issuer.createToken(signer) }),
      /invalid API key/,
    );
  });

  test.each<[string, Claims, RegExp]>([
    ['is of another issuer', { iss: 'https://evil.example.com/' }, /"iss"/],
    ['is for another audience', { aud: 'https://other.example.com' }, /"aud"/],
    ['has no audience', { aud: undefined }, /"aud"/],
    ['has expired', { exp: epochSecondsFromNow(-60) }, /"exp"/],
    ['never expires', { exp: undefined }, /"exp"/],
    ['is not valid yet', { nbf: epochSecondsFromNow(120) }, /"nbf"/],
    ['has no subject', { sub: undefined }, /claim sub of the token must be a non-empty string/],
    ['has an empty subject', { sub: '' }, /claim sub of the token must be a non-empty string/],
    ['has a number as its subject', { sub: 7 }, /claim sub of the token must be a non-empty string/],
    ['has a subject with a lone surrogate', { sub: 'ada\ud800' }, /claim sub of the token must be a non-empty string/],
  ])('returns 401 with the reason for a token that %s', async (_description, claims, detail) => {
    expectUnauthorized(await send(claims), detail);
  });

  /** Returns the caller id that the API derives from a token. */
  async function idOf(api: Api, token: string): Promise<string | undefined> {
    const { status, body } = await sendInvalidOrder(api, bearer(token));
    expect([status, body.type]).toEqual([403, '/problems/forbidden']);
    return /^requires the role shopper or operator; (.+) has no role$/.exec(body.detail ?? '')?.[1];
  }
  const idFor = async (sub: string) => await idOf(api, await issuer.createToken(signer, { sub, roles: [] }));

  test.each([
    ['of plain text', 'ada'],
    ['of an Auth0 user', 'auth0|507f1f77bcf86cd799439011'],
    ['of a social login', 'google-oauth2|103547991597142817347'],
    ['of a machine', 'dXr4kqTz@clients'],
    ['of a Kubernetes service account', 'system:serviceaccount:shop:checkout'],
    ['of a GitHub workflow', 'repo:octo-org/octo-repo:environment:prod'],
    ['of a workload', 'spiffe://example.org/ns/shop/sa/checkout'],
    ['that starts with a hyphen', '-AbR2uT7pq9dXz0LkWqv3HhTq8s1wY4mZ6nE5cJfUaI'],
    ['that starts with an underscore', '_AbR2uT7pq9dXz0LkWqv3HhTq8s1wY4mZ6nE5cJfUaI'],
    ['that is an e-mail address', 'ada.lovelace+shop@example.com'],
    ['that is an e-mail address with an apostrophe', "miles.o'brien@example.com"],
    ['of 120 characters', 'a'.repeat(120)],
  ])('uses a subject %s as the caller id', async (_description, sub) => {
    expect(await idFor(sub)).toBe(sub);
  });

  test.each([
    ['of 121 characters', 'a'.repeat(121)],
    ['with a space', 'CN=Ada Lovelace,OU=Shop'],
    ['with a backslash', 'EXAMPLE\\ada'],
    ['with a quote', 'ada"'],
    ['with a line feed', 'ada\n'],
    ['outside ASCII', 'jörg@example.com'],
    ['that is written like a hash', 'sha256:CN=Ada'],
  ])('uses the SHA-256 of a subject %s as the caller id', async (_description, sub) => {
    const hex = createHash('sha256').update(sub).digest('hex');
    expect(await idFor(sub)).toBe(`sha256:${hex}`);
  });

  test('two different subjects never get the same caller id', async () => {
    const sub = 'CN=Ada Lovelace';
    const hashed = await idFor(sub);
    expect(await idFor(hashed!)).not.toBe(hashed);

    const subject = fc.string({ unit: fc.constantFrom('a', 'A', ' ', '|', '"', 'ä', ...'sha256:'), maxLength: 12 });
    fc.assert(
      fc.property(subject, subject, (one, other) => {
        fc.pre(one !== other);
        expect(toCallerId(one)).not.toBe(toCallerId(other));
        expect(callerId.safeParse(toCallerId(one)).success).toBe(true);
      }),
    );
  });

  test.each([
    ['uses an e-mail address that the issuer has verified as the caller id', { email_verified: true }, 403],
    ['uses an e-mail address as the caller id when the issuer does not say whether it is verified', {}, 403],
    ['rejects a token whose e-mail address is not verified with 401', { email_verified: false }, 401],
    ['rejects a token whose e-mail address is not verified, as a string, with 401', { email_verified: 'false' }, 401],
  ])('%s', async (_title, claims, status) => {
    await withOtherIssuer(
      async ({ issuer, key, api }) => {
        const token = await issuer.createToken(key, { sub: 'x', email: 'ada@example.com', roles: [], ...claims });
        if (status === 403) expect(await idOf(api, token)).toBe('ada@example.com');
        else expectUnauthorized(await sendInvalidOrder(api, bearer(token)), /has not verified the e-mail address/);
      },
      { idClaim: 'email' },
    );
  });

  test('accepts a token when clocks differ by a few seconds', async () => {
    expectAuthenticated(await send({ exp: epochSecondsFromNow(-2), nbf: epochSecondsFromNow(3) }));
  });

  test.each<[string, Claims]>([
    ['a list', { roles: ['cook', 'shopper'] }],
    ['a string of words', { roles: 'cook shopper' }],
  ])('reads the roles of a token from %s and ignores unknown roles', async (_description, claims) => {
    expectAuthenticated(await send(claims));
  });

  test.each<[string, Claims]>([
    ['no roles', { roles: undefined }],
    ['only unknown roles', { roles: ['cook', 'SHOPPER', 'shopper2'] }],
    ['roles of another shape', { roles: { shopper: true } }],
    ['null roles', { roles: null }],
  ])('returns 403 for a token with %s, because the caller has no role', async (_description, claims) => {
    const { status, body } = await send(claims);

    expect([status, body.type]).toEqual([403, '/problems/forbidden']);
    expect(body.detail).toBe('requires the role shopper or operator; ada has no role');
  });

  test.each<[string, string, Claims]>([
    ['a nested claim', 'realm_access.roles', { realm_access: { roles: ['shopper'] } }],
    ['a claim name with dots', 'https://shop.example.com/roles', { 'https://shop.example.com/roles': ['shopper'] }],
  ])('reads the roles of a token only from the configured claim: %s', async (_description, rolesClaim, claims) => {
    await withOtherIssuer(
      async ({ issuer, key, api }) => {
        expectAuthenticated(
          await sendInvalidOrder(api, bearer(await issuer.createToken(key, { roles: [], ...claims }))),
        );
        expect((await sendInvalidOrder(api, bearer(await issuer.createToken(key)))).status).toBe(403);
      },
      { rolesClaim },
    );
  });

  test.each(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'])('accepts tokens signed with %s', async (alg) => {
    await withOtherIssuer(
      async ({ issuer, key, api }) =>
        expectAuthenticated(await sendInvalidOrder(api, bearer(await issuer.createToken(key)))),
      {
        alg,
      },
    );
  });

  const claims = () => ({ sub: 'ada', roles: ['operator'], exp: epochSecondsFromNow(300) });
  const withIssuerClaims = <T extends UnsecuredJWT | SignJWT>(jwt: T) =>
    jwt.setIssuer(issuer.settings.issuer).setAudience(issuer.settings.audience) as T;

  test.each<[string, () => Promise<string> | string]>([
    ['is not signed (alg none)', () => withIssuerClaims(new UnsecuredJWT(claims())).encode()],
    [
      'is signed with the public key as a shared secret (HS256)',
      () => {
        const secret = new TextEncoder().encode(JSON.stringify(signer.jwk));
        return withIssuerClaims(new SignJWT(claims())).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(secret);
      },
    ],
    [
      'is signed with an unknown key under a known key id',
      async () => issuer.createToken(await createSigningKey('one')),
    ],
    [
      'is signed with a key that the issuer does not publish',
      async () => issuer.createToken(await createSigningKey('stranger')),
    ],
    [
      'brings its own key',
      async () => {
        const own = await createSigningKey('own');
        return withIssuerClaims(new SignJWT(claims()))
          .setProtectedHeader({ alg: 'ES256', jwk: own.jwk })
          .sign(own.privateKey);
      },
    ],
    [
      'was changed',
      async () => {
        const [header, , signature] = (await issuer.createToken(signer)).split('.');
        const payload = Buffer.from(JSON.stringify({ ...claims(), iss: issuer.settings.issuer })).toString('base64url');
        return [header, payload, signature].join('.');
      },
    ],
    ['is cut off', async () => (await issuer.createToken(signer)).slice(0, -10)],
    ['is not a JWT', () => 'a.b.c'],
    ['has three empty parts', () => '..'],
    ['has a header that is not JSON', () => `${Buffer.from('{').toString('base64url')}.e30.AA`],
    ['has a header that is a list', () => `${Buffer.from('[]').toString('base64url')}.e30.AA`],
    ['has four parts', async () => `${await issuer.createToken(signer)}.x`],
  ])('rejects a token that %s with 401', async (_description, make) => {
    expectUnauthorized(await sendInvalidOrder(api, bearer(await make())), /./);
  });

  test('after a key rotation, accepts tokens of the new issuer key and rejects tokens of the old key', async () => {
    await withOtherIssuer(async ({ issuer, key, api }) => {
      expectAuthenticated(await sendInvalidOrder(api, bearer(await issuer.createToken(key))));
      const next = await createSigningKey('next');
      issuer.publishKeys(next);

      advanceClock(31);
      expectAuthenticated(await sendInvalidOrder(api, bearer(await issuer.createToken(next))));
      expect(issuer.fetchCount()).toBe(2);
      expectUnauthorized(await sendInvalidOrder(api, bearer(await issuer.createToken(key))), /no applicable key/);
    });
  });

  test('repeated tokens with an unknown key do not cause repeated fetches of the issuer’s keys', async () => {
    await withOtherIssuer(async ({ issuer, key, api }) => {
      expectAuthenticated(await sendInvalidOrder(api, bearer(await issuer.createToken(key))));
      const otherCaller = await createSigningKey('stranger');
      for (let number = 0; number < 5; number += 1)
        expectUnauthorized(await sendInvalidOrder(api, bearer(await issuer.createToken(otherCaller))), /key/);
      expect(issuer.fetchCount()).toBe(1);
    });
  });

  test('while the issuer is unreachable, accepts tokens of cached keys even after the cache expires', async () => {
    await withOtherIssuer(async ({ issuer, key, api }) => {
      const token = await issuer.createToken(key, { exp: epochSecondsFromNow(3_600) });
      expectAuthenticated(await sendInvalidOrder(api, bearer(token)));
      issuer.failWith(500);
      advanceClock(11 * 60);

      for (let number = 0; number < 3; number += 1) expectAuthenticated(await sendInvalidOrder(api, bearer(token)));
      expect(issuer.fetchCount(), 'one more fetch of the keys').toBe(2);
    });
  });

  test.each<[string, (issuer: TokenIssuer) => unknown]>([
    ['returns 500', (issuer) => issuer.failWith(500)],
    ['returns no JSON', (issuer) => issuer.failWith(200, '<html>')],
    ['returns no keys', (issuer) => issuer.failWith(200, '{"error":"x"}')],
    ['is unreachable', (issuer) => issuer.close()],
  ])(
    'when the issuer %s, returns 503 with Retry-After and without details, and still accepts tokens of cached keys',
    async (_description, breakIt) => {
      await withOtherIssuer(async ({ issuer, key, api }) => {
        const token = await issuer.createToken(key);
        const fresh = await startApiWithoutBackends({
          auth: { ...authOf(clerk), tokens: issuer.settings },
        });
        try {
          expectAuthenticated(await sendInvalidOrder(api, bearer(token)));
          await breakIt(issuer);

          const { status, headers, body } = await sendInvalidOrder(fresh, bearer(token));
          expect([status, body.type]).toEqual([503, '/problems/identity-provider-unavailable']);
          expect(headers.get('retry-after')).toBe('5');
          expect(JSON.stringify(body)).not.toMatch(/127\.0\.0\.1|jwks|json|econn|fetch failed|500/i);
          expectAuthenticated(await sendInvalidOrder(api, bearer(token)));
          expectAuthenticated(await sendInvalidOrder(fresh, clerk.authHeader));
          expect((await fresh.get('/livez')).status).toBe(200);
        } finally {
          await fresh.close();
        }
      });
    },
  );
});

describe('an API without authentication', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApiWithoutBackends();
  });
  afterAll(() => api?.close());

  /** Uses node:http, because fetch() does not allow a custom Host header. */
  const requestWithHost = (host: string) =>
    new Promise<{ status: number; body: Problem }>((resolve, reject) => {
      const headers = { host, 'content-type': 'application/json' };
      const request = httpRequest(`${api.url}/v1/orders`, { method: 'POST', headers }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve({ status: response.statusCode!, body: JSON.parse(text) as Problem }));
      });
      request.on('error', reject).end('{}');
    });

  test.each(['localhost', 'LOCALHOST:3000', '127.0.0.1', '127.0.0.1:3000', '127.8.8.8:1', '[::1]', '[::1]:3000'])(
    'without authentication, allows every request for the host %s',
    async (host) => {
      expect(await requestWithHost(host)).toMatchObject({ status: 400, body: { type: '/problems/invalid-request' } });
    },
  );

  test.each([
    'shop.example.com',
    'localhost.example.com',
    '127.0.0.1.example.com',
    'evil.example.com:3000',
    '10.0.0.1',
    '127.0.0.1@evil.example.com',
    '0.0.0.0:3000',
  ])(
    'without authentication, denies a request for the host "%s" with 403 and the name of the missing setting',
    async (host) => {
      const { status, body } = await requestWithHost(host);

      expect([status, body.type]).toEqual([403, '/problems/forbidden']);
      expect(body.detail).toContain('API_KEYS');
    },
  );

  test.each([
    ['https://evil.example.com', 403],
    ['http://127.0.0.1.evil.example.com', 403],
    ['null', 403],
    ['http://localhost:5173', 400],
    ['http://127.0.0.1:3000', 400],
  ])('without authentication, answers a write request from a page of %s with %i', async (origin, status) => {
    expect((await api.request('POST', '/v1/orders', { headers: { origin } })).status).toBe(status);
  });
});
