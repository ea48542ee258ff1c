import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROLES } from '../../src/schemas/api-key.js';
import { contract } from '../../src/api/plugins/contract.js';
import { anApp, type Api } from '../support/api.js';
import { aCaller, operationsOf, type Operation } from '../support/callers.js';
import { nowhere, startApiNowhere } from '../support/nowhere.js';

const callers = Object.fromEntries(ROLES.map((role) => [role, aCaller([role])]));
const auth = { apiKeys: Object.values(callers).map(({ entry }) => entry) };

// Neither Temporal nor a database is there: who is let in is told so, 503, or that his request is not valid.
const start = () => startApiNowhere({ auth });

/** Known before there are tests, so that each operation has its own. */
const operations = await start().then(async (api) => {
  try {
    return await operationsOf(api);
  } finally {
    await api.close();
  }
});

const isOf = (scheme: string) => (operation: Operation) => operation.security?.some((needed) => scheme in needed);
const forRoles = operations.filter((operation) => operation['x-roles']);
const signed = operations.filter(isOf('webhookSignature'));
const open = operations.filter((operation) => !forRoles.includes(operation) && !signed.includes(operation));

describe('who may call what, by the OpenAPI document', () => {
  let api: Api;
  beforeAll(async () => {
    api = await start();
  });
  afterAll(() => api?.close());

  function send({ method, path, parameters = [], requestBody }: Operation, headers: Record<string, string> = {}) {
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
  const kindOf = async (response: Response) => ((await response.json()) as { type?: string }).type ?? 'an answer';

  test('when it is read, then every operation is for roles, for who signs, or for everybody on purpose', () => {
    expect(open.map(({ operationId }) => operationId).sort()).toEqual([
      'changeCodecSession',
      'getLiveness',
      'getOpenApi',
      'getProblem',
      'getReadiness',
      'listProblems',
      'openApprovalPage',
      'openCodecSession',
      'sendApprovalForm',
    ]);
    expect(signed.map(({ operationId }) => operationId).sort()).toEqual(['reportDecision', 'reportShipment']);
    expect(forRoles.length + signed.length + open.length).toBe(operations.length);
    for (const { path } of forRoles) expect(path).toMatch(/^\/(v1|codec)\//);
    for (const operation of forRoles) {
      expect(operation.security).toEqual([{ apiKey: [] }, { bearer: [] }]);
      expect(ROLES).toEqual(expect.arrayContaining(operation['x-roles']!));
      expect(operation['x-roles']).not.toHaveLength(0);
    }
  });

  describe.each(forRoles.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    '%s',
    (_name, operation) => {
      test.each<[string, Record<string, string>]>([
        ['nobody in particular', {}],
        ['somebody with a wrong key', { 'x-api-key': 'wop_wrong' }],
        ['somebody with a wrong token', { authorization: 'Bearer a.b.c' }],
      ])('when %s calls, then 401', async (_who, headers) => {
        const response = await send(operation, headers);
        expect([response.status, await kindOf(response)]).toEqual([401, '/problems/unauthorized']);
        expect(response.headers.get('www-authenticate')).toBeTruthy();
      });

      test.each(ROLES)(
        `when a %s calls, then he is let in if it is for him (${operation['x-roles']!.join(', ')})`,
        async (role) => {
          const response = await send(operation, { 'x-api-key': callers[role]!.key });
          const kind = await kindOf(response);

          if (!operation['x-roles']!.includes(role))
            expect([response.status, kind]).toEqual([403, '/problems/forbidden']);
          else {
            expect(kind).not.toMatch(/unauthorized|forbidden/);
            // Nothing of the servers is there, and nothing sent makes sense: more than this cannot come of it.
            // The codec needs no server, and nothing is easily decrypted.
            expect(operation.path.startsWith('/codec/') ? [200] : [400, 503]).toContain(response.status);
          }
        },
      );
    },
  );

  test.each(signed.map((operation) => [operation.path, operation] as const))(
    'when %s is not signed, then 401, also for an operator',
    async (_path, operation) => {
      for (const headers of [{}, { 'x-api-key': callers.operator!.key }]) {
        const response = await send(operation, headers);
        expect([response.status, await kindOf(response)]).toEqual([401, '/problems/unauthorized']);
      }
    },
  );

  // The form of the codec's page: that is what it is for, and test/api/codec.test.ts asks it.
  const asksNobody = open.filter(({ operationId }) => operationId !== 'changeCodecSession');

  test.each(asksNobody.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    'when anybody calls %s, then nobody asks who he is',
    async (_name, operation) => {
      for (const headers of [{}, { 'x-api-key': 'wop_wrong' }]) {
        const { status } = await send(operation, headers);
        expect([200, 404, 503]).toContain(status);
      }
    },
  );

  test('when the page of the document is asked for, then it is for everybody', async () => {
    expect((await fetch(`${api.url}/docs/`)).status).toBe(200);
    expect((await fetch(`${api.url}/docs/json`)).status).toBe(200);
  });
});

describe('a route without a rule', () => {
  const nothing = async () => 'nothing';
  const rule = contract({ operationId: 'new', summary: 'New', tag: 'Operations', access: ['operator'] });

  /** Starts the API with one more route. */
  async function withRoute(route: (app: FastifyInstance) => unknown): Promise<void> {
    const { client, store, close } = await nowhere();
    const app = await anApp({ client, store, auth });
    app.register(async (routes) => void route(routes));
    try {
      await app.ready();
    } finally {
      await app.close();
      await close();
    }
  }

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', ['GET', 'POST']])(
    'when %s comes in without a contract, then the API does not start',
    async (method) => {
      const start = withRoute((app) => app.route({ method: method, url: '/v1/new', handler: nothing }));
      await expect(start).rejects.toThrow(/\/v1\/new has no contract/);
    },
  );

  test.each(['/v1/docs/new', '/documents'])(
    'when it is %s, then it does not pass for a page of a library',
    async (url) => {
      await expect(withRoute((app) => app.get(url, nothing))).rejects.toThrow(/has no contract/);
    },
  );

  test('when it has one, then the API starts', async () => {
    await withRoute((app) => app.get('/v1/new', rule, nothing));
  });
});
