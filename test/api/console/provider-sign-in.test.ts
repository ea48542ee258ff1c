import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Api } from '../../support/api/api.js';
import { createBrowserSession, signInAtProvider } from '../../support/api/sign-in.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';
import { startIdentityProvider, type TestIdentityProvider } from '../../support/network/identity-provider.js';

const roles = { olga: ['operator' as const], ida: ['inspector' as const], bob: [] };

const startApi = async (provider: TestIdentityProvider): Promise<Api> => {
  const { tokens, oidc } = provider;
  const api = await startApiWithoutBackends({ auth: { apiKeys: [], tokens, oidc } });
  await provider.allowRedirects(api.url);
  return api;
};

describe('sign-in with an identity provider', () => {
  let provider: TestIdentityProvider;
  let api: Api;

  beforeAll(async () => {
    provider = await startIdentityProvider({ roles });
    api = await startApi(provider);
  });
  afterEach(() => provider.setFailing(false));
  afterAll(async () => {
    await api?.close();
    await provider?.close();
  });

  const startSignIn = (browser = createBrowserSession()) => browser.open(`${api.url}/console/sign-in/provider`);
  const callbackWith = (query: Record<string, string>) =>
    `${api.url}/console/sign-in/callback?${new URLSearchParams(query).toString()}`;

  test('signs a caller in with the roles of the token, until the token expires', async () => {
    const browser = createBrowserSession();
    const page = await browser.open(`${api.url}/console/sign-in`);
    expect(await page.text()).toContain(`Sign in with ${new URL(provider.tokens.issuer).host}`);

    const callback = await signInAtProvider({ browser, api, login: 'olga', next: '/console?tab=2' });
    const completed = await browser.open(callback);
    expect([completed.status, completed.headers.get('location')]).toEqual([303, '/console?tab=2']);
    const home = await (await browser.open(`${api.url}/console`)).text();
    expect(home).toContain('>olga</a>');
    expect(home).toContain('(operator)');
    const cookies = completed.headers.getSetCookie();
    const maxAge = Number(/^session=[^;]+; Path=\/; Max-Age=(\d+)/m.exec(cookies.join('\n'))?.[1]);
    expect(maxAge).toBeGreaterThan(500);
    expect(maxAge).toBeLessThanOrEqual(600);
    expect(cookies.join()).toContain('sign-in=; Path=/; Max-Age=0');
  });

  test('sends the caller to the provider with PKCE, a state and a nonce, and keeps them in a cookie', async () => {
    const [first, second] = [await startSignIn(), await startSignIn()];
    expect(first.status).toBe(303);
    expect(first.headers.get('set-cookie')).toMatch(/^sign-in=[^;]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/);
    const query = Object.fromEntries(new URL(first.headers.get('location')!).searchParams);
    expect(query).toMatchObject({
      response_type: 'code',
      client_id: provider.oidc.clientId,
      redirect_uri: `${api.url}/console/sign-in/callback`,
      scope: 'openid',
      code_challenge_method: 'S256',
    });
    const others = new URL(second.headers.get('location')!).searchParams;
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(query[name]!.length).toBeGreaterThanOrEqual(43);
      expect(query[name]).not.toBe(others.get(name));
    }
  });

  test('a caller without a home page starts on the page of the account', async () => {
    const browser = createBrowserSession();
    const completed = await browser.open(await signInAtProvider({ browser, api, login: 'ida' }));
    expect(completed.headers.get('location')).toBe('/console/account');
  });

  test('a caller without a role gets no session, and the page says why', async () => {
    const browser = createBrowserSession();
    const completed = await browser.open(await signInAtProvider({ browser, api, login: 'bob' }));
    expect(completed.status).toBe(403);
    expect(await completed.text()).toContain('bob has no role');
    expect((await browser.open(`${api.url}/console`)).status).toBe(303);
  });

  test('rejects a callback in another browser than the one that started the sign-in', async () => {
    const callback = await signInAtProvider({ browser: createBrowserSession(), api, login: 'olga' });
    const otherBrowser = createBrowserSession();
    expect((await otherBrowser.open(callback)).status).toBe(403);
    await startSignIn(otherBrowser);
    expect((await otherBrowser.open(callback)).status).toBe(403);
    expect((await otherBrowser.open(`${api.url}/console`)).status).toBe(303);
  });

  test('rejects a callback that was used before', async () => {
    const browser = createBrowserSession();
    const callback = await signInAtProvider({ browser, api, login: 'olga' });
    expect((await browser.open(callback)).status).toBe(303);
    const repeated = await browser.open(callback);
    expect([repeated.status, repeated.headers.getSetCookie()]).toEqual([403, []]);
  });

  test('a sign-in that the provider denies leads back to the sign-in page', async () => {
    const browser = createBrowserSession();
    const state = new URL((await startSignIn(browser)).headers.get('location')!).searchParams.get('state')!;
    const { issuer } = provider.tokens;
    const denied = await browser.open(callbackWith({ error: 'access_denied', state, iss: issuer }));
    expect(denied.status).toBe(403);
    expect(await denied.text()).toContain('did not complete the sign-in (access_denied)');
  });

  test.each([
    ['an unknown code', { code: 'guessed' }],
    ['another state', { code: 'guessed', state: 'guessed' }],
    ['no parameters', {}],
    ['an error with another state', { error: '<b>', state: 'guessed' }],
  ])('rejects a callback with %s', async (_what, query: Record<string, string>) => {
    const browser = createBrowserSession();
    const state = new URL((await startSignIn(browser)).headers.get('location')!).searchParams.get('state')!;
    const response = await browser.open(callbackWith({ state, iss: provider.tokens.issuer, ...query }));
    expect([response.status, response.headers.getSetCookie()]).toEqual([403, []]);
    expect(await response.text()).not.toContain('<b>');
  });

  test('returns 503 while the provider fails, and works again afterwards', async () => {
    const fresh = await startApi(provider);
    try {
      const browser = createBrowserSession();
      provider.setFailing(true);
      expect((await browser.open(`${fresh.url}/console/sign-in`)).status).toBe(200);
      expect((await browser.open(`${fresh.url}/console/sign-in/provider`)).status).toBe(503);
      provider.setFailing(false);
      const callback = await signInAtProvider({ browser, api: fresh, login: 'olga' });
      provider.setFailing(true);
      expect((await browser.open(callback)).status).toBe(503);
      provider.setFailing(false);
      expect((await browser.open(callback)).status).toBe(303);
    } finally {
      await fresh.close();
      await provider.allowRedirects(api.url);
    }
  });
});

test.each([
  ['access tokens of the provider are not for the API', { hasApiTokens: false }],
  ['the client has no secret', { isPublic: true }],
])('signs a caller in when %s', async (_when, options) => {
  const provider = await startIdentityProvider({ roles, ...options });
  const api = await startApi(provider);
  try {
    const browser = createBrowserSession();
    const completed = await browser.open(await signInAtProvider({ browser, api, login: 'olga' }));
    expect([completed.status, await completed.text()]).toEqual([303, '']);
    expect(await (await browser.open(`${api.url}/console`)).text()).toContain('>olga</a>');
  } finally {
    await api.close();
    await provider.close();
  }
});

test('without OIDC_CLIENT_ID, the sign-in page offers no provider', async () => {
  const provider = await startIdentityProvider({ roles });
  const api = await startApiWithoutBackends({ auth: { apiKeys: [], tokens: provider.tokens } });
  try {
    expect(await (await fetch(`${api.url}/console/sign-in`)).text()).not.toContain('Sign in with');
    for (const path of ['provider', 'callback'])
      expect((await fetch(`${api.url}/console/sign-in/${path}`)).status).toBe(404);
  } finally {
    await api.close();
    await provider.close();
  }
});
