import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OPERATION_EXAMPLES } from '../../src/api/plugins/openapi/examples.js';
import { isOpenBatch, type BatchResource } from '../../src/schemas/batch.js';
import type { Problem } from '../../src/schemas/shared/problem.js';
import { waitUntil } from '../support/processes.js';
import { signDecision, signShipmentReport, signStripeEvent, startApi, type Api } from '../support/api/api.js';
import { signSlackBody } from '../support/shop/slack.js';
import { describeOnDevServer, startDevServer } from '../support/temporal/dev-server.js';
import { fuzzText, fuzzBody, fuzzId, fuzzHeader, fuzzQuery } from '../support/api/fuzz-requests.js';
import {
  readOpenApiDocument,
  documentedOperations,
  type DocumentedOperation,
} from '../support/api/openapi-document.js';
import { addProduct, startShop, type Shop } from '../support/shop/shop.js';

const RUNS = 50;

/** The id of each resource that exists in this test. */
const EXISTING_ID = 'fuzz';
const SKU = 'FUZZ';

/** Values that need no escaping: the ids that this project generates, names of types and statuses, and timestamps. */
const VALUE = `'[A-Za-z0-9._:-]{1,100}'`;
const TERM = `(?:WorkflowType = ${VALUE}|CloseTime > ${VALUE}|(?:WorkflowId|ExecutionStatus)(?: not)? in \\(${VALUE}(?:, ${VALUE})*\\))`;
const VISIBILITY_QUERY = new RegExp(`^${TERM}(?: and ${TERM})*$`);

const operations = documentedOperations(await readOpenApiDocument());

describeOnDevServer('the API with random invalid requests', () => {
  let shop: Shop;
  let api: Api;
  const queries: string[] = [];

  beforeAll(async () => {
    shop = await startShop(await startDevServer());
    const { workflowService } = shop.client;
    const list = workflowService.listWorkflowExecutions.bind(workflowService);
    workflowService.listWorkflowExecutions = ((request: { query: string }) => {
      queries.push(request.query);
      return list(request);
    }) as typeof workflowService.listWorkflowExecutions;
    api = await startApi(shop);
    await addProduct(shop.store, { sku: SKU, available: 1_000_000 });
    await fill();
  });
  afterAll(async () => {
    await api?.close();
    await shop?.close();
  });

  async function fill(): Promise<void> {
    const lines = [{ sku: SKU, quantity: 1 }];
    const payment = { token: 'tok_ok' };
    const example = OPERATION_EXAMPLES.requestApproval!.body as object;
    const made = [
      await api.post('/v1/orders', { orderId: EXISTING_ID, customerId: EXISTING_ID, lines, payment }),
      await api.post(`/v1/carts/${EXISTING_ID}/items`, lines[0]),
      await api.post('/v1/approvals', { ...example, approvalId: EXISTING_ID }),
    ];
    expect(made.map(({ status }) => status)).toEqual([202, 200, 202]);
    await runBatch(lines[0]!);
  }

  async function runBatch(line: object): Promise<void> {
    const upload = await api.request('POST', `/v1/batches?operation=restock&batchId=${EXISTING_ID}`, {
      text: JSON.stringify(line),
      headers: { 'content-type': 'application/x-ndjson' },
    });
    expect(upload.status).toBe(202);
    const poll = async () => {
      const { body } = await api.get<BatchResource>(`/v1/batches/${EXISTING_ID}`);
      return isOpenBatch(body.status) ? undefined : true;
    };
    await waitUntil(poll, { description: 'the end of the batch', timeoutMs: 20_000 });
  }

  test.each(operations.map((operation) => [operation.operationId, operation] as const))(
    'random requests get only documented responses and never 500: %s',
    async (_name, operation) => {
      await fc.assert(
        fc.asyncProperty(fuzzRequestFor(operation), async ({ path, ...sent }) => {
          const response = await fetch(api.url + path, {
            method: operation.method,
            redirect: 'manual',
            signal: AbortSignal.timeout(20_000),
            ...sent,
          });
          await expectDeclaredResponse(operation, response);
        }),
        { numRuns: RUNS },
      );
    },
  );

  test('visibility queries contain only names, timestamps and valid ids', async () => {
    const { body } = await api.post<{ orderId: string }>('/v1/orders', {
      customerId: EXISTING_ID,
      lines: [{ sku: SKU, quantity: 1 }],
      payment: { token: 'tok_ok' },
    });
    await api.waitForOrderStage(body.orderId, 'awaiting_pickup');
    await api.get(`/v1/orders?customerId=${EXISTING_ID}&status=processing`);
    await api.get(`/v1/orders?customerId=${EXISTING_ID}&status=failed`);
    await api.get(`/v1/approvals?approver=${EXISTING_ID}&status=withdrawn`);

    expect(queries.filter((query) => !VISIBILITY_QUERY.test(query))).toEqual([]);
    for (const sent of [`'order:${body.orderId}'`, `WorkflowType = 'order'`, `WorkflowType = 'approval'`])
      expect(queries.filter((query) => query.includes(sent)).length).toBeGreaterThanOrEqual(1);
  });

  test('visibility queries for batches contain only names, timestamps and valid ids', async () => {
    await api.get('/v1/batches?status=failed');

    expect(queries.filter((query) => !VISIBILITY_QUERY.test(query))).toEqual([]);
  });
});

async function expectDeclaredResponse({ responses }: DocumentedOperation, response: Response): Promise<void> {
  const text = await response.text();
  const { status, headers } = response;
  expect(Object.keys(responses), text).toContain(String(status));
  expect(status, text).not.toBe(500);
  expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  if (status < 400 || 'text/html' in (responses[status]!.content ?? {})) return;
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json\b/);
  expect(JSON.parse(text) as Problem).toMatchObject({
    type: expect.stringMatching(/^\/problems\/[a-z-]+$/) as string,
    title: expect.any(String) as string,
    status,
    requestId: headers.get('x-request-id'),
  });
}

interface FuzzRequest {
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** Generates requests with some invalid and some valid values, so that some requests reach the handler. */
function fuzzRequestFor({ operationId, path, parameters, body }: DocumentedOperation): fc.Arbitrary<FuzzRequest> {
  const parameterNamesIn = (place: string) =>
    parameters.filter(({ in: where }) => where === place).map(({ name }) => name);
  const ids = fc.record(
    Object.fromEntries(parameterNamesIn('path').map((name) => [name, fuzzId(name === 'sku' ? SKU : EXISTING_ID)])),
  ) as fc.Arbitrary<Record<string, string>>;
  const keyed = parameterNamesIn('header').includes('Idempotency-Key');
  const types = Object.entries(body?.content ?? {});
  const { body: example, bodies = {} } = OPERATION_EXAMPLES[operationId] ?? {};
  const content = types.length
    ? fc.oneof(
        ...types.map(([type]) => fuzzBody(type, bodies[type] ?? example).map((text) => ({ type, text: text }))),
        { arbitrary: fc.record({ type: fuzzHeader, text: fuzzText }), weight: 1 },
      )
    : fc.constant(undefined);
  return fc
    .record({
      ids,
      query: fuzzQuery(parameterNamesIn('query'), EXISTING_ID),
      key: fc.option(fuzzHeader, { nil: undefined }),
      content,
    })
    .map(({ ids, query, key, content }) => {
      const text = content?.text;
      return {
        path: path.replace(/\{(\w+)\}/g, (_match, name: string) => ids[name]!) + query,
        headers: {
          ...(content && { 'content-type': content.type }),
          ...(keyed && key !== undefined && { 'idempotency-key': key }),
          ...signatureFor(operationId, text),
        },
        ...(text !== undefined && { body: text }),
      };
    });
}

/** Signs the body of a callback. The API validates only signed bodies. */
function signatureFor(operationId: string, text = ''): Record<string, string> {
  if (operationId === 'receiveSlackInteraction') {
    const { 'content-type': _form, ...signature } = signSlackBody(text);
    return signature;
  }
  const sign = {
    receiveShipmentCallback: signShipmentReport,
    receiveDecisionCallback: signDecision,
    receiveStripeEvent: signStripeEvent,
  }[operationId];
  if (!sign) return {};
  const { 'content-type': _type, ...headers } = sign(text).headers!;
  return headers;
}
