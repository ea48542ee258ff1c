import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from '../../../src/api/problems/problem-kinds.js';
import type { OrderResource } from '../../../src/schemas/order.js';
import type { Problem } from '../../../src/schemas/shared/problem.js';
import { ORDER_TASK_QUEUE, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { PROBLEM_TABLE_PATH, renderProblemTable } from '../../support/api/generated-documents.js';
import { startApi, type ApiResponse, type Api, type RequestOptions } from '../../support/api/api.js';
import { makeApproval, makeStage } from '../../support/shop/approvals.js';
import { makeItems, stageTestBatch, TestOperations } from '../../support/shop/batches.js';
import { authOf, createCaller } from '../../support/api/callers.js';
import { startCart } from '../../support/shop/carts.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { startTokenIssuer, createSigningKey } from '../../support/network/token-issuer.js';
import { startApiWithoutBackends } from '../../support/api/unreachable-backends.js';
import { makeOrder, addProduct, startShop, type Shop } from '../../support/shop/shop.js';

/** A problem response with its body as raw text, because the body may be JSON or an HTML page. */
interface RawResponse {
  status: number;
  headers: Headers;
  text: string;
}

/** Causes a problem of one kind and returns its response. */
type ProblemTrigger = () => Promise<RawResponse | ApiResponse<unknown>>;

const JSON_TYPE = { 'content-type': 'application/json' };
const NDJSON = { 'content-type': 'application/x-ndjson' };

/** Problem kinds whose response is an HTML page. */
const HTML_KINDS: readonly ProblemKind[] = ['unknown-link'];

async function fetchRaw(url: string, init: RequestInit = {}): Promise<RawResponse> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(20_000) });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Starts a request without ending its body. `answer` resolves with the response. */
function startRequest(url: string, headers: Record<string, string>, begin: string) {
  const agent = new Agent();
  const request = httpRequest(url, { method: 'POST', headers, agent });
  const received = new Promise<RawResponse>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: new Headers(response.headers as never), text }),
      );
    });
  });
  received.catch(() => undefined);
  request.write(begin);
  return { answer: received, end: () => agent.destroy() };
}

describe('docs/reference/problems.md', () => {
  test('the committed table of problems is up to date', async () => {
    expect(await readFile(PROBLEM_TABLE_PATH, 'utf8')).toBe(await renderProblemTable());
  });

  test('the table of problems has a row with status and retry advice for each kind', async () => {
    const table = await renderProblemTable();
    for (const kind of PROBLEM_KINDS) {
      const { status, retryAfter } = definitionOf(kind);
      const again = retryAfter ? `after ${retryAfter} s` : '(no|maybe)';
      expect(table).toMatch(new RegExp(`^\\| \`${kind}\` +\\| ${status} +\\| .* \\| ${again} +\\|$`, 'm'));
    }
  });
});

async function expectKind(kind: ProblemKind, response: RawResponse | ApiResponse<unknown>): Promise<void> {
  const { status, title, retryAfter } = definitionOf(kind);
  const { headers } = response;
  expect([response.status, 'text' in response ? response.text : response.body]).toEqual([status, expect.anything()]);
  if (retryAfter === undefined) expect(headers.get('retry-after')).toBeNull();
  else {
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(retryAfter);
  }
  if (HTML_KINDS.includes(kind)) {
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    expect(headers.get('x-request-id')).toBeTruthy();
    return;
  }
  const body = ('text' in response ? JSON.parse(response.text) : response.body) as Problem;
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(body).toMatchObject({ type: `/problems/${kind}`, title, status });
  expect(body.requestId).toMatch(/^[0-9a-f-]{36}$/);
  expect(headers.get('x-request-id')).toBe(body.requestId);
  expect(JSON.stringify(body)).not.toMatch(/node_modules|\.[jt]s:|at Object|secret inner text/);
}

const operator = createCaller(['operator', 'approver', 'shopper']);
const shopper = createCaller(['shopper']);
const auth = authOf(operator, shopper);
const asOperator = operator.authHeader;

let kindsWithoutBackends: string[] = [];

describe.concurrent('problems without Temporal and a database', () => {
  let api: Api;
  beforeAll(async () => {
    api = await startApiWithoutBackends({ auth });
  });
  afterAll(() => api?.close());

  const post = (text: string, headers: Record<string, string> = JSON_TYPE) =>
    operator.send(api, 'POST', '/v1/orders', { text, headers });

  async function withOtherBackends(
    options: Parameters<typeof startApiWithoutBackends>[0],
    run: (api: Api) => Promise<RawResponse | ApiResponse<unknown>>,
  ) {
    const other = await startApiWithoutBackends(options);
    try {
      return await run(other);
    } finally {
      await other.close();
    }
  }

  const makers = {
    'malformed-request': () => post('{'),
    'invalid-request': () => post('{}'),
    unauthorized: () => api.get('/v1/orders'),
    forbidden: () => shopper.send(api, 'GET', '/v1/batches'),
    'not-found': () => api.get('/nowhere'),
    'unknown-link': () => fetchRaw(`${api.url}/approvals/made-up`),
    'method-not-allowed': () => operator.send(api, 'PUT', '/v1/orders'),
    'not-acceptable': () =>
      operator.send(api, 'GET', '/v1/batches/any/events', { headers: { accept: 'application/json' } }),
    async 'request-timeout'() {
      const headers = { ...asOperator, ...JSON_TYPE, 'content-length': '100' };
      return await startRequest(`${api.url}/v1/orders`, headers, '{').answer;
    },
    'too-large': () => post(`"${'x'.repeat(256 * 1024)}"`),
    'path-too-long': () => operator.send(api, 'GET', `/v1/orders/${'x'.repeat(1_001)}`),
    'unsupported-media-type': () => post('order', { 'content-type': 'text/plain' }),
    'too-many-requests': () =>
      withOtherBackends({ auth, protection: { requestsPerMinute: 1 } }, async (limited) => {
        await operator.send(limited, 'GET', '/v1/products');
        return await operator.send(limited, 'GET', '/v1/products');
      }),
    'headers-too-large': () => fetchRaw(`${api.url}/livez`, { headers: { 'x-large': 'x'.repeat(17 * 1024) } }),
    'temporal-unavailable': () => operator.send(api, 'GET', '/v1/orders/any'),
    'store-unavailable': () => operator.send(api, 'GET', '/v1/products'),
    'identity-provider-unavailable': async () => {
      const issuer = await startTokenIssuer();
      issuer.failWith(500);
      const headers = { authorization: `Bearer ${await issuer.createToken(await createSigningKey('any'))}` };
      try {
        return await withOtherBackends({ auth: { apiKeys: [], tokens: issuer.settings } }, (other) =>
          other.request('GET', '/v1/orders', { headers }),
        );
      } finally {
        await issuer.close();
      }
    },
  } satisfies Partial<Record<ProblemKind, ProblemTrigger>>;
  kindsWithoutBackends = Object.keys(makers);

  test.each(Object.entries(makers))('returns the problem %s with its status, title and headers', async (kind, make) =>
    expectKind(kind as ProblemKind, await make()),
  );

  test.each(PROBLEM_KINDS)('the API serves a page for the problem type %s', async (kind) => {
    const { status, headers, text } = await fetchRaw(`${api.url}/problems/${kind}`);

    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    expect(text).toContain(definitionOf(kind).title);
  });

  test('the API serves a page that links all problem kinds, and returns 404 for an unknown kind', async () => {
    const { status, text } = await fetchRaw(`${api.url}/problems`);

    expect(status).toBe(200);
    for (const kind of PROBLEM_KINDS) expect(text).toContain(`href="/problems/${kind}"`);
    expect((await fetchRaw(`${api.url}/problems/another`)).status).toBe(404);
  });
});

/** Does not run concurrently with other tests, because it blocks the event loop of this process. */
describe('an overloaded process', () => {
  test('an overloaded process returns the problem overloaded', async () => {
    const api = await startApiWithoutBackends({ auth, protection: { maxEventLoopDelayMs: 20 } });
    try {
      const isOverloaded = async () => {
        const until = performance.now() + 400;
        while (performance.now() < until);
        const response = await operator.send(api, 'GET', '/v1/products');
        return response.body.type === '/problems/overloaded' ? response : undefined;
      };
      const response = await waitUntil(isOverloaded, {
        description: 'the API reporting the overload',
        timeoutMs: 20_000,
        intervalMs: 0,
      });
      await expectKind('overloaded', response);
    } finally {
      await api.close();
    }
  });
});

describeOnDevServer('problems with Temporal and a database', () => {
  let shop: Shop;
  let api: Api;
  const tests = new TestOperations();

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { operations: tests.operations });
    api = await startApi({ ...shop, auth });
  });
  afterAll(async () => {
    tests.unblockCalls();
    await api?.close();
    await shop?.close();
  });

  const get = <T = Problem>(path: string) => operator.send<T>(api, 'GET', path);
  const post = (path: string, json?: unknown, headers: Record<string, string> = {}) =>
    operator.send<Problem>(api, 'POST', path, { headers, ...(json !== undefined && { json }) });
  const upload = (text: string, query = '') =>
    operator.send<Problem>(api, 'POST', `/v1/batches?operation=restock${query}`, { text, headers: NDJSON });

  async function placeOrder(until: (order: OrderResource) => boolean, token = 'tok_ok') {
    const { sku } = await addProduct(shop.store);
    const order = makeOrder({ lines: [{ sku, quantity: 1 }], payment: { token } });
    expect((await post('/v1/orders', order)).status).toBe(202);
    const findOrder = async () => {
      const { status, body } = await get<OrderResource>(`/v1/orders/${order.orderId}`);
      return (status === 200 && until(body)) || undefined;
    };
    await waitUntil(findOrder, { description: `order ${order.orderId}`, timeoutMs: 20_000, intervalMs: 50 });
    return { order, path: `/v1/orders/${order.orderId}` };
  }
  const isShipped = ({ stage }: OrderResource) => stage === 'awaiting_pickup';

  async function startApproval(requestedBy = 'somebody', approver = operator.id) {
    const approvers = [...new Set([approver, 'somebody-else'])].map((id) => ({ id }));
    const input = makeApproval({ stages: [makeStage(...approvers)], requestedBy });
    expect((await post('/v1/approvals', input)).status).toBe(202);
    return { input, path: `/v1/approvals/${input.approvalId}` };
  }
  const decide = (path: string, decision = 'approve') => post(`${path}/decision`, { approver: operator.id, decision });

  async function startBatch({ held }: { held: boolean }) {
    const name = held ? 'call' : 'write';
    if (held) tests.blockCalls();
    else tests.unblockCalls();
    const batchId = await stageTestBatch(shop.store, { operation: name, items: makeItems(1, randomUUID()) });
    expect((await post(`/v1/batches/${batchId}/retry`)).status).toBe(202);
    const expected = held ? 'running' : 'completed';
    const findOrder = async () =>
      (await get<{ status: string }>(`/v1/batches/${batchId}`)).body.status === expected || undefined;
    await waitUntil(findOrder, { description: `batch ${batchId} ${expected}`, timeoutMs: 20_000, intervalMs: 50 });
    return `/v1/batches/${batchId}`;
  }

  async function openCart(quantity = 1) {
    const { sku } = await addProduct(shop.store, { available: 5_000 });
    const path = `/v1/carts/${randomUUID()}`;
    expect((await post(`${path}/items`, { sku, quantity })).status).toBe(200);
    return { path, sku };
  }

  /** Calls an API whose workflow updates all fail with the given error. */
  async function withFailingUpdates(
    failure: (workflowId: string) => Error,
    run: (api: Api) => Promise<ApiResponse<unknown>>,
  ) {
    const { connection, options } = shop.client;
    const startUpdate = ({ workflowExecution }: { workflowExecution: { workflowId?: string | null } }) =>
      Promise.reject(failure(workflowExecution.workflowId ?? ''));
    const client = new Client({
      connection,
      namespace: options.namespace,
      interceptors: { workflow: [{ startUpdate }] },
    });
    const other = await startApi({ client, store: shop.store, auth });
    try {
      return await run(other);
    } finally {
      await other.close();
    }
  }
  const failUpdateWith = (type: string) => () =>
    new WorkflowUpdateFailedError('rejected', ApplicationFailure.nonRetryable('rejected', type));

  /** Reads an order that no worker serves, with a short timeout. The API checks `queue` for pollers. */
  async function callUnpolledQueue(queue: string): Promise<ApiResponse<unknown>> {
    const orderId = randomUUID();
    const workflowId = orderWorkflowId(orderId);
    await shop.client.workflow.start('order', { workflowId, taskQueue: `nobody-${orderId}`, args: [{}] });
    const { connection, options } = shop.client;
    const client = new Client({ connection, namespace: options.namespace });
    client.withDeadline = (deadline, call) => {
      const isForServer = Number(deadline) - Date.now() < 6_000;
      return connection.withDeadline(isForServer ? deadline : Date.now() + 300, call);
    };
    const { workflowService } = client;
    const describeTaskQueue = (request: object) =>
      workflowService.describeTaskQueue({ ...request, taskQueue: { name: queue } });
    const service = Object.assign(Object.create(workflowService) as typeof workflowService, { describeTaskQueue });
    Object.defineProperty(client, 'workflowService', { value: service });
    const other = await startApi({ client, store: shop.store, auth });
    try {
      return await operator.send(other, 'GET', `/v1/orders/${orderId}`);
    } finally {
      await other.close();
    }
  }

  const makers = {
    'not-an-approver': async () => decide((await startApproval('somebody', 'boss')).path),
    'self-approval': async () => decide((await startApproval(operator.id)).path),
    conflict: async () => {
      const { path } = await placeOrder(isShipped);
      return await withFailingUpdates(failUpdateWith('AcceptedUpdateCompletedWorkflow'), (other) =>
        operator.send(other, 'POST', `${path}/cancel`),
      );
    },
    'order-id-taken': async () => {
      const { order } = await placeOrder(() => true);
      return await post('/v1/orders', { ...order, payment: { token: 'tok_other' } });
    },
    'approval-id-taken': async () => post('/v1/approvals', { ...(await startApproval()).input, title: 'Or what?' }),
    'batch-id-taken': async () => {
      const { sku } = await addProduct(shop.store);
      const batchId = randomUUID();
      await upload(JSON.stringify({ sku, quantity: 1 }), `&batchId=${batchId}`);
      return await upload(JSON.stringify({ sku, quantity: 2 }), `&batchId=${batchId}`);
    },
    'already-picked-up': async () => {
      const { order, path } = await placeOrder(isShipped);
      await shop.fakes.carrier.reportNow(order.orderId, 'in_transit');
      return await post(`${path}/cancel`);
    },
    'order-closed': async () => {
      const { path } = await placeOrder(({ status }) => status === 'rejected', 'tok_declined');
      return await post(`${path}/cancel`);
    },
    'compensation-not-stuck': async () => {
      const decision = { compensation: 'refundPayment', attempt: 1, action: 'skip' };
      return await post(`${(await placeOrder(isShipped)).path}/compensation`, decision);
    },
    'delivery-not-overdue': async () =>
      post(`${(await placeOrder(isShipped)).path}/delivery`, { attempt: 1, action: 'wait' }),
    'price-changed': async () => {
      const { sku } = await addProduct(shop.store);
      const expectedTotal = { value: 1, currency: 'EUR' };
      return await post('/v1/orders', makeOrder({ lines: [{ sku, quantity: 1 }], expectedTotal }));
    },
    // The error is simulated; test/api/temporal/update-limit.test.ts reaches the real limit.
    'update-limit': async () => {
      const { path } = await placeOrder(isShipped);
      const details = 'The limit on the total number of distinct updates in this workflow has been reached (2000).';
      const limit = Object.assign(new Error(details), { code: 9, details, metadata: {} });
      const failure = () => limit;
      return await withFailingUpdates(failure, (other) => operator.send(other, 'POST', `${path}/cancel`));
    },
    'wrong-workflow-type': async () => {
      const orderId = randomUUID();
      const options = { workflowId: orderWorkflowId(orderId), taskQueue: ORDER_TASK_QUEUE, args: [] };
      await shop.client.workflow.start('another', options);
      return await get(`/v1/orders/${orderId}`);
    },
    'already-decided': async () => {
      const { path } = await startApproval();
      await decide(path);
      return await decide(path, 'reject');
    },
    'approval-closed': async () => {
      const { path } = await startApproval();
      await post(`${path}/withdraw`);
      return await decide(path);
    },
    // The error is simulated: only approval links contain a stage, and their HTML page is not a JSON problem.
    'stage-passed': async () => {
      const { path } = await startApproval();
      return await withFailingUpdates(failUpdateWith('StagePassed'), (other) =>
        operator.send(other, 'POST', `${path}/decision`, { json: { approver: operator.id, decision: 'approve' } }),
      );
    },
    'batch-running': async () => post(`${await startBatch({ held: true })}/retry`),
    'batch-not-started': async () => {
      const batchId = await stageTestBatch(shop.store, { items: [{ sku: 'ANY', quantity: 1 }] });
      return await post(`/v1/batches/${batchId}/pause`);
    },
    'batch-closed': async () => post(`${await startBatch({ held: false })}/cancel`),
    'nothing-to-retry': async () => post(`${await startBatch({ held: false })}/retry`),
    'request-in-progress': async () => {
      const [{ path, sku }, key] = [await openCart(), randomUUID()];
      const add = () => post(`${path}/items`, { sku, quantity: 1 }, { 'idempotency-key': key });
      await add();
      await sql`update idempotency_keys set status = null where claimed_at = (select max(claimed_at) from idempotency_keys)`.execute(
        shop.store.db,
      );
      return await add();
    },
    'batch-items-deleted': async () => {
      const batchId = await stageTestBatch(shop.store, { items: [{ sku: 'ANY', quantity: 1 }] });
      await sql`update batches set closed_at = '2000-01-01' where batch_id = ${batchId}`.execute(shop.store.db);
      await shop.store.deleteBatchItems(new Date('2000-01-02'));
      return await get(`/v1/batches/${batchId}/failures`);
    },
    'cart-closed': async () => {
      const { path } = await openCart();
      await operator.send(api, 'DELETE', path);
      return await get(path);
    },
    'invalid-items': () => upload('{"sku":"ANY","quantity":-1}'),
    'idempotency-key-reused': async () => {
      const { path, sku } = await openCart();
      const named = { 'idempotency-key': randomUUID() };
      await post(`${path}/items`, { sku, quantity: 1 }, named);
      return await post(`${path}/items`, { sku, quantity: 2 }, named);
    },
    'unknown-sku': () => post(`/v1/carts/${randomUUID()}/items`, { sku: 'NOT-THERE', quantity: 1 }),
    'out-of-stock': async () => {
      const { sku } = await addProduct(shop.store, { available: 0 });
      return await post(`/v1/carts/${randomUUID()}/items`, { sku, quantity: 1 });
    },
    'too-many-lines': async () => {
      const { sku } = await addProduct(shop.store);
      const cartId = randomUUID();
      const lines = Array.from({ length: 100 }, (_, n) => ({ sku: `LINE-${n}`, quantity: 1 }));
      const state = { lines, ledger: [], lastChangeAt: new Date().toISOString(), reminderPassed: false };
      await startCart(shop.client, { cartId, state });
      return await post(`/v1/carts/${cartId}/items`, { sku, quantity: 1 });
    },
    'quantity-too-large': async () => {
      const { path, sku } = await openCart(1_000);
      return await post(`${path}/items`, { sku, quantity: 1 });
    },
    'empty-cart': async () => {
      const { path, sku } = await openCart();
      await operator.send(api, 'DELETE', `${path}/items/${sku}`);
      return await post(`${path}/checkout`, { payment: { token: 'tok_ok' } });
    },
    'mixed-currencies': async () => {
      const { path } = await openCart();
      const { sku } = await addProduct(shop.store, { price: { value: 100, currency: 'USD' } });
      await post(`${path}/items`, { sku, quantity: 1 });
      // The expected total makes the checkout fail. Without it, the order workflow would reject the order later.
      const expectedTotal = { value: 100, currency: 'USD' };
      return await post(`${path}/checkout`, { payment: { token: 'tok_ok' }, expectedTotal });
    },
    // The error is simulated: the real case needs a reset of the cart (test/e2e/carts/resets.test.ts).
    'already-ordered': async () => {
      const { path } = await openCart();
      return await withFailingUpdates(failUpdateWith('AlreadyOrdered'), (other) =>
        operator.send(other, 'POST', `${path}/checkout`, { json: { payment: { token: 'tok_ok' } } }),
      );
    },
    'internal-error': async () => {
      const listProducts = () => Promise.reject(new Error('secret inner text'));
      const other = await startApi({ client: shop.client, store: { ...shop.store, listProducts }, auth });
      try {
        return await operator.send(other, 'GET', '/v1/products');
      } finally {
        await other.close();
      }
    },
    'no-worker': () => callUnpolledQueue(`nobody-${randomUUID()}`),
    'worker-busy': () => callUnpolledQueue(ORDER_TASK_QUEUE),
    'cart-busy': async () => {
      const { path, sku } = await openCart();
      const createNotFoundError = (workflowId: string) => new WorkflowNotFoundError('lost', workflowId, undefined);
      return await withFailingUpdates(createNotFoundError, (other) =>
        operator.send(other, 'PATCH', `${path}/items/${sku}`, { json: { quantity: 2 } }),
      );
    },
    'too-many-uploads': async () => {
      const other = await startApi({ client: shop.client, store: shop.store, auth });
      const headers = { ...asOperator, ...NDJSON };
      const item = '{"sku":"ANY","quantity":1}\n';
      const open = Array.from({ length: 4 }, () =>
        startRequest(`${other.url}/v1/batches?operation=restock`, headers, item),
      );
      try {
        const isRejected = async () => {
          const options: RequestOptions = { text: '{', headers: NDJSON };
          const response = await operator.send(other, 'POST', '/v1/batches?operation=restock', options);
          return response.status === 503 ? response : undefined;
        };
        return await waitUntil(isRejected, {
          description: 'four uploads being in progress',
          timeoutMs: 10_000,
          intervalMs: 20,
        });
      } finally {
        for (const { end } of open) end();
        await other.close();
      }
    },
  } satisfies Partial<Record<ProblemKind, ProblemTrigger>>;

  test('the problem tests cover every kind of problem', () => {
    const inOtherFiles: ProblemKind[] = [
      'overloaded', // "an overloaded process" above
      'unreadable-payload', // test/api/codec/codec.test.ts
      'workflow-paused', // test/e2e/operations/paused-workflows.test.ts
      'non-determinism', // test/api/temporal/failing-workflow-tasks.test.ts
      'workflow-task-failed', // the same file
    ];
    expect([...kindsWithoutBackends, ...inOtherFiles, ...Object.keys(makers)].sort()).toEqual(
      [...PROBLEM_KINDS].sort(),
    );
  });

  test.each(Object.entries(makers))('returns the problem %s with its status, title and headers', async (kind, make) =>
    expectKind(kind as ProblemKind, await make()),
  );
});
