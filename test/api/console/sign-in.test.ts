import { request as httpRequest } from 'node:http';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiKey } from '../../../src/schemas/api-key.js';
import { CURSOR_SECRET, type Api } from '../../support/api/api.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { FROM_OWN_PAGE, sessionCookieOf, signInToConsole } from '../../support/api/sign-in.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';
import {
  createSigningKey,
  epochSecondsFromNow,
  startTokenIssuer,
  type SigningKey,
  type TokenIssuer,
} from '../../support/network/token-issuer.js';

const operator = createCaller(['operator']);
const shopper = createCaller(['shopper']);
const inspector = createCaller(['inspector']);

const maxAgeOf = (response: Response) => Number(/Max-Age=(\d+)/.exec(response.headers.get('set-cookie') ?? '')?.[1]);

describe('sign-in to the console', () => {
  let api: Api;
  let issuer: TokenIssuer;
  let signingKey: SigningKey;

  beforeAll(async () => {
    [issuer, signingKey] = await Promise.all([startTokenIssuer(), createSigningKey('one')]);
    issuer.publishKeys(signingKey);
    api = await start([operator.configEntry, shopper.configEntry, inspector.configEntry]);
  });
  afterAll(async () => {
    await api?.close();
    await issuer?.close();
  });

  const start = (apiKeys: ApiKey[], sessionSecrets?: string[]) =>
    startApiWithoutBackends({
      auth: { apiKeys, tokens: issuer.settings },
      ...(sessionSecrets && { sessionSecrets }),
    });
  const signIn = async (key: string) => sessionCookieOf(await signInToConsole(api.url, { key }));
  const open = (path: string, cookie = '', { url } = api) =>
    fetch(url + path, { headers: { cookie }, redirect: 'manual' });
  const statusOf = async (...input: Parameters<typeof open>) => (await open(...input)).status;

  test('a page leads a visitor to the sign-in page and back after the sign-in', async () => {
    const page = await open('/console?from=mail');
    const location = page.headers.get('location');
    expect([page.status, location]).toEqual([303, `/console/sign-in?next=${encodeURIComponent('/console?from=mail')}`]);
    expect(await (await open(location!)).text()).toContain('value="/console?from=mail"');

    const signedIn = await signInToConsole(api.url, { key: operator.key, next: '/console?from=mail' });
    expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, '/console?from=mail']);
    expect(await statusOf('/console?from=mail', sessionCookieOf(signedIn))).toBe(200);
  });

  test.each([
    'https://evil.example/console',
    '//evil.example',
    '/v1/orders',
    '/consoles',
    '/console\\evil',
    '/console@evil.example',
    '/console/\r\nset-cookie: a=b',
    `/console/${'a'.repeat(3_000)}`,
  ])('a sign-in does not lead to %j', async (next) => {
    const response = await signInToConsole(api.url, { key: operator.key, next });
    expect([response.status, response.headers.get('location')]).toEqual([303, '/console']);
  });

  test('signs in with a cookie that scripts and other sites cannot use and that does not contain the key', async () => {
    const response = await signInToConsole(api.url, { key: ` ${operator.key}\n` });
    const [value, ...attributes] = response.headers.get('set-cookie')!.split('; ');
    expect(attributes).toEqual(['Path=/', `Max-Age=${60 * 60}`, 'HttpOnly', 'SameSite=Lax']);
    expect(value).toMatch(/^session=/);
    expect(value).not.toContain(operator.key);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test.each([
    ['when its token expires, if the token is valid for less than an hour', 300, 300],
    ['after an hour, if the token is valid for longer', 36_000, 3_600],
  ])('a session ends %s', async (_when, tokenSeconds, sessionSeconds) => {
    const claims = { roles: ['operator'], exp: epochSecondsFromNow(tokenSeconds) };
    const response = await signInToConsole(api.url, { key: await issuer.createToken(signingKey, claims) });
    const cookie = sessionCookieOf(response);
    const { exp } = decodeJwt(cookie.slice(cookie.indexOf('=') + 1));
    expect(await statusOf('/console', cookie)).toBe(200);
    expect(exp! - epochSecondsFromNow(0)).toBeGreaterThan(sessionSeconds - 30);
    for (const seconds of [maxAgeOf(response), exp! - epochSecondsFromNow(0)])
      expect(seconds).toBeLessThanOrEqual(sessionSeconds);
  });

  test('over https, the session cookie is Secure and bound to the host', async () => {
    const send = (origin: string) =>
      new Promise<{ status?: number | undefined; cookie: string }>((resolve, reject) => {
        const headers = {
          host: 'shop.example.com',
          origin,
          'content-type': 'application/x-www-form-urlencoded',
        };
        httpRequest(`${api.url}/console/sign-in`, { method: 'POST', headers }, (response) => {
          response.resume();
          resolve({ status: response.statusCode, cookie: String(response.headers['set-cookie'] ?? '') });
        })
          .on('error', reject)
          .end(new URLSearchParams({ key: operator.key }).toString());
      });
    const secure = await send('https://shop.example.com');
    expect(secure.status).toBe(303);
    expect(secure.cookie).toMatch(/^__Host-session=.*; Path=\/.*; Secure$/);
    // Without TLS, browsers would ignore the cookie, so the page says why the sign-in fails.
    expect(await send('http://shop.example.com')).toEqual({ status: 403, cookie: '' });
  });

  test.each([
    ['an unknown key', 'wop_nobody'],
    ['an empty key', ''],
    ['an invalid token', 'a.b.c'],
  ])('the sign-in page rejects %s with 403, always with the same words, and sets no cookie', async (_what, key) => {
    const response = await signInToConsole(api.url, { key });
    expect([response.status, sessionCookieOf(response)]).toEqual([403, '']);
    expect(await response.text()).toContain('<p>Invalid API key or token.</p>');
  });

  test('a caller without a role gets no session, and the page says why', async () => {
    const token = await issuer.createToken(signingKey, { roles: [] });
    const response = await signInToConsole(api.url, { key: token });
    expect([response.status, sessionCookieOf(response)]).toEqual([403, '']);
    expect(await response.text()).toContain('ada has no role');
  });

  test('a caller without a home page starts on the page of the account', async () => {
    for (const next of ['', '/console']) {
      const response = await signInToConsole(api.url, { key: inspector.key, next });
      expect(response.headers.get('location')).toBe('/console/account');
    }
    const page = await open('/console', await signIn(inspector.key));
    const text = await page.text();
    expect(page.status).toBe(403);
    expect(text).toContain('requires the role');
    expect(text).toContain('/console/account');
  });

  test('the account area shows who is signed in and with which roles', async () => {
    const text = await (await open('/console', await signIn(operator.key))).text();
    expect(text).toContain(`>${operator.id}</a>`);
    expect(text).toContain('(operator)');
    expect(await (await open('/console/sign-in')).text()).not.toContain('<nav');
  });

  test('the sign-in page of a signed-in caller says who is signed in and does not redirect', async () => {
    const page = await open('/console/sign-in?next=/console', await signIn(operator.key));
    expect(page.status).toBe(200);
    expect(await page.text()).toContain(`Signed in as ${operator.id}`);
  });

  test('a session ends when its API key is revoked, and no other session ends', async () => {
    const [revoked, kept] = [await signIn(operator.key), await signIn(shopper.key)];
    const token = await issuer.createToken(signingKey, { roles: ['operator'] });
    const ofToken = await signIn(token);
    const next = await start([shopper.configEntry]);
    try {
      for (const cookie of [revoked, kept, ofToken]) expect(await statusOf('/console', cookie)).toBe(200);
      expect(await statusOf('/console', revoked, next)).toBe(303);
      expect(await statusOf('/console', kept, next)).toBe(200);
      expect(await statusOf('/console', ofToken, next)).toBe(200);
    } finally {
      await next.close();
    }
  });

  test('a session has the current roles of its API key', async () => {
    const cookie = await signIn(operator.key);
    const next = await start([{ ...operator.configEntry, roles: ['inspector'] }]);
    try {
      expect(await statusOf('/console', cookie, next)).toBe(403);
      expect(await (await open('/console/account', cookie, next)).text()).toContain('(inspector)');
    } finally {
      await next.close();
    }
  });

  test('while a key is rotated, the sessions of both keys are valid', async () => {
    const { configEntry } = createCaller(['operator'], operator.id);
    const hashes = [...configEntry.hashes, ...operator.configEntry.hashes];
    const next = await start([{ ...operator.configEntry, hashes }]);
    try {
      expect(await statusOf('/console', await signIn(operator.key), next)).toBe(200);
    } finally {
      await next.close();
    }
  });

  test('a session of a token ends when the API accepts another issuer', async () => {
    const cookie = await signIn(await issuer.createToken(signingKey, { roles: ['operator'] }));
    const tokens = { ...issuer.settings, issuer: 'https://other.example.com/' };
    const next = await startApiWithoutBackends({ auth: { ...authOf(operator), tokens } });
    try {
      expect(await statusOf('/console', cookie)).toBe(200);
      expect(await statusOf('/console', cookie, next)).toBe(303);
    } finally {
      await next.close();
    }
  });

  test('accepts sessions that any of the secrets signed, and no other sessions', async () => {
    const cookie = await signIn(operator.key);
    const [rotating, rotated] = await Promise.all([
      start([operator.configEntry], ['a-new-secret-of-the-sessions-000', CURSOR_SECRET]),
      start([operator.configEntry], ['a-new-secret-of-the-sessions-000']),
    ]);
    try {
      expect(await statusOf('/console', cookie, rotating)).toBe(200);
      expect(await statusOf('/console', cookie, rotated)).toBe(303);
      const fresh = sessionCookieOf(await signInToConsole(rotating.url, { key: operator.key }));
      expect(await statusOf('/console', fresh, rotated)).toBe(200);
    } finally {
      await Promise.all([rotating.close(), rotated.close()]);
    }
  });

  test.each([
    ['was changed', (cookie: string) => `${cookie.slice(0, -2)}xx`],
    ['has another name', (cookie: string) => cookie.replace('session', 'other')],
    ['has no signature', (cookie: string) => cookie.replace(/\.[\w-]+$/, '.')],
  ])('a session cookie that %s is invalid', async (_what, change) => {
    expect(await statusOf('/console', change(await signIn(operator.key)))).toBe(303);
  });

  test('a session does not call the JSON API', async () => {
    expect(await statusOf('/v1/products', await signIn(operator.key))).toBe(401);
  });

  test('the headers of an API key take precedence over a session, and other schemes do not', async () => {
    const cookie = await signIn(operator.key);
    const status = async (headers: Record<string, string>) =>
      (await fetch(`${api.url}/console`, { headers: { cookie, ...headers }, redirect: 'manual' })).status;
    expect(await status({ 'x-api-key': 'wop_wrong' })).toBe(303);
    expect(await status({ authorization: 'Bearer wop_wrong' })).toBe(303);
    // A proxy with a password of its own makes browsers send this header.
    expect(await status({ authorization: 'Basic YTpi' })).toBe(200);
  });

  test('a sign-out deletes the session cookie', async () => {
    const response = await fetch(`${api.url}/console/sign-out`, {
      method: 'POST',
      headers: { ...FROM_OWN_PAGE, cookie: await signIn(operator.key) },
      redirect: 'manual',
    });
    expect([response.status, response.headers.get('location')]).toEqual([303, '/console/sign-in']);
    expect(response.headers.get('set-cookie')).toMatch(/^session=; Path=\/; Max-Age=0;/);
  });

  test.each<[string, Record<string, string>]>([
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['another page of the same site', { 'sec-fetch-site': 'same-site' }],
    ['another origin, over plain http', { origin: 'http://evil.example' }],
    ['an opaque origin', { origin: 'null' }],
    ['an unknown source', { accept: '*/*' }],
  ])('returns 403 for a form from %s', async (_where, headers) => {
    const response = await signInToConsole(api.url, { key: operator.key }, headers);
    expect([response.status, sessionCookieOf(response)]).toEqual([403, '']);
    const signOut = await fetch(`${api.url}/console/sign-out`, {
      method: 'POST',
      headers: { ...headers, cookie: await signIn(operator.key) },
    });
    expect([signOut.status, sessionCookieOf(signOut)]).toEqual([403, '']);
  });

  test('shows an error page for a sign-in form that is too large or has another content type', async () => {
    const responses = [
      await signInToConsole(api.url, { key: 'x'.repeat(300_000) }),
      await signInToConsole(api.url, { key: 'x'.repeat(9_000) }),
      await fetch(`${api.url}/console/sign-in`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'text/json', ...FROM_OWN_PAGE },
      }),
    ];
    expect(responses.map(({ status }) => status)).toEqual([413, 400, 415]);
    for (const response of responses) expect(response.headers.get('content-type')).toContain('text/html');
  });

  test('limits sign-ins by address', async () => {
    const limited = await startApiWithoutBackends({
      auth: authOf(operator),
      protection: { requestsPerMinute: 3 },
    });
    try {
      const send = () => signInToConsole(limited.url, { key: 'wop_guess' });
      const statuses = [await send(), await send(), await send(), await send()].map(({ status }) => status);
      expect(statuses).toEqual([403, 403, 403, 429]);
    } finally {
      await limited.close();
    }
  });
});

describe('the console of an API without authentication', () => {
  test('needs no sign-in', async () => {
    const api = await startApiWithoutBackends({});
    try {
      const home = await fetch(`${api.url}/console`);
      expect(home.status).toBe(200);
      expect(await home.text()).toContain('No sign-in needed');
      const signInPage = await fetch(`${api.url}/console/sign-in?next=/console/account`);
      expect(signInPage.url).toBe(`${api.url}/console/account`);
      expect(await signInPage.text()).toContain('this API runs without authentication');
      expect((await signInToConsole(api.url, { key: 'wop_any' })).status).toBe(405);
    } finally {
      await api.close();
    }
  });
});
