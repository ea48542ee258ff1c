import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCursors } from '../../../src/api/http/lists/cursors.js';
import { HttpProblem } from '../../../src/api/problems/http-problem.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import type { Product } from '../../../src/schemas/product.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { waitUntil } from '../../support/processes.js';
import { CURSOR_SECRET, startApi, type Api } from '../../support/api/api.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { createDatabase } from '../../support/database/database.js';
import { createUnreachableBackends, startApiWithoutBackends } from '../../support/api/unreachable-backends.js';

const operator = createCaller(['operator']);
const [ada, bob] = [createCaller(['shopper']), createCaller(['shopper'])] as const;
const auth = authOf(operator, ada, bob);
const JSON_TYPE = { 'content-type': 'application/json' };

async function withApi(
  options: Parameters<typeof startApiWithoutBackends>[0],
  run: (api: Api) => Promise<void>,
): Promise<void> {
  const api = await startApiWithoutBackends(options);
  try {
    await run(api);
  } finally {
    await api.close();
  }
}

describe.concurrent('malformed HTTP', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApiWithoutBackends({ auth });
  });
  afterAll(() => api?.close());

  /** Sends raw bytes and reads the response until the API closes the connection. */
  async function countResponseBytes(sent: string) {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.setTimeout(14_000, () => socket.destroy(new Error('no response')));
    socket.write(sent);
    const received = await readAll(socket);
    const [head, body] = received.split('\r\n\r\n') as [string, string];
    const [statusLine, ...lines] = head.split('\r\n');
    const headers = new Headers(lines.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
    return {
      status: Number(statusLine!.split(' ')[1]),
      headers,
      body: JSON.parse(body) as Problem,
      length: body.length,
    };
  }

  const host = 'Host: localhost\r\n';
  test.each<[string, number, string, string, RegExp]>([
    ['not HTTP', 400, 'malformed-request', 'hello\r\n\r\n', /not an HTTP request/],
    ['TLS', 400, 'malformed-request', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /not an HTTP request/],
    [
      'a malformed header line',
      400,
      'malformed-request',
      `GET /livez HTTP/1.1\r\n${host}no header\r\n\r\n`,
      /not an HTTP request/,
    ],
    [
      'two Content-Length headers',
      400,
      'malformed-request',
      `POST /v1/orders HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`,
      /not an HTTP request/,
    ],
    [
      'Content-Length and chunked encoding (request smuggling)',
      400,
      'malformed-request',
      `POST /v1/orders HTTP/1.1\r\n${host}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      /not an HTTP request/,
    ],
    [
      'headers of more than 16 KiB',
      431,
      'headers-too-large',
      `GET /livez HTTP/1.1\r\n${host}X-Large: ${'x'.repeat(17_000)}\r\n\r\n`,
      /more than 16384 bytes/,
    ],
    [
      'a path of more than 16 KiB',
      431,
      'headers-too-large',
      `GET /${'x'.repeat(17_000)} HTTP/1.1\r\n${host}\r\n`,
      /16384/,
    ],
  ])(
    'answers an invalid HTTP request with a problem and closes the connection: %s, %i %s',
    async (_description, status, problemTypeOf, sent, detail) => {
      const response = await countResponseBytes(sent);

      expect([response.status, response.body.type]).toEqual([status, `/problems/${problemTypeOf}`]);
      expect(response.body).toMatchObject({ status, title: expect.any(String) });
      expect(response.body.detail ?? '').toMatch(detail);
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect(response.headers.get('x-request-id')).toBe(response.body.requestId);
      expect(response.headers.get('connection')).toBe('close');
      expect(Number(response.headers.get('content-length'))).toBe(response.length);
    },
  );

  test('the API serves other clients after a connection reset', async () => {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write('POST /v1/orders HTTP/1.1\r\n');
    socket.resetAndDestroy();
    await once(socket, 'close');

    expect((await api.get('/livez')).status).toBe(200);
  });

  // This test takes ten seconds, because it waits for the time limit.
  test('the API returns 408 with the time limit for an unfinished body, and closes the connection', async () => {
    const key = `X-API-Key: ${operator.key}\r\n`;
    const response = await countResponseBytes(
      `POST /v1/orders HTTP/1.1\r\n${host}${key}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );

    expect([response.status, response.body.type]).toEqual([408, '/problems/request-timeout']);
    expect(response.body.detail).toContain('10 seconds');
    expect(response.headers.get('connection')).toBe('close');
    expect(response.headers.get('x-request-id')).toBe(response.body.requestId);
  });

  test('the API returns 408 for unfinished headers, and closes the connection', async () => {
    const response = await countResponseBytes(`GET /livez HTTP/1.1\r\n${host}X-Slow: `);

    expect([response.status, response.body.type]).toEqual([408, '/problems/request-timeout']);
    expect(response.headers.get('connection')).toBe('close');
  });

  test.each(['/v1/orders', '/v1/batches?operation=restock'])(
    'the API closes the connection when a rejected request to %s never ends its body',
    async (path) => {
      const response = await countResponseBytes(
        `POST ${path} HTTP/1.1\r\n${host}Content-Type: text/csv\r\nContent-Length: 1000000\r\n\r\nx`,
      );

      expect([response.status, response.body.type]).toEqual([401, '/problems/unauthorized']);
    },
  );

  test('a request without a Host header returns 400', async () => {
    const { status, body } = await countResponseBytes('GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n');
    expect([status, body.type]).toEqual([400, '/problems/malformed-request']);
  });
});

describe('request size limits', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApiWithoutBackends({ auth, batchUploadLimits: { maxBytes: 1_000 } });
  });
  afterAll(() => api?.close());

  const post = (path: string, text: string, headers = JSON_TYPE) => operator.send(api, 'POST', path, { text, headers });

  test.each([
    ['a body', '/v1/orders', 262_144, JSON_TYPE],
    ['an upload', '/v1/batches?operation=restock', 1_000, { 'content-type': 'text/csv' }],
  ])('returns 413 with the limit for %s that is too large', async (_description, path, limit, headers) => {
    const { status, body } = await post(path, 'x'.repeat(limit + 1), headers);

    expect([status, body.type]).toEqual([413, '/problems/too-large']);
    expect(body.detail).toContain(`more than ${limit} bytes`);
  });

  test('returns 413 for a body without Content-Length that is too large', async () => {
    const chunk = new TextEncoder().encode('x'.repeat(64 * 1024));
    let left = 6;
    const body = new ReadableStream<Uint8Array>({
      pull: (stream) => (left-- > 0 ? stream.enqueue(chunk) : stream.close()),
    });
    const headers = { ...operator.authHeader, ...JSON_TYPE };
    const response = await fetch(`${api.url}/v1/orders`, {
      method: 'POST',
      headers,
      body,
      duplex: 'half',
    });

    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining('262144') });
  });

  const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  test.each<[string, string, string]>([
    ['nested at the maximum depth', nested(32), 'invalid-request'],
    ['one level too deep', nested(33), 'malformed-request'],
    ['a hundred thousand levels deep', nested(100_000), 'malformed-request'],
    ['brackets within a string', JSON.stringify({ text: '[{'.repeat(100) }), 'invalid-request'],
    ['brackets behind an escaped quote', JSON.stringify({ text: `"${'['.repeat(100)}\\` }), 'invalid-request'],
    ['levels behind a string that ends in a backslash', `["\\\\",${nested(40)}]`, 'malformed-request'],
    ['unclosed levels', '{"a":'.repeat(40), 'malformed-request'],
    ['the name __proto__', '{"customerId":"a","__proto__":{"x":1}}', 'malformed-request'],
    ['an escaped __proto__', '{"\\u005f_proto__":{"x":1}}', 'malformed-request'],
    ['the names constructor and prototype', '{"constructor":{"prototype":{"x":1}}}', 'malformed-request'],
  ])('returns 400 for nested or unsafe JSON: %s (%#)', async (_description, text, problemTypeOf) => {
    const { status, body } = await post('/v1/orders', text);

    expect([status, body.type]).toEqual([400, `/problems/${problemTypeOf}`]);
    if (/deep/.test(body.detail ?? '')) expect(body.detail).toContain('32 levels');
  });
});

describe('response headers', () => {
  const PAGE = 'https://shop.example.com';
  let api: Api;
  beforeAll(async () => {
    api = await startApiWithoutBackends({ auth, protection: { corsOrigins: [PAGE], hstsMaxAgeSeconds: 600 } });
  });
  afterAll(() => api?.close());

  test.each(['/livez', '/v1/orders', '/nowhere', '/problems', '/openapi.json'])(
    'sends security headers with the response to %s',
    async (path) => {
      const { headers } = await fetch(api.url + path);

      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBeTruthy();
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'/);
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('strict-transport-security')).toMatch(/max-age=600/);
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('server')).toBeNull();
    },
  );

  test('the API sends no HSTS header by default', async () => {
    await withApi({}, async (plain) => {
      expect((await plain.get('/livez')).headers.get('strict-transport-security')).toBeNull();
    });
  });

  test('CORS allows a configured origin and exposes the response headers, even of problems', async () => {
    for (const headers of [operator.authHeader, {}]) {
      const response = await api.request('POST', '/v1/orders', { json: {}, headers: { ...headers, origin: PAGE } });

      expect(response.headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(response.headers.get('vary')).toMatch(/origin/i);
      const readable = response.headers.get('access-control-expose-headers')!.split(/, */);
      expect(readable).toEqual(
        expect.arrayContaining(['location', 'retry-after', 'x-request-id', 'idempotent-replayed']),
      );
      expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    }
  });

  test.each([
    'https://evil.example.com',
    'http://shop.example.com',
    'https://shop.example.com:8443',
    'https://shop.example.com.evil.com',
    'null',
  ])('CORS does not allow the origin %s', async (origin) => {
    const { headers } = await operator.send(api, 'POST', '/v1/orders', { json: {}, headers: { origin } });
    expect(headers.get('access-control-allow-origin')).not.toBe(origin);
    expect(headers.get('access-control-allow-origin')).not.toBe('*');
  });

  test.each(['POST', 'PATCH', 'DELETE'])('CORS allows a preflight for %s without an API key', async (method) => {
    const { status, headers } = await api.request<string>('OPTIONS', '/v1/carts/any/items', {
      headers: {
        origin: PAGE,
        'access-control-request-method': method,
        'access-control-request-headers': 'content-type,idempotency-key,x-api-key,authorization',
      },
    });

    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(PAGE);
    expect(headers.get('access-control-allow-methods')).toContain(method);
    expect(headers.get('access-control-allow-headers')).toMatch(/idempotency-key.*x-api-key.*authorization/);
    expect(headers.get('access-control-max-age')).toBe('600');
  });

  test('OPTIONS for an unknown path returns 404, even for a preflight request', async () => {
    for (const headers of [{}, { origin: PAGE, 'access-control-request-method': 'POST' }]) {
      const { status, body } = await api.request('OPTIONS', '/v1/nothing-here', { headers });
      expect([status, body.type]).toEqual([404, '/problems/not-found']);
    }
  });

  test('the API sends no CORS headers when no origin is configured', async () => {
    await withApi({ auth }, async (closed) => {
      const { headers } = await operator.send(closed, 'GET', '/livez', { headers: { origin: PAGE } });
      expect(headers.get('access-control-allow-origin')).toBeNull();
    });
  });
});

describe('rate limits', () => {
  const LIMIT = 3;
  const withRateLimit = (run: (api: Api) => Promise<void>) =>
    withApi({ auth, protection: { requestsPerMinute: LIMIT } }, run);
  const listProducts = (api: Api, by: { send: typeof ada.send }) => by.send<Problem>(api, 'GET', '/v1/products');

  test('above its rate limit, a caller gets 429 with Retry-After, but other callers and health checks are served', async () => {
    await withRateLimit(async (api) => {
      for (let number = 0; number < LIMIT; number += 1) expect((await listProducts(api, ada)).status).toBe(503);
      const { status, headers, body } = await listProducts(api, ada);

      expect([status, body.type]).toEqual([429, '/problems/too-many-requests']);
      expect(body.detail).toBe('the limit is 3 requests per minute');
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect(headers.get('x-request-id')).toBe(body.requestId);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(60);
      expect(headers.get('ratelimit-limit')).toBe('3');
      expect((await ada.send(api, 'GET', '/v1/orders')).status).toBe(429);
      expect((await listProducts(api, bob)).status).toBe(503);
      for (const path of ['/livez', '/readyz', '/problems', '/openapi.json']) {
        expect((await fetch(api.url + path)).status).not.toBe(429);
      }
    });
  });

  test('the rate limit counts invalid keys by address and does not affect valid keys', async () => {
    await withRateLimit(async (api) => {
      const guessKey = (number: number) =>
        api.request<Problem>('GET', '/v1/products', { headers: { 'x-api-key': `wop_guess-${number}` } });
      for (let number = 0; number < LIMIT; number += 1) expect((await guessKey(number)).status).toBe(401);

      expect((await guessKey(LIMIT)).status).toBe(429);
      expect((await api.get('/v1/products')).status).toBe(429);
      expect((await listProducts(api, ada)).status).toBe(503);
    });
  });

  test('the rate limit ignores the addresses in forwarding headers', async () => {
    await withRateLimit(async (api) => {
      const requestFrom = (address: string) =>
        api.request('GET', '/v1/products', { headers: { 'x-forwarded-for': address, forwarded: `for=${address}` } });
      for (let number = 0; number < LIMIT; number += 1)
        expect((await requestFrom(`10.0.0.${number}`)).status).toBe(401);
      expect((await requestFrom('10.0.0.99')).status).toBe(429);
    });
  });

  test('no rate limit applies when none is configured', async () => {
    await withApi({ auth }, async (api) => {
      const { status, headers } = await listProducts(api, ada);
      expect([status, headers.get('ratelimit-limit')]).toEqual([503, null]);
    });
  });
});

test('while the event loop lags, the API returns 503 overloaded and stays live, and then recovers', async () => {
  await withApi({ auth, protection: { maxEventLoopDelayMs: 20 } }, async (api) => {
    const problemTypeOf = async (path: string) => (await operator.send<Problem>(api, 'GET', path)).body.type;
    const block = () => {
      const until = performance.now() + 400;
      while (performance.now() < until);
    };
    const isOverloaded = async () => {
      block();
      return (await problemTypeOf('/v1/products')) === '/problems/overloaded' || undefined;
    };
    await waitUntil(isOverloaded, { description: 'the API reporting the overload', timeoutMs: 20_000, intervalMs: 0 });

    const { status, headers } = await operator.send(api, 'POST', '/v1/orders', { json: {} });
    expect([status, headers.get('retry-after')]).toEqual([503, '5']);
    const page = await fetch(`${api.url}/console/account`, { headers: operator.authHeader });
    expect([page.status, page.headers.get('content-type')]).toEqual([503, 'text/html; charset=utf-8']);
    expect((await api.get('/livez')).status).toBe(200);
    expect((await api.get('/readyz')).body).toMatchObject({ status: 'not ready' });

    const isRelieved = async () => (await problemTypeOf('/v1/products')) === '/problems/store-unavailable' || undefined;
    await waitUntil(isRelieved, { description: 'the end of the overload', timeoutMs: 20_000 });
  });
});

describe('list cursors', () => {
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let away: Awaited<ReturnType<typeof createUnreachableBackends>>;
  let store: Store;
  let api: Api;
  const skus = ['A-1', 'B-2', 'C-3'];

  beforeAll(async () => {
    [database, away] = await Promise.all([createDatabase(), createUnreachableBackends()]);
    store = openStore({ databaseUrl: database.url, maxConnections: 2, onIdleError: () => undefined });
    await store.addProducts(
      skus.map((sku): Product => ({ sku, name: sku, price: { value: 1, currency: 'EUR' }, available: 1 })),
    );
    api = await startApi({ client: away.client, store, auth });
  });
  afterAll(async () => {
    await api?.close();
    await store?.close();
    await away?.close();
    await database?.drop();
  });

  type Page = Problem & { items: { sku: string }[]; nextCursor?: string };
  const list = async (cursor?: string, path = '/v1/products') => {
    const query = new URLSearchParams({ limit: '1', ...(cursor !== undefined && { cursor }) });
    const { status, body } = await operator.send<Page>(api, 'GET', `${path}?${query.toString()}`);
    return { status, skus: body.items?.map(({ sku }) => sku), next: body.nextCursor, errors: body.errors };
  };
  const refusedPage = { status: 400, errors: [{ pointer: '/cursor', detail: expect.stringContaining('nextCursor') }] };

  test('pages through all products with opaque cursors', async () => {
    const seen: string[] = [];
    for (let cursor: string | undefined, pages = 0; pages === 0 || cursor !== undefined; pages += 1) {
      const page = await list(cursor);
      seen.push(...page.skus);
      cursor = page.next;
      if (cursor) expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
    }
    expect(seen).toEqual(skus);
  });

  test('rejects a changed, truncated or invented cursor with 400', async () => {
    const { next } = await list();
    const countResponseBytes = Buffer.from(next!, 'base64url');
    const changed = [...countResponseBytes.keys()].map((at) => {
      const other = Buffer.from(countResponseBytes);
      other[at]! ^= 1;
      return other;
    });
    const made = [
      Buffer.from('A-1'),
      Buffer.alloc(16),
      countResponseBytes.subarray(1),
      countResponseBytes.subarray(0, -1),
      Buffer.concat([countResponseBytes, countResponseBytes]),
    ];

    for (const countResponseBytes of [...changed, ...made])
      expect(await list(countResponseBytes.toString('base64url'))).toMatchObject(refusedPage);
  });

  test('rejects the cursor of another type of list with 400', async () => {
    const { next } = await list();

    for (const path of ['/v1/orders', '/v1/approvals', '/v1/batches'])
      expect(await list(next, path)).toMatchObject(refusedPage);
  });

  test('accepts a cursor only together with the customer and status filters of its list', async () => {
    const cursors = createCursors([CURSOR_SECRET]);
    const place = JSON.stringify({ placedAt: new Date().toISOString(), orderId: randomUUID() });
    const cursor = cursors.encode('orders', { customerId: ada.id }, Buffer.from(place));
    const orders = (by: typeof ada, query = '') =>
      by.send<Problem>(api, 'GET', `/v1/orders?cursor=${cursor}${query}`).then(({ status }) => status);

    expect(await orders(ada)).toBe(200);
    expect(await orders(operator, `&customerId=${ada.id}`)).toBe(200);
    expect(await orders(bob)).toBe(400);
    expect(await orders(operator)).toBe(400);
    expect(await orders(ada, '&status=failed')).toBe(400);
  });

  test('during a rotation of the secret, accepts old cursors and signs new cursors with the new secret', () => {
    const [before, during, after] = [['old'], ['new', 'old'], ['new']].map(createCursors);
    const place = Buffer.from([0, 255, 1]);
    const ofOld = before!.encode('batches', {}, place);
    const ofNew = during!.encode('batches', {}, place);

    expect(during!.decode('batches', {}, ofOld)).toEqual(place);
    expect(after!.decode('batches', {}, ofNew)).toEqual(place);
    expect(() => after!.decode('batches', {}, ofOld)).toThrow(HttpProblem);
    expect(() => before!.decode('batches', {}, ofNew)).toThrow(HttpProblem);
    expect(during!.decode('batches', {}, during!.encode('batches', {}, Buffer.alloc(0)))).toHaveLength(0);
  });

  test('a cursor is valid for the same filters in any sequence', () => {
    const cursors = createCursors(['secret']);
    const cursor = cursors.encode('orders', { status: 'failed', customerId: 'ada' }, Buffer.from('x'));
    expect(cursors.decode('orders', { customerId: 'ada', status: 'failed' }, cursor).toString()).toBe('x');
    expect(() => cursors.decode('orders', { customerId: 'failed', status: 'ada' }, cursor)).toThrow(HttpProblem);
  });
});
