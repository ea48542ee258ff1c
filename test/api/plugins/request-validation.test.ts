import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { createClient } from '../../../src/temporal/connections.js';
import { freePort } from '../../support/processes.js';
import { startApi, type ApiResponse, type Api, type RequestOptions } from '../../support/api/api.js';

// Temporal and the database are unreachable, so the API itself produces every response.
let api: Api;
let store: Store;

beforeAll(async () => {
  const nowhere = `127.0.0.1:${await freePort()}`;
  const client = createClient({ TEMPORAL_ADDRESS: nowhere, TEMPORAL_NAMESPACE: 'default' });
  store = openStore({ databaseUrl: `postgres://${nowhere}/shop`, maxConnections: 1, onIdleError: () => undefined });
  api = await startApi({ client, store });
});
afterAll(async () => {
  await api?.close();
  await store?.close();
});

const line = { sku: 'MUG-BLUE', quantity: 1 };
const order = { customerId: 'ada', lines: [line], payment: { token: 'tok_ok' } };

/** Checks the fields and headers that every problem has. */
function expectProblem({ status, headers, body }: ApiResponse<Problem>, expected: number, kind: string): void {
  expect(status).toBe(expected);
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(body).toMatchObject({ type: `/problems/${kind}`, status: expected });
  expect(body.title).toEqual(expect.any(String));
  expect(body.requestId).toBe(headers.get('x-request-id'));
}

const pointersOf = ({ errors = [] }: Problem) => errors.map(({ pointer }) => pointer).sort();

describe('POST /v1/orders', () => {
  test.each<[string, unknown, string[]]>([
    ['has no lines', { ...order, lines: undefined }, ['/lines']],
    ['has an empty list of lines', { ...order, lines: [] }, ['/lines']],
    ['has a negative quantity', { ...order, lines: [{ ...line, quantity: -1 }] }, ['/lines/0/quantity']],
    ['has a quantity of zero', { ...order, lines: [{ ...line, quantity: 0 }] }, ['/lines/0/quantity']],
    ['has a fractional quantity', { ...order, lines: [{ ...line, quantity: 0.5 }] }, ['/lines/0/quantity']],
    ['has a quantity above the limit', { ...order, lines: [{ ...line, quantity: 1_001 }] }, ['/lines/0/quantity']],
    ['has a string for a number', { ...order, lines: [line, { ...line, quantity: '2' }] }, ['/lines/1/quantity']],
    ['has a number for a string', { ...order, customerId: 7 }, ['/customerId']],
    ['has an unknown field', { ...order, total: 1 }, ['/total']],
    ['has an unknown field within a line', { ...order, lines: [{ ...line, price: 1 }] }, ['/lines/0/price']],
    ['has a field whose name needs escaping', { ...order, 'a/b~c': 1 }, ['/a~1b~0c']],
    [
      'sets the delivery timeout, which clients must not set',
      { ...order, deliveryTimeoutSeconds: 1 },
      ['/deliveryTimeoutSeconds'],
    ],
    ['has more lines than allowed', { ...order, lines: Array.from({ length: 101 }, () => line) }, ['/lines']],
    ['has a NUL character in its token', { ...order, payment: { token: 'tok\0ok' } }, ['/payment/token']],
    ['has a lone surrogate in its token', { ...order, payment: { token: 'tok\ud800' } }, ['/payment/token']],
    ['has a token that is too long', { ...order, payment: { token: 't'.repeat(201) } }, ['/payment/token']],
    ['has no token', { ...order, payment: {} }, ['/payment/token']],
    ['has an invalid id', { ...order, orderId: "x' or 'y" }, ['/orderId']],
    ['has an id that is too long', { ...order, orderId: 'x'.repeat(65) }, ['/orderId']],
    ['has a lower-case SKU', { ...order, lines: [{ ...line, sku: 'mug' }] }, ['/lines/0/sku']],
    ['is an array', [order], ['']],
    ['is null', null, ['']],
    ['is a string', 'order', ['']],
    [
      'is wrong in several places',
      { orderId: '', lines: [{ quantity: -1 }], payment: order.payment, extra: true },
      ['/customerId', '/extra', '/lines/0/quantity', '/lines/0/sku', '/orderId'],
    ],
  ])('returns 400 with each invalid field when an order body %s', async (_description, body, pointers) => {
    const response = await api.post('/v1/orders', body);

    expectProblem(response, 400, 'invalid-request');
    expect(pointersOf(response.body)).toEqual(pointers);
    for (const { detail } of response.body.errors ?? []) expect(detail).not.toBe('');
  });

  test('returns 400 for an order request without a body', async () => {
    expectProblem(await api.request('POST', '/v1/orders'), 400, 'invalid-request');
    const empty = { text: '', headers: { 'content-type': 'application/json' } };
    expectProblem(await api.request('POST', '/v1/orders', empty), 400, 'invalid-request');
  });

  test.each([
    ['is cut off', '{"customerId":'],
    ['sets a prototype', '{"__proto__":{"admin":true}}'],
    ['is nested deeper than 32 levels', '['.repeat(33) + ']'.repeat(33)],
  ])('returns 400 for JSON that %s', async (_description, text) => {
    const response = await api.request('POST', '/v1/orders', { text, headers: { 'content-type': 'application/json' } });

    expectProblem(response, 400, 'malformed-request');
  });

  test.each([
    ['a repeated name', '{"customerId":"ada","customerId":"bob"}', '/customerId'],
    ['a repeated name with the same value', '{"customerId":"ada","customerId":"ada"}', '/customerId'],
    ['a name that is repeated with an escape', '{"customerId":"ada","customer\\u0049d":"bob"}', '/customerId'],
    ['a repeated name within a list', '{"lines":[{},{"sku":"A","a:b":":","sku":"B"}]}', '/lines/1/sku'],
    ['a repeated __PROTO', '{"__PROTO":1,"__PROTO":2}', '/__PROTO'],
  ])('for JSON with %s, returns 400 with the pointer of the name', async (_description, text, pointer) => {
    const response = await api.request('POST', '/v1/orders', { text, headers: { 'content-type': 'application/json' } });

    expectProblem(response, 400, 'invalid-request');
    expect(response.body.errors).toEqual([
      { pointer, detail: 'occurs more than once in the same object: send one value for each name' },
    ]);
  });

  test.each([
    ['0.99999999999999999999', '1'],
    ['9007199254740993', '9007199254740992'],
    ['-1000000000000000.5001', '-1000000000000000.5'],
    ['1e999', 'Infinity'],
    ['1E-999', '0'],
    ['1.0000000000000001e0', '1'],
    ['9'.repeat(50), '1e+50'],
  ])(
    'for the JSON number %s, returns 400 with its pointer and the value that JavaScript would store',
    async (literal, becomes) => {
      const text = `{"customerId":"ada","lines":[{"sku":"A","quantity":1},{"sku":"B","quantity":${literal}}]}`;
      const response = await api.request('POST', '/v1/orders', {
        text,
        headers: { 'content-type': 'application/json' },
      });

      expectProblem(response, 400, 'invalid-request');
      const shown = literal.length > 40 ? `${literal.slice(0, 40)}…` : literal;
      expect(response.body.errors).toEqual([
        {
          pointer: '/lines/1/quantity',
          detail: `cannot be stored exactly: ${shown} would become ${becomes}; send at most 15 digits, as in 12.5`,
        },
      ]);
    },
  );

  test.each(['1', '1.0', '1.000000000000000000000', '1e0', '10E-1', '0.1e1', '100000000000000000000e-20'])(
    'accepts the JSON number %s as a quantity, because it equals 1',
    async (literal) => {
      const text = `{"lines":[{"sku":"A","quantity":${literal}}],"payment":{"token":"tok_ok"}}`;
      const response = await api.request('POST', '/v1/orders', {
        text,
        headers: { 'content-type': 'application/json' },
      });

      expectProblem(response, 400, 'invalid-request');
      expect(pointersOf(response.body)).toEqual(['/customerId']);
    },
  );

  test('rejects a JSON body that is not UTF-8 with 400', async () => {
    const body = Buffer.from([...Buffer.from('{"customerId":"a'), 0xff, ...Buffer.from('"}')]);
    const response = await fetch(`${api.url}/v1/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });

    expect(await response.json()).toMatchObject({ type: '/problems/malformed-request', status: 400 });
  });

  test.each(['text/plain', 'application/xml', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])(
    'returns 415 for an order request with the content type %s',
    async (contentType) => {
      const text = JSON.stringify(order);
      const response = await api.request('POST', '/v1/orders', { text, headers: { 'content-type': contentType } });

      expectProblem(response, 415, 'unsupported-media-type');
      expect(response.body.detail).toBe('send application/json, uncompressed');
      expect(response.headers.get('accept')).toBe('application/json');
    },
  );

  test.each(['gzip', 'GZIP', 'br', 'deflate'])(
    'returns 415 with the accepted encodings for an order request with Content-Encoding: %s',
    async (coding) => {
      const response = await fetch(`${api.url}/v1/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-encoding': coding },
        body: gzipSync(JSON.stringify(order)),
      });
      const body = (await response.json()) as Problem;

      expectProblem({ status: response.status, headers: response.headers, body }, 415, 'unsupported-media-type');
      expect(body.detail).toBe('send application/json, uncompressed');
      expect(response.headers.get('accept-encoding')).toBe('identity');
    },
  );

  test('accepts an order request with Content-Encoding: identity', async () => {
    const response = await api.request('POST', '/v1/orders', { json: {}, headers: { 'content-encoding': 'identity' } });

    expectProblem(response, 400, 'invalid-request');
  });

  test('rejects a JSON body above 256 KiB with 413', async () => {
    const response = await api.post('/v1/orders', { ...order, payment: { token: 't'.repeat(256 * 1024) } });

    expectProblem(response, 413, 'too-large');
  });
});

describe('a new resource whose creation may have failed', () => {
  const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  const stages = [{ approvers: [{ id: 'grace' }], timeoutSeconds: 60 }];
  const ndjson = { text: '{"sku":"MUG","quantity":1}', headers: { 'content-type': 'application/x-ndjson' } };

  test.each<[string, string, RequestOptions, string]>([
    ['orders', '/v1/orders', { json: order }, 'orderId'],
    ['approvals', '/v1/approvals', { json: { title: 'May we?', requestedBy: 'ada', stages } }, 'approvalId'],
    ['batches', '/v1/batches?operation=restock', ndjson, 'batchId'],
  ])('a 503 contains the generated id of a resource that may exist: %s', async (_description, path, request, field) => {
    const { status, body } = await api.request<Problem & Record<string, string>>('POST', path, request);

    expect(status).toBe(503);
    expect(body[field]).toEqual(uuid);
    const resource = `${path.split('?')[0]}/${body[field]}`;
    const hint = `read ${resource}, or repeat the request with ${field} ${body[field]}`;
    expect(body.detail).toMatch(new RegExp(`^.+; the resource may exist: ${hint}$`));
  });

  test('a 503 contains no id when the caller chose the id, and a 400 never contains an id', async () => {
    const chosen = await api.post('/v1/orders', { ...order, orderId: 'chosen' });
    expectProblem(chosen, 503, 'temporal-unavailable');
    expect(chosen.body).not.toHaveProperty('orderId');
    expect((await api.post('/v1/orders', { ...order, lines: [] })).body).not.toHaveProperty('orderId');
  });
});

describe('paths and methods', () => {
  test.each(['/v1', '/v1/order', '/v1/orders/a/b/c', '/v2/orders', '/v1/callbacks'])(
    'returns 404 for the unknown path %s',
    async (path) => {
      expectProblem(await api.get(path), 404, 'not-found');
    },
  );

  test('/ redirects to the console', async () => {
    const { status, headers } = await fetch(`${api.url}/`, { redirect: 'manual' });
    expect([status, headers.get('location')]).toEqual([302, '/console']);
  });

  test.each(['OPTIONS', 'HEAD', 'PUT'])(
    '%s for an unknown path returns 404 without an Allow header',
    async (method) => {
      const { status, headers } = await api.request(method, '/v1/nothing-here');

      expect([status, headers.get('allow')]).toEqual([404, null]);
    },
  );

  test.each([
    ['DELETE', '/v1/orders', 'GET, HEAD, POST'],
    ['PATCH', '/v1/orders/some-order', 'GET, HEAD'],
    ['POST', '/v1/orders/some-order', 'GET, HEAD'],
    ['OPTIONS', '/v1/orders', 'GET, HEAD, POST'],
    ['GET', '/v1/orders/some-order/cancel', 'POST'],
    ['PUT', '/v1/products?limit=1', 'GET, HEAD'],
    ['GET', '/v1/callbacks/shipments', 'POST'],
    ['POST', '/livez', 'GET, HEAD'],
  ])('%s %s returns 405 with Allow: %s', async (method, path, allow) => {
    const response = await api.request(method, path);

    expectProblem(response, 405, 'method-not-allowed');
    expect(response.headers.get('allow')).toBe(allow);
  });

  test.each([
    ['has an invalid character', '/v1/orders/a%20b', 400, 'invalid-request'],
    ['exceeds the length of an id', `/v1/orders/${'x'.repeat(150)}`, 400, 'invalid-request'],
    ['exceeds the length of a path', `/v1/orders/${'x'.repeat(1_001)}`, 414, 'path-too-long'],
    ['is not URL-encoded', '/v1/orders/%zz', 400, 'malformed-request'],
  ])('returns a problem when an order id in the path %s', async (_description, path, status, kind) => {
    expectProblem(await api.get(path), status, kind);
  });
});

describe('query strings', () => {
  test.each([
    ['/v1/orders?status=lost', '/status'],
    ["/v1/orders?customerId=' or '1'='1", '/customerId'],
    ['/v1/orders?limit=0', '/limit'],
    ['/v1/orders?limit=201', '/limit'],
    ['/v1/orders?limit=many', '/limit'],
    ['/v1/orders?cursor=not+a+cursor', '/cursor'],
    ['/v1/orders?state=completed', '/state'],
    ['/v1/orders?status=completed&status=failed', '/status'],
    ['/v1/products?limit=-1', '/limit'],
    ['/v1/products?page=2', '/page'],
  ])('for the request %s, returns 400 with the pointer %s', async (path, pointer) => {
    const response = await api.get(path);

    expectProblem(response, 400, 'invalid-request');
    expect(pointersOf(response.body)).toEqual([pointer]);
  });
});

describe('POST /v1/orders/{id}/cancel and …/compensation', () => {
  const stuck = { compensation: 'refundPayment', attempt: 1 };

  test.each<[string, unknown, string[]]>([
    ['cancel', { reason: 5 }, ['/reason']],
    ['cancel', { reason: 'x'.repeat(501) }, ['/reason']],
    ['cancel', { because: 'of you' }, ['/because']],
    ['compensation', { ...stuck, action: 'ignore' }, ['/action']],
    ['compensation', { ...stuck }, ['/action']],
    ['compensation', { ...stuck, action: 'retry', force: true }, ['/force']],
    ['compensation', null, ['']],
  ])('for a %s request with the body %j, returns 400 with the pointers %j', async (action, body, pointers) => {
    const response = await api.post(`/v1/orders/some-order/${action}`, body);

    expectProblem(response, 400, 'invalid-request');
    expect(pointersOf(response.body)).toEqual(pointers);
  });
});

test('the API is live without Temporal and a database', async () => {
  const { status, body } = await api.get('/livez');

  expect(status).toBe(200);
  expect(body).toEqual({ status: 'ok' });
});
