import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALLER_ROLES } from '../../../src/schemas/api-key.js';
import { requiredRoles, type RouteContract } from '../../../src/api/http/route-contract.js';
import { createHttpMetrics } from '../../../src/observability/metrics/http.js';
import { buildTestApp } from '../../support/api/api.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { FROM_OWN_PAGE } from '../../support/api/sign-in.js';
import { createUnreachableBackends } from '../../support/api/unreachable-backends.js';

const caller = createCaller([...CALLER_ROLES]);
const host = '127.0.0.1:3000';

interface ConsoleForm {
  url: string;
  contract: RouteContract;
}

/** Builds the API and returns all routes of the console that accept a form. */
async function buildApp(auth: 'open' | ReturnType<typeof authOf>) {
  const backends = await createUnreachableBackends();
  const forms: ConsoleForm[] = [];
  // The first plugin of the API, so that its hook sees every route.
  const plugin = fp(async (app: FastifyInstance) => {
    app.addHook('onRoute', ({ method, url, config }) => {
      if (method === 'POST' && url.startsWith('/console')) forms.push({ url, contract: config!.contract! });
    });
  });
  const app = await buildTestApp({ ...backends, auth, metrics: { ...createHttpMetrics(new Registry()), plugin } });
  await app.ready();
  const close = () => app.close().then(() => backends.close());
  return { app, forms, close };
}

const FOREIGN: [string, Record<string, string>][] = [
  ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
  ['another page of the same site', { 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:8080' }],
  ['another origin, over plain http', { origin: 'http://127.0.0.1:8080' }],
  ['an unknown source', {}],
];

/** The status of each form when it is empty and no backend is reachable. 503 means that the form reached its service. */
const STATUS_OF_EMPTY_FORM = {
  '/console/approvals/:approvalId/decision': 503,
  '/console/approvals/:approvalId/withdraw': 503,
  '/console/batches/:batchId/cancel': 503,
  '/console/batches/:batchId/pause': 503,
  '/console/batches/:batchId/resume': 503,
  '/console/batches/:batchId/retry': 503,
  // This form sends a file and not URL-encoded fields.
  '/console/batches/upload': 415,
  '/console/bulk/batches': 400,
  '/console/bulk/orders': 400,
  '/console/carts/:cartId/abandon': 503,
  '/console/carts/:cartId/add': 503,
  '/console/carts/:cartId/checkout': 503,
  '/console/carts/:cartId/items/:sku/remove': 503,
  '/console/carts/:cartId/items/:sku/set': 503,
  '/console/orders/:orderId/cancel': 503,
  '/console/orders/:orderId/compensation': 503,
  '/console/orders/:orderId/delivery': 503,
  '/console/start/approval': 400,
  '/console/start/approval/curl': 200,
  '/console/start/cart': 400,
  '/console/start/cart/curl': 200,
  '/console/start/order': 400,
  '/console/start/order/curl': 200,
};

/** The forms that exist only with authentication. An empty sign-in has no valid key. */
const STATUS_OF_SESSION_FORM = { '/console/sign-in': 403, '/console/sign-out': 303 };

describe.each([
  ['with authentication', authOf(caller)],
  ['without authentication', 'open' as const],
])('forms of a console %s', (_mode, auth) => {
  let app: FastifyInstance;
  let forms: ConsoleForm[];
  let close: () => Promise<void>;
  let cookie = '';

  beforeAll(async () => {
    ({ app, forms, close } = await buildApp(auth));
    if (auth !== 'open') cookie = await signIn();
  });
  afterAll(() => close?.());

  const send = (url: string, headers: Record<string, string>, payload = '') =>
    app.inject({
      method: 'POST',
      url: url.replaceAll(/:\w+/g, 'some-id'),
      headers: { host, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      payload,
    });

  async function signIn(): Promise<string> {
    const { headers } = await send('/console/sign-in', FROM_OWN_PAGE, `key=${caller.key}`);
    return String(headers['set-cookie']).split(';')[0]!;
  }

  test('the console has forms', () => {
    expect(forms.length).toBeGreaterThan(5);
  });

  test.each(FOREIGN)('returns 403 for every form from %s', async (_source, headers) => {
    for (const { url } of forms) {
      const { statusCode, headers: received } = await send(url, { cookie, ...headers });
      expect([url, statusCode, received['set-cookie']]).toEqual([url, 403, undefined]);
    }
  });

  if (auth !== 'open')
    test('a form without a session leads to the sign-in page, and then back to its page', async () => {
      const signInUrl = `/console/sign-in?next=${encodeURIComponent('/console/orders?tab=2')}`;
      const withRoles = forms.filter(({ contract }) => requiredRoles(contract));
      expect(withRoles.length).toBeGreaterThan(4);
      for (const { url } of withRoles) {
        const headers = { ...FROM_OWN_PAGE, referer: `http://${host}/console/orders?tab=2` };
        const { statusCode, headers: received } = await send(url, headers);
        expect([url, statusCode, received.location]).toEqual([url, 303, signInUrl]);
      }
    });

  test('a GET of the path of every form opens the page of the form', async () => {
    const get = (url: string, session: string) => app.inject({ url, headers: { host, cookie: session } });
    for (const { url } of forms) {
      const path = url.replaceAll(/:\w+/g, 'some-id');
      const { statusCode, headers } = await get(path, cookie);
      // A form on its own page.
      if (statusCode !== 303) {
        expect([path, statusCode]).toEqual([path, expect.toBeOneOf([200, 503])]);
        continue;
      }
      // The page is above the path of the form.
      expect(path.startsWith(`${headers.location!}/`), `${path} leads to ${headers.location}`).toBe(true);
      const page = await get(headers.location!, cookie);
      expect([path, page.statusCode, page.headers['content-type']]).toEqual([
        path,
        expect.toBeOneOf([200, 503]),
        'text/html; charset=utf-8',
      ]);
    }
    expect((await get('/console/carts/cart-1/items/MUG/set?x=1', cookie)).headers.location).toBe(
      '/console/carts/cart-1',
    );
    if (auth === 'open') return;
    const signIn = `/console/sign-in?next=${encodeURIComponent('/console/carts/cart-1/add')}`;
    expect((await get('/console/carts/cart-1/add', '')).headers.location).toBe(signIn);
  });

  test('a GET of the upload form opens the list of batches', async () => {
    const { headers } = await app.inject({ url: '/console/batches/upload', headers: { host, cookie } });
    expect(headers.location).toBe('/console/batches');
  });

  test('processes every form from a page of the console itself', async () => {
    const statuses: Record<string, number> = {};
    for (const { url } of forms) statuses[url] = (await send(url, { cookie, ...FROM_OWN_PAGE })).statusCode;
    expect(statuses).toEqual({ ...STATUS_OF_EMPTY_FORM, ...(auth !== 'open' && STATUS_OF_SESSION_FORM) });
  });
});
