import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { OPERATION_EXAMPLES } from '../../../../src/api/plugins/openapi/examples.js';
import { isOpenBatch, type BatchResource } from '../../../../src/schemas/batch.js';
import type { OrderResource } from '../../../../src/schemas/order.js';
import { product } from '../../../../src/schemas/product.js';
import { waitUntil } from '../../../support/processes.js';
import { signDecision, signShipmentReport, signStripeEvent, startApi, type Api } from '../../../support/api/api.js';
import { signSlackBody } from '../../../support/shop/slack.js';
import { approvalLinks } from '../../../support/shop/test-activities.js';
import { splitIntoChunks, TestOperations } from '../../../support/shop/batches.js';
import { describeOnDevServer, startDevServer } from '../../../support/temporal/dev-server.js';
import {
  readOpenApiDocument,
  documentedOperations,
  createSchemaValidator,
  type DocumentedOperation,
} from '../../../support/api/openapi-document.js';
import { startWebhookReceiver, type WebhookReceiver } from '../../../support/network/webhook-receiver.js';
import { startShop, type Shop } from '../../../support/shop/shop.js';
import { deliverParcel } from '../../../support/fakes/running-fakes.js';

/**
 * Request values that depend on the environment, for example a token or a signature. The document cannot contain them.
 */
interface RequestValues {
  parameters?: Record<string, string>;
  headers?: Record<string, string>;
}

type Preparation = (contentType: string | undefined) => Promise<RequestValues | void>;

const document = await readOpenApiDocument();
const schemaErrorsOf = createSchemaValidator(document);
const calls = documentedOperations(document).flatMap((operation) =>
  (operation.body ? Object.keys(operation.body.content) : [undefined]).map(
    (type) => [[operation.operationId, type].filter(Boolean).join(' as '), operation, type] as const,
  ),
);

describeOnDevServer('the examples of the API', () => {
  const held = new TestOperations();
  let shop: Shop;
  let api: Api;
  let system: WebhookReceiver;

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { operations: held.operations });
    api = await startApi(shop);
    system = await startWebhookReceiver();
    const catalogue: unknown = JSON.parse(await readFile('examples/catalogue.json', 'utf8'));
    await shop.store.addProducts(z.array(product).parse(catalogue));
    held.blockCalls();
  });
  afterAll(async () => {
    held.unblockCalls();
    await system?.close();
    await api?.close();
    await shop?.close();
  });

  async function sendSuccessfully(path: string, json?: unknown): Promise<void> {
    const { status, body } = await api.post(path, json);
    expect([200, 202], `${path}: ${JSON.stringify(body)}`).toContain(status);
  }

  async function waitUntilListed(path: string): Promise<void> {
    const poll = async () => ((await api.get<{ items: unknown[] }>(path)).body.items.length > 0 ? true : undefined);
    await waitUntil(poll, { description: `something in ${path}`, timeoutMs: 20_000 });
  }

  const orderOf = (orderId: string) => ({ ...(OPERATION_EXAMPLES.placeOrder!.body as object), orderId });

  async function placeShippedOrder(orderId: string): Promise<OrderResource> {
    await sendSuccessfully('/v1/orders', orderOf(orderId));
    const awaitsPickup = ({ stage, status }: OrderResource) => stage === 'awaiting_pickup' || status === 'completed';
    return await api.waitForOrder(orderId, awaitsPickup, 'at the carrier');
  }

  async function placeDeliveredOrder(orderId: string): Promise<void> {
    if ((await placeShippedOrder(orderId)).status === 'completed') return;
    await deliverParcel(shop.fakes, orderId);
    await api.waitForOrderStatus(orderId, 'completed');
  }

  async function placeStuckOrder(orderId: string): Promise<void> {
    await placeShippedOrder(orderId);
    shop.fakes.faults.add({ on: 'refund', orderId, fault: 'error', status: 400, times: 1 });
    await sendSuccessfully(`/v1/orders/${orderId}/cancel`);
    await api.waitForOrderStatus(orderId, 'compensation_stuck');
  }

  /** Starts an order with a delivery timeout of one second, and waits until the delivery is overdue. */
  async function placeOverdueOrder(orderId: string): Promise<void> {
    const input = { ...orderOf(orderId), deliveryTimeoutSeconds: 1 };
    await shop.client.workflow.start('order', {
      workflowId: `order:${orderId}`,
      taskQueue: 'orders',
      args: [input],
    });
    shop.fakes.carrier.configure({ autoDeliver: false }, orderId);
    await api.waitForOrder(orderId, ({ shipment }) => shipment !== undefined, 'shipped');
    await shop.fakes.carrier.reportNow(orderId, 'in_transit');
    await api.waitForOrderStatus(orderId, 'delivery_overdue');
  }

  const fillCart = (cartId: string) => sendSuccessfully(`/v1/carts/${cartId}/items`, OPERATION_EXAMPLES.addItem!.body);

  async function startApproval(approvalId: string, changes: object = {}): Promise<void> {
    await sendSuccessfully('/v1/approvals', {
      ...(OPERATION_EXAMPLES.requestApproval!.body as object),
      approvalId,
      ...changes,
    });
  }

  async function openLink(approvalId: string): Promise<RequestValues> {
    await startApproval(approvalId);
    const { runId } = await shop.client.workflow.getHandle(`approval:${approvalId}`).describe();
    const tomorrow = new Date(Date.now() + 86_400_000);
    return {
      parameters: {
        token: await approvalLinks.sign({ approvalId, firstRunId: runId, stage: 1, approver: 'grace' }, tomorrow),
      },
    };
  }

  const runOf = async (batchId: string) => (await api.get<BatchResource>(`/v1/batches/${batchId}`)).body;

  /** Uploads the example batch and waits until the batch closes. */
  async function runRestock(): Promise<void> {
    const { bodies, parameters } = OPERATION_EXAMPLES.uploadBatch!;
    const query = new URLSearchParams(parameters as Record<string, string>);
    const type = 'application/x-ndjson';
    const text = bodies![type] as string;
    await api.request('POST', `/v1/batches?${query.toString()}`, { text, headers: { 'content-type': type } });
    const poll = async () => (isOpenBatch((await runOf('restock-1001')).status) ? undefined : true);
    await waitUntil(poll, { description: 'the end of restock-1001', timeoutMs: 20_000 });
  }

  /** Starts a batch that stays open during the test. */
  async function startBatch(batchId: string): Promise<void> {
    const items = [{ key: `${batchId}-1` }, { key: `${batchId}-2` }];
    await shop.store.stageBatch({ batchId, operation: 'call', itemsPerChunk: 2 }, splitIntoChunks(items, 2));
    await sendSuccessfully(`/v1/batches/${batchId}/retry`);
  }

  /**
   * Creates the resource whose id is the path parameter of the example: calls the operation that creates resources of
   * this kind, with its example. Does nothing for operations without such a parameter.
   */
  async function createResource({ operationId, path }: DocumentedOperation): Promise<void> {
    const [, collection, idField = ''] = /^(\/v1\/[\w-]+)\/\{(\w+)\}/.exec(path) ?? [];
    const create = documentedOperations(document).find((other) => other.method === 'POST' && other.path === collection);
    if (!create || collection === undefined) return;
    const { body } = OPERATION_EXAMPLES[create.operationId]!;
    const id = OPERATION_EXAMPLES[operationId]!.parameters?.[idField];
    await sendSuccessfully(collection, { ...(body as object), [idField]: id });
  }

  /**
   * Functions by `operationId`, for the examples that need more than `createResource`. Each function creates the state
   * that the example of its operation needs.
   */
  const preparations: Record<string, Preparation> = {
    listOrders: () => placeDeliveredOrder('order-1001').then(() => waitUntilListed('/v1/orders?status=completed')),
    getOrder: () => placeDeliveredOrder('order-1001'),
    cancelOrder: async () => void (await placeShippedOrder('order-1002')),
    resolveCompensation: () => placeStuckOrder('order-1003'),
    resolveDelivery: () => placeOverdueOrder('order-1005'),
    receiveShipmentCallback: async () => {
      await placeShippedOrder('order-1004');
      return { headers: signShipmentReport(OPERATION_EXAMPLES.receiveShipmentCallback!.body as never).headers! };
    },

    listUnhandledShipmentReports: async () => {
      await placeShippedOrder('order-1004');
      const report = { orderId: 'order-1004', shipmentId: 'ship-1004', status: 'out_for_delivery' };
      await api.request('POST', '/v1/callbacks/shipments', signShipmentReport(JSON.stringify(report)));
    },

    // The example has the namespace `default`, but the test shop has its own namespace.
    encodePayloads: async () => ({ parameters: { 'x-namespace': shop.client.options.namespace } }),
    decodePayloads: async () => ({ parameters: { 'x-namespace': shop.client.options.namespace } }),

    getCart: () => fillCart('cart-1001'),
    setQuantity: () => fillCart('cart-1001'),
    removeItem: () => fillCart('cart-1001'),
    checkOut: () => fillCart('cart-1002'),
    abandonCart: () => fillCart('cart-1003'),

    listApprovals: () => startApproval('new-roaster').then(() => waitUntilListed('/v1/approvals?approver=grace')),
    openApprovalPage: () => openLink('new-roaster'),
    submitApprovalForm: () => openLink('new-counter'),
    receiveDecisionCallback: async () => {
      const stages = [{ approvers: [{ id: 'erp', webhookUrl: system.url }], timeoutSeconds: 86_400 }];
      await startApproval('new-oven', { stages });
      return { headers: signDecision(OPERATION_EXAMPLES.receiveDecisionCallback!.body as never).headers! };
    },
    receiveStripeEvent: async () => ({
      headers: signStripeEvent(OPERATION_EXAMPLES.receiveStripeEvent!.body).headers!,
    }),

    receiveSlackInteraction: async () => ({
      headers: signSlackBody(new URLSearchParams(OPERATION_EXAMPLES.receiveSlackInteraction!.body as never).toString()),
    }),

    // The CSV example needs its own batch id: CSV items have other line numbers, so their content differs.
    uploadBatch: async (contentType) =>
      contentType === 'text/csv'
        ? { parameters: { batchId: 'restock-as-csv' }, headers: { 'Idempotency-Key': 'restock-as-csv' } }
        : {},
    listBatches: () => runRestock().then(() => waitUntilListed('/v1/batches?status=completed_with_failures')),
    getBatch: runRestock,
    listBatchFailures: runRestock,
    downloadBatchFailures: runRestock,
    followBatch: runRestock,
    pauseBatch: () => startBatch('restock-1002'),
    resumeBatch: () => startBatch('restock-1003').then(() => sendSuccessfully('/v1/batches/restock-1003/pause')),
    cancelBatch: () => startBatch('restock-1004'),
    retryBatch: runRestock,
  };

  test('every preparation belongs to an operation of the document', () => {
    const ids = documentedOperations(document).map(({ operationId }) => operationId);
    expect(Object.keys(preparations).filter((id) => !ids.includes(id))).toEqual([]);
  });

  test('the API serves the committed OpenAPI document', async () => {
    expect((await api.get<unknown>('/openapi.json')).body).toEqual(document);
  });

  /** Builds the example request of an operation from the document. */
  function requestOf(
    { path, method, parameters, body }: DocumentedOperation,
    type: string | undefined,
    given: RequestValues,
  ) {
    const url = new URL(api.url);
    const headers = new Headers();
    let filledPath = path;
    for (const { in: place, name, example } of parameters) {
      const value = given.parameters?.[name] ?? (example as string | number | undefined);
      if (value === undefined) continue;
      if (place === 'path') filledPath = filledPath.replace(`{${name}}`, encodeURIComponent(value));
      if (place === 'query') url.searchParams.set(name, String(value));
      if (place === 'header') headers.set(name, String(value));
    }
    for (const [name, value] of Object.entries(given.headers ?? {})) headers.set(name, value);
    url.pathname = filledPath;
    if (type === undefined) return new Request(url, { method, headers });
    headers.set('content-type', type);
    return new Request(url, { method, headers, body: encoded(body!.content[type]!.example, type), redirect: 'manual' });
  }

  function encoded(value: unknown, type: string): string | null {
    if (value === undefined || typeof value === 'string') return value ?? null;
    if (type === 'application/x-www-form-urlencoded') {
      return new URLSearchParams(value as Record<string, string>).toString();
    }
    return JSON.stringify(value);
  }

  test.each(calls)('the example request of %s gets the declared response', async (_description, operation, type) => {
    const { operationId, location, responses } = operation;
    const given = (await (preparations[operationId]?.(type) ?? createResource(operation))) ?? {};

    const response = await fetch(requestOf(operation, type, given));
    const text = await response.text();

    const { status, headers } = response;
    const [firstGood] = Object.keys(responses).filter((declared) => Number(declared) < 400);
    expect(status, text).toBe(OPERATION_EXAMPLES[operationId]!.status ?? Number(firstGood));

    const declared = responses[status]!;
    const missing = Object.keys(declared.headers ?? {}).filter((name) => !headers.has(name));
    // Only a replayed response has the header `idempotent-replayed`.
    expect(missing.filter((name) => name !== 'idempotent-replayed')).toEqual([]);

    const contentType = headers.get('content-type')?.split(';')[0];
    expect(contentType).toBe(Object.keys(declared.content ?? {})[0]);
    if (contentType === undefined) return;
    const content: unknown = contentType === 'application/json' ? JSON.parse(text) : text;
    expect(
      schemaErrorsOf(content, [...location, 'responses', String(status), 'content', contentType, 'schema']),
    ).toEqual([]);
    const shown: unknown = declared.content![contentType]!.example;
    if (typeof shown === 'object')
      expect(Object.keys(content as object)).toEqual(expect.arrayContaining(Object.keys(shown!)));
  });
});
