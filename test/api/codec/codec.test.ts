import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPayloadCodec } from '../../../src/temporal/encryption/codec.js';
import { MAX_CODEC_BODY_BYTES } from '../../../src/api/limits.js';
import type { JsonPayload } from '../../../src/schemas/codec.js';
import type { Api } from '../../support/api/api.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { sessionCookieOf, signInToConsole } from '../../support/api/sign-in.js';
import { generateEncryptionKey, parseEncryptionKeys } from '../../support/temporal/encryption.js';
import {
  createSigningKey,
  startTokenIssuer,
  type TokenIssuer,
  type SigningKey,
} from '../../support/network/token-issuer.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';

interface Body {
  payloads: JsonPayload[];
}

const UI_ORIGIN = 'http://127.0.0.1:8233';
const SHOP_ORIGIN = 'https://shop.example.com';
const keys = parseEncryptionKeys(generateEncryptionKey('today'), generateEncryptionKey('before'));
const inspector = createCaller(['inspector']);
const operator = createCaller(['operator', 'shopper', 'approver']);
const asInspector = inspector.authHeader;
const namespaceHeader = { 'x-namespace': 'default' };
const logged: string[] = [];

const json = ({ metadata, data }: Payload): JsonPayload => ({
  metadata: Object.fromEntries(
    Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
  ),
  data: Buffer.from(data!).toString('base64'),
});
const plainPayload = (value: unknown) => defaultPayloadConverter.toPayload(value);
const encryptedWith = async (key: (typeof keys)[number], value: unknown, namespace = 'default') =>
  json((await createPayloadCodec({ keys: [key], namespace }).encode([plainPayload(value)]))[0]!);
const textOf = ({ data = '' }: JsonPayload) => Buffer.from(data, 'base64').toString();

describe('the codec endpoint', () => {
  let api: Api;
  let issuer: TokenIssuer;
  let signingKey: SigningKey;

  beforeAll(async () => {
    [issuer, signingKey] = await Promise.all([startTokenIssuer(), createSigningKey('one')]);
    issuer.publishKeys(signingKey);
    const stream = { write: (line: string) => void logged.push(line) };
    api = await startApiWithoutBackends({
      auth: { ...authOf(inspector, operator), tokens: issuer.settings },
      encryptionKeys: keys,
      protection: {
        codecOrigins: [UI_ORIGIN, 'http://localhost:8233'],
        corsOrigins: [SHOP_ORIGIN],
        requestsPerMinute: 1_000,
      },
      logger: pino({ level: 'info' }, stream),
    });
  });
  afterAll(async () => {
    await api?.close();
    await issuer?.close();
  });

  const callCodec = <T = Body>(action: string, payloads: unknown, headers: Record<string, string> = asInspector) =>
    api.request<T>('POST', `/codec/${action}`, { json: { payloads }, headers: { ...namespaceHeader, ...headers } });

  test('decodes payloads of every key in order, and returns unencrypted payloads unchanged', async () => {
    const payloads = [
      await encryptedWith(keys[1]!, 'one'),
      json(plainPayload('two')),
      await encryptedWith(keys[0]!, 'three'),
    ];
    const { status, body } = await callCodec('decode', payloads);
    expect(status).toBe(200);
    expect(body.payloads.map(textOf)).toEqual(['"one"', '"two"', '"three"']);
    expect(body.payloads[2]!.metadata).toEqual({ encoding: Buffer.from('json/plain').toString('base64') });
    expect((await callCodec('decode', [])).body).toEqual({ payloads: [] });
  });

  test('the codec encodes with the first key and decodes the result', async () => {
    const { body } = await callCodec('encode', [json(plainPayload({ sku: 'MUG' }))]);
    expect(Buffer.from(body.payloads[0]!.metadata!['encryption-key-id']!, 'base64').toString()).toBe('today');
    expect((await callCodec('decode', body.payloads)).body.payloads).toEqual([json(plainPayload({ sku: 'MUG' }))]);
  });

  test.each([
    [
      'with an unknown key',
      async () => await encryptedWith(parseEncryptionKeys(generateEncryptionKey('lost'))[0]!, 'secret'),
      '"lost"',
    ],
    ['of another namespace', async () => await encryptedWith(keys[0]!, 'secret', 'other'), '"today"'],
  ])('returns 422 with the key id for a payload %s', async (_description, make, named) => {
    const { status, body } = await callCodec<{ type: string; detail: string }>('decode', [await make()]);
    expect([status, body.type]).toEqual([422, '/problems/unreadable-payload']);
    expect(body.detail).toContain(named);
  });

  test('decodes the readable payloads of a history and returns the unreadable payloads unchanged', async () => {
    const [lost, otherNamespacePayload, good] = [
      await encryptedWith(parseEncryptionKeys(generateEncryptionKey('lost'))[0]!, 'one'),
      await encryptedWith(keys[0]!, 'two', 'other'),
      await encryptedWith(keys[0]!, 'three'),
    ];
    const { status, body } = await callCodec('decode', [lost, good, otherNamespacePayload]);
    expect(status).toBe(200);
    expect(body.payloads).toEqual([lost, json(plainPayload('three')), otherNamespacePayload]);
    // No encrypted payload can be decrypted, so the response is 422, even with an unencrypted payload.
    expect((await callCodec('decode', [lost, json(plainPayload('four'))])).status).toBe(422);
  });

  test.each([
    ['other', 400],
    ['default2', 400],
    // The Temporal CLI sends an empty namespace when no namespace is set.
    ['', 200],
  ])('the codec answers a request for the namespace %j with %d', async (namespace, status) => {
    expect((await callCodec('decode', [], { ...asInspector, 'x-namespace': namespace })).status).toBe(status);
  });

  test('the codec accepts a request without a payload list, because Protobuf omits an empty list', async () => {
    const { status, body } = await api.request('POST', '/codec/decode', { json: {}, headers: asInspector });
    expect([status, body]).toEqual([200, { payloads: [] }]);
  });

  test.each([
    [[{ data: 'no base64!' }], '/payloads/0/data'],
    [[{ metadata: { encoding: 1 } }], '/payloads/0/metadata/encoding'],
    ['none', '/payloads'],
  ])('the codec returns 400 with the pointer of the invalid field for the payloads %j', async (payloads, pointer) => {
    const { status, body } = await callCodec<{ errors: { pointer: string }[] }>('decode', payloads);
    expect([status, body.errors[0]?.pointer]).toEqual([400, pointer]);
  });

  test('the codec accepts a payload of Temporal’s maximum message size and rejects a larger body with 413', async () => {
    const large = json(plainPayload('x'.repeat(4 * 1024 * 1024 - 100)));
    expect((await callCodec('decode', [large])).status).toBe(200);
    const tooLarge = await callCodec<{ detail: string }>('decode', [{ data: 'A'.repeat(MAX_CODEC_BODY_BYTES) }]);
    expect([tooLarge.status, tooLarge.body.detail]).toEqual([
      413,
      `the body has more than ${MAX_CODEC_BODY_BYTES} bytes`,
    ]);
  });

  test('the codec logs the caller and the number of payloads, but not their content', async () => {
    logged.length = 0;
    await callCodec('decode', [
      await encryptedWith(keys[0]!, 'ada@example.com'),
      json(plainPayload('ada@example.com')),
    ]);
    const line = logged
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find(({ msg }) => msg === 'decoded payloads');
    expect(line).toMatchObject({ caller: inspector.id, payloads: 2 });
    for (const hidden of ['ada@example.com', json(plainPayload('ada@example.com')).data!, inspector.key])
      expect(logged.join()).not.toContain(hidden);
  });

  test('the codec denies an operator without the role inspector with 403', async () => {
    expect((await callCodec('decode', [], operator.authHeader)).status).toBe(403);
  });

  describe('CORS of the codec', () => {
    const preflight = async (origin: string, path = '/codec/decode') =>
      await fetch(api.url + path, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type,x-namespace',
        },
      });

    test.each([UI_ORIGIN, 'http://localhost:8233'])(
      'CORS of the codec allows the origin %s with credentials',
      async (origin) => {
        const { status, headers } = await preflight(origin);
        expect(status).toBe(204);
        expect(headers.get('access-control-allow-origin')).toBe(origin);
        expect(headers.get('access-control-allow-credentials')).toBe('true');
        expect(headers.get('access-control-allow-methods')).toBe('POST');
        expect(headers.get('vary')).toMatch(/origin/i);
        for (const name of ['authorization', 'content-type', 'x-namespace'])
          expect(headers.get('access-control-allow-headers')).toContain(name);
        const response = await callCodec('decode', [], { ...asInspector, origin });
        expect(response.headers.get('access-control-allow-origin')).toBe(origin);
        expect(response.headers.get('access-control-allow-credentials')).toBe('true');
      },
    );

    test.each([
      SHOP_ORIGIN,
      'http://127.0.0.1:8234',
      'https://127.0.0.1:8233',
      'http://127.0.0.1:8233.example.com',
      'null',
    ])('CORS of the codec does not allow the origin %s', async (origin) => {
      const responses = [await preflight(origin), await callCodec('decode', [], { ...asInspector, origin })];
      for (const { headers } of responses) expect(headers.get('access-control-allow-origin')).toBeNull();
    });

    test('the codec and the rest of the API have separate allowed origins', async () => {
      expect((await preflight(UI_ORIGIN, '/v1/orders')).headers.get('access-control-allow-origin')).toBeNull();
      const { headers } = await preflight(SHOP_ORIGIN, '/v1/orders');
      expect(headers.get('access-control-allow-origin')).toBe(SHOP_ORIGIN);
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    });
  });

  describe('browser sessions in the codec', () => {
    const signIn = async (key: string) => {
      const response = await signInToConsole(api.url, { key });
      expect(response.status).toBe(303);
      return sessionCookieOf(response);
    };
    const withCookie = (cookie: string, headers: Record<string, string> = { origin: UI_ORIGIN }) =>
      callCodec('decode', [], { cookie, ...headers });

    test.each([UI_ORIGIN, 'http://localhost:8233'])(
      'the codec accepts the session of an inspector from %s',
      async (origin) => {
        expect((await withCookie(await signIn(inspector.key), { origin })).status).toBe(200);
      },
    );

    test('the codec accepts a session that started with a token', async () => {
      const token = await issuer.createToken(signingKey, { roles: ['inspector'] });
      expect((await withCookie(await signIn(token))).status).toBe(200);
    });

    test('the codec denies the session of an operator without the role inspector with 403', async () => {
      expect((await withCookie(await signIn(operator.key))).status).toBe(403);
    });

    test.each<[string, Record<string, string>]>([
      ['another page of the same site', { origin: 'http://127.0.0.1:8234' }],
      ['a page of the API itself', { 'sec-fetch-site': 'same-origin' }],
      ['a request without an origin', {}],
    ])('returns 403 for the session cookie from %s', async (_caller, headers) => {
      expect((await withCookie(await signIn(inspector.key), headers)).status).toBe(403);
    });

    test('the codec returns 401 for a session cookie that was changed', async () => {
      const cookie = await signIn(inspector.key);
      expect((await withCookie(`${cookie.slice(0, -2)}xx`)).status).toBe(401);
    });

    test('returns 401 for the session cookie on paths of the JSON API', async () => {
      const cookie = await signIn(inspector.key);
      const { status } = await api.request('GET', '/v1/products', { headers: { cookie, origin: UI_ORIGIN } });
      expect(status).toBe(401);
    });

    test('/codec/session leads an inspector to the sign-in page and then to the settings of the Web UI', async () => {
      const signInPage = await fetch(`${api.url}/codec/session`);
      expect(signInPage.url).toBe(`${api.url}/console/sign-in?next=${encodeURIComponent('/console/account')}`);
      const page = await fetch(`${api.url}/codec/session`, { headers: { cookie: await signIn(inspector.key) } });
      const text = await page.text();
      expect(text).toContain(`Signed in as ${inspector.id}`);
      expect(text).toContain(`${api.url}/codec`);
      const other = await fetch(`${api.url}/codec/session`, { headers: { cookie: await signIn(operator.key) } });
      expect(await other.text()).not.toContain('codec');
    });
  });
});

describe('a codec without authentication', () => {
  test('without authentication, the codec serves local callers without a sign-in and rejects other origins', async () => {
    const api = await startApiWithoutBackends({ encryptionKeys: keys });
    const payloads = [await encryptedWith(keys[0]!, 'one')];
    const { status, body } = await api.request<Body>('POST', '/codec/decode', {
      json: { payloads },
      headers: namespaceHeader,
    });
    const page = await (await fetch(`${api.url}/codec/session`)).text();
    const otherNamespacePayload = await api.request('POST', '/codec/decode', {
      json: { payloads },
      headers: { ...namespaceHeader, origin: 'https://elsewhere.example' },
    });
    await api.close();
    expect([status, textOf(body.payloads[0]!)]).toEqual([200, '"one"']);
    expect(page).toContain('this API runs without authentication');
    expect(otherNamespacePayload.status).toBe(403);
  });

  test('the API has no codec routes when encryption is off', async () => {
    const api = await startApiWithoutBackends({ encryptionKeys: 'none' });
    const responses = [await api.post('/codec/decode', { payloads: [] }), await api.get('/codec/session')];
    await api.close();
    expect(responses.map(({ status }) => status)).toEqual([404, 404]);
  });
});
