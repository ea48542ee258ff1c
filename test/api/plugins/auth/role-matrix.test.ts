import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALLER_ROLES } from '../../../../src/schemas/api-key.js';
import { withContract } from '../../../../src/api/http/route-contract.js';
import { buildTestApp, type Api } from '../../../support/api/api.js';
import { createCaller, fetchApiOperations, type ApiOperation } from '../../../support/api/callers.js';
import { createUnreachableBackends, startApiWithoutBackends } from '../../../support/api/unreachable-backends.js';

const callers = Object.fromEntries(CALLER_ROLES.map((role) => [role, createCaller([role])]));
const auth = { apiKeys: Object.values(callers).map(({ configEntry }) => configEntry) };

// Temporal and the database are unreachable, so an authorized request returns 503, or 400 if its input is invalid.
const start = () => startApiWithoutBackends({ auth });

/** The operations are loaded before the tests are defined, so that each operation has its own tests. */
const operations = await start().then(async (api) => {
  try {
    return await fetchApiOperations(api);
  } finally {
    await api.close();
  }
});

const usesSignature = ({ security }: ApiOperation) =>
  security?.some((needed) => Object.keys(needed).some((scheme) => scheme.endsWith('Signature')));
const roleOperations = operations.filter((operation) => operation['x-roles']);
const signedOperations = operations.filter(usesSignature);
const publicOperations = operations.filter(
  (operation) => !roleOperations.includes(operation) && !signedOperations.includes(operation),
);

describe('access rules of the OpenAPI document', () => {
  let api: Api;
  beforeAll(async () => {
    api = await start();
  });
  afterAll(() => api?.close());

  function send({ method, path, parameters = [], requestBody }: ApiOperation, headers: Record<string, string> = {}) {
    const filled = path.replace(/\{\w+\}/g, 'SOME-ID');
    const needed = parameters.filter(({ in: place, required }) => place === 'query' && required);
    const query = new URLSearchParams(needed.map(({ name }): [string, string] => [name, 'x'])).toString();
    const [type] = Object.keys(requestBody?.content ?? {});
    return fetch(`${api.url}${filled}${query && `?${query}`}`, {
      method,
      headers: { ...(type && { 'content-type': type }), ...headers },
      ...(type && { body: '{}' }),
      redirect: 'manual',
    });
  }
  const kindOf = async (response: Response) => ((await response.json()) as { type?: string }).type ?? 'a response';

  test('every operation requires a role or a signature, except an explicit list of public operations', () => {
    expect(publicOperations.map(({ operationId }) => operationId).sort()).toEqual([
      'getLiveness',
      'getOpenApi',
      'getProblem',
      'getReadiness',
      'listProblems',
      'openApprovalPage',
      'submitApprovalForm',
    ]);
    expect(signedOperations.map(({ operationId }) => operationId).sort()).toEqual([
      'receiveDecisionCallback',
      'receiveShipmentCallback',
      'receiveSlackInteraction',
      'receiveStripeEvent',
    ]);
    expect(roleOperations.length + signedOperations.length + publicOperations.length).toBe(operations.length);
    for (const { path } of roleOperations) expect(path).toMatch(/^\/(v1|codec)\//);
    for (const operation of roleOperations) {
      expect(operation.security).toEqual([{ apiKey: [] }, { bearer: [] }]);
      expect(CALLER_ROLES).toEqual(expect.arrayContaining(operation['x-roles']!));
      expect(operation['x-roles']).not.toHaveLength(0);
    }
  });

  describe.each(roleOperations.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    '%s',
    (_name, operation) => {
      test.each<[string, Record<string, string>]>([
        ['anonymous', {}],
        ['identified by a wrong key', { 'x-api-key': 'wop_wrong' }],
        ['identified by a wrong token', { authorization: 'Bearer a.b.c' }],
      ])('returns 401 for a role operation when the caller is %s', async (_caller, headers) => {
        const response = await send(operation, headers);
        expect([response.status, await kindOf(response)]).toEqual([401, '/problems/unauthorized']);
        expect(response.headers.get('www-authenticate')).toBeTruthy();
      });

      test.each(CALLER_ROLES)(
        `admits a %s only if the operation allows the role (${operation['x-roles']!.join(', ')})`,
        async (role) => {
          const response = await send(operation, { 'x-api-key': callers[role]!.key });
          const kind = await kindOf(response);

          if (!operation['x-roles']!.includes(role))
            expect([response.status, kind]).toEqual([403, '/problems/forbidden']);
          else {
            expect(kind).not.toMatch(/unauthorized|forbidden/);
            // Other operations return 400 or 503, because the servers are unreachable and the input is invalid. The
            // codec needs no server and accepts a request without payloads.
            expect(operation.path.startsWith('/codec/') ? [200] : [400, 503]).toContain(response.status);
          }
        },
      );
    },
  );

  test.each(signedOperations.map((operation) => [operation.path, operation] as const))(
    'rejects an unsigned request to %s with 401, even from an operator',
    async (_path, operation) => {
      for (const headers of [{}, callers.operator!.authHeader]) {
        const response = await send(operation, headers);
        expect([response.status, await kindOf(response)]).toEqual([401, '/problems/unauthorized']);
      }
    },
  );

  test.each(publicOperations.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    'serves %s without authentication',
    async (_name, operation) => {
      for (const headers of [{}, { 'x-api-key': 'wop_wrong' }]) {
        const { status } = await send(operation, headers);
        expect([200, 404, 503]).toContain(status);
      }
    },
  );

  test('serves the documentation page without authentication', async () => {
    expect((await fetch(`${api.url}/docs/`)).status).toBe(200);
    expect((await fetch(`${api.url}/docs/json`)).status).toBe(200);
  });
});

describe('a route without a contract', () => {
  const doNothing = async () => 'nothing';
  const rule = withContract({ operationId: 'new', summary: 'New', tag: 'Operations', access: ['operator'] });

  /** Starts the API with one additional route. */
  async function withRoute(route: (app: FastifyInstance) => unknown): Promise<void> {
    const { client, store, close } = await createUnreachableBackends();
    const app = await buildTestApp({ client, store, auth });
    app.register(async (routes) => void route(routes));
    try {
      await app.ready();
    } finally {
      await app.close();
      await close();
    }
  }

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', ['GET', 'POST']])(
    'the API does not start when a %s route has no contract',
    async (method) => {
      const start = withRoute((app) => app.route({ method: method, url: '/v1/new', handler: doNothing }));
      await expect(start).rejects.toThrow(/\/v1\/new has no contract/);
    },
  );

  test.each(['/v1/docs/new', '/documents'])(
    'the API does not start when the route %s has no contract, although its path resembles a documentation path',
    async (url) => {
      await expect(withRoute((app) => app.get(url, doNothing))).rejects.toThrow(/has no contract/);
    },
  );

  test('the API starts when an additional route has a contract', async () => {
    await withRoute((app) => app.get('/v1/new', rule, doNothing));
  });
});
