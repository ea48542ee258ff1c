import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from '../../support/api/api.js';
import { describeInBrowser, useBrowser } from '../../support/api/browser.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { DEVICES, expectGoodPage, takeStatusError } from '../../support/api/console-pages.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';
import { startIdentityProvider, type TestIdentityProvider } from '../../support/network/identity-provider.js';

const operator = createCaller(['operator']);
const approver = createCaller(['approver']);
const inspector = createCaller(['inspector']);
const TOKEN_SECONDS = 20;

/** Serves an empty page on a free port. */
async function serveEmptyPage(): Promise<Server> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Another page</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

describeInBrowser('sign-in to the console in a browser', () => {
  let api: Api;
  let provider: TestIdentityProvider;
  let webUi: Server;
  let otherPage: Server;

  beforeAll(async () => {
    [webUi, otherPage] = await Promise.all([serveEmptyPage(), serveEmptyPage()]);
    provider = await startIdentityProvider({ roles: { olga: ['operator'] }, tokenSeconds: TOKEN_SECONDS });
    const { tokens, oidc } = provider;
    api = await startApiWithoutBackends({
      auth: { ...authOf(operator, approver, inspector), tokens, oidc },
      protection: { codecOrigins: [originOf(webUi)] },
    });
  });
  afterAll(async () => {
    await api?.close();
    await provider?.close();
    webUi?.close();
    otherPage?.close();
  });

  const browser = useBrowser();
  const open = (path: string, options: BrowserContextOptions = {}, url = api.url) => browser.open(url + path, options);

  async function signIn(page: Page, key: string): Promise<void> {
    await page.getByLabel('API key or token').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }
  const navigationOf = (page: Page) => page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts();
  const signOutButton = (page: Page) => page.getByRole('button', { name: 'Sign out' });

  test.each(DEVICES)('the pages of the sign-in are readable and accessible on $device', async ({ options }) => {
    const opened = await open('/console/account', options);
    await expectGoodPage(opened);
    const { page } = opened;
    await signIn(page, 'wop_wrong');
    expect(await page.getByRole('alert').innerText()).toBe('Invalid API key or token.');
    takeStatusError(opened, 403);
    await expectGoodPage(opened);
    await signIn(page, inspector.key);
    await page.getByRole('heading', { name: `Signed in as ${inspector.id}` }).waitFor();
    expect(await page.getByRole('main').innerText()).toContain(`${api.url}/codec`);
    await expectGoodPage(opened);
  });

  test('signs in and out with the keyboard and without JavaScript', async () => {
    const { page } = await open('/console/account', { javaScriptEnabled: false });
    // The skip link, the title of the console, and the sign-in with the provider come first.
    for (let press = 0; press < 4; press += 1) await page.keyboard.press('Tab');
    await page.keyboard.type(operator.key);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: `Signed in as ${operator.id}` }).waitFor();
    await signOutButton(page).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(await page.context().cookies(api.url)).toEqual([]);
    await page.goto(`${api.url}/console/account`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  test.each([
    ['an operator', operator, ['Home', 'Orders', 'Approvals', 'Batches', 'Carts', 'Products', 'Start']],
    ['an approver', approver, ['Home', 'Approvals', 'Products', 'Start']],
    ['an inspector', inspector, ['Products']],
  ])('the roles of %s decide which pages the console offers', async (_who, caller, sections) => {
    const { page } = await open('/console/account');
    await signIn(page, caller.key);
    await signOutButton(page).waitFor();
    expect(await navigationOf(page)).toEqual(sections);
    const statusOf = async (path: string) => (await page.goto(api.url + path))!.status();
    expect((await statusOf('/console/orders')) === 403).toBe(!sections.includes('Orders'));
    expect(await page.getByRole('main').innerText()).not.toContain('undefined');
  });

  test('a session ends when its key is revoked', async () => {
    const { page } = await open('/console/account');
    await signIn(page, operator.key);
    await signOutButton(page).waitFor();
    // Browsers share the cookies of all ports of a host.
    const restarted = await startApiWithoutBackends({ auth: authOf(approver) });
    try {
      await page.goto(`${restarted.url}/console/account`);
      expect(page.url()).toContain('/console/sign-in');
      await page.goto(`${api.url}/console/account`);
      await signOutButton(page).waitFor();
    } finally {
      await restarted.close();
    }
  });

  test('the session of an inspector lets only the Web UI decrypt payloads', async () => {
    const { page } = await open('/console/account');
    await signIn(page, inspector.key);
    await signOutButton(page).waitFor();
    const decodeFrom = async (server: Server) => {
      await page.goto(originOf(server));
      return await page.evaluate(async (url) => {
        const headers = { 'content-type': 'application/json' };
        const sent = fetch(url, { method: 'POST', body: '{"payloads":[]}', headers, credentials: 'include' });
        return await sent.then(({ status }) => status).catch(() => 'blocked by the browser');
      }, `${api.url}/codec/decode`);
    };
    expect(await decodeFrom(webUi)).toBe(200);
    expect(await decodeFrom(otherPage)).toBe('blocked by the browser');
  });

  test('signs in with the identity provider of another site, and says when the session has ended with the token', async () => {
    const { port } = new URL(api.url);
    const origin = `http://localhost:${port}`;
    await provider.allowRedirects(origin);
    const { page } = await open('/console', {}, origin);
    await page.getByRole('link', { name: `Sign in with ${new URL(provider.tokens.issuer).host}` }).click();
    await page.getByPlaceholder('Enter any login').fill('olga');
    await page.getByPlaceholder('and password').fill('any');
    await page.getByRole('button', { name: 'Sign-in' }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByText('olga', { exact: true }).waitFor();
    expect(new URL(page.url()).href).toBe(`${origin}/console`);
    expect(await navigationOf(page)).toContain('Orders');

    const timeout = (TOKEN_SECONDS + 20) * 1_000;
    await page.getByText('Your session has ended.').waitFor({ timeout });
    await page.reload();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });
});
