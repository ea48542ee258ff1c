import { randomUUID } from 'node:crypto';
import autocannon from 'autocannon';
import { Client, WithStartWorkflowOperation } from '@temporalio/client';
import { openConnection } from '../../../src/temporal/connections.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import { waitUntil } from '../../processes/wait.js';
import { createApiKey } from '../../../src/api/plugins/auth/api-keys.js';
import {
  addItemUpdate,
  cartWorkflowId,
  CART_TASK_QUEUE,
  setQuantityUpdate,
} from '../../../src/workflows/cart/contract.js';
import {
  ORDER_WORKFLOW_TYPE,
  orderQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
} from '../../../src/workflows/order/contract.js';
import type * as workflows from '../../../src/workflows/index.js';
import { startExtraApi } from '../measure/extra-process.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { anOrder, BENCH_SKU, addBenchProduct } from '../load/orders.js';
import { measureLatencies, runInTurn } from '../measure/sampling.js';

const ROUNDS = 5;
const CALLS_PER_ROUND = 40;
const WARM_UP = 20;

const SATURATION_ROUNDS = 3;
const SATURATION_SECONDS = 3;
const CONNECTIONS = 32;

const item = { sku: BENCH_SKU, quantity: 1 };

/** No product has this SKU. The order ends at its first step, so the bench measures only placing the order. */
const UNKNOWN_SKU = 'NOT-THERE';

/**
 * Measures the latency of calls over HTTP against the SDK client, and the requests per second of one and two API
 * processes.
 */
export async function benchHttp({ scale }: SampleScale): Promise<Comparison[]> {
  // Deliveries take an hour. The orders stay open, so the API must query a worker for them.
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 3_600, logLevel: 'warn' });
  const stops = [() => stack.stop()];
  const start = async (more: Record<string, string> = {}) => {
    const { process, url } = await startExtraApi(stack, more);
    stops.unshift(async () => void (await process.stop()));
    return url;
  };
  try {
    const connection = await openConnection({ TEMPORAL_ADDRESS: stack.addresses.temporalAddress });
    stops.unshift(() => connection.close());
    await addBenchProduct(stack.addresses.ownerDatabaseUrl);
    const { key, hash } = createApiKey();
    const entry = { id: 'bench', roles: ['shopper', 'operator'], hashes: [hash] };
    const protectedUrl = await start({ API_KEYS: JSON.stringify([entry]), RATE_LIMIT_PER_MINUTE: '10000000' });
    const apis = { openUrl: stack.addresses.apiUrl, protectedUrl, key };
    return [
      ...(await compareCalls(new Client({ connection }), apis, scale)),
      ...(await measureSaturation([stack.addresses.apiUrl, await start()], scale)),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

interface ApiEndpoints {
  openUrl: string;
  /** The URL of an API that requires an API key and counts requests for the rate limit. */
  protectedUrl: string;
  key: string;
}

async function compareCalls(
  client: Client,
  { openUrl, protectedUrl, key }: ApiEndpoints,
  scale: SampleScale['scale'],
): Promise<Comparison[]> {
  /** Compares a call in four HTTP variants with the same call by the SDK client. */
  const compare = async (
    what: string,
    callClient: () => Promise<unknown>,
    call: (send: SendRequest) => Promise<unknown>,
  ) => {
    const apiKeyHeader = { 'x-api-key': key };
    const variants = {
      'SDK client': callClient,
      HTTP: () => call(createRequestSender(openUrl)),
      'HTTP, API key': () => call(createRequestSender(protectedUrl, () => apiKeyHeader)),
      'HTTP, Idempotency-Key': () => call(createRequestSender(openUrl, idempotencyKeyHeader)),
      'HTTP, both keys': () =>
        call(createRequestSender(protectedUrl, () => ({ ...apiKeyHeader, ...idempotencyKeyHeader() }))),
    };
    await runInTurn(scale(WARM_UP), variants);
    const { p50, max } = await measureLatencies({ rounds: scale(ROUNDS), calls: scale(CALLS_PER_ROUND) }, variants);
    const calls = { unit: 'ms', better: 'less', sampleCount: scale(CALLS_PER_ROUND) } as const;
    return [
      ...compareWithFirst(p50, { what: `${what}, p50`, ...calls }),
      ...compareWithFirst(max, { what: `${what}, slowest of ${scale(CALLS_PER_ROUND)}`, ...calls }),
    ];
  };

  const placingResults = await compare(
    'placing an order',
    async () => {
      const order = anOrder(UNKNOWN_SKU);
      await client.workflow.start(ORDER_WORKFLOW_TYPE, {
        workflowId: orderWorkflowId(order.orderId),
        taskQueue: ORDER_TASK_QUEUE,
        args: [order],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
      });
    },
    (send) => send('POST', '/v1/orders', anOrder(UNKNOWN_SKU)),
  );

  const order = anOrder();
  await createRequestSender(openUrl)('POST', '/v1/orders', order);
  const handle = client.workflow.getHandle(orderWorkflowId(order.orderId));
  const isInTransit = async () => ((await handle.query(orderQuery)).stage === 'in_transit' ? true : undefined);
  await waitUntil(isInTransit, { description: 'an order in transit', timeoutMs: 60_000 });
  const readingResults = await compare(
    'reading an open order',
    () => handle.query(orderQuery),
    (send) => send('GET', `/v1/orders/${order.orderId}`),
  );

  const cartId = randomUUID();
  await client.workflow.executeUpdateWithStart(addItemUpdate, {
    args: [item],
    startWorkflowOperation: new WithStartWorkflowOperation<typeof workflows.cart>('cart', {
      workflowId: cartWorkflowId(cartId),
      taskQueue: CART_TASK_QUEUE,
      args: [{ cartId }],
      workflowIdConflictPolicy: 'FAIL',
    }),
  });
  const cart = client.workflow.getHandle(cartWorkflowId(cartId));
  const changingResults = await compare(
    'changing a cart',
    () => cart.executeUpdate(setQuantityUpdate, { args: [{ ...item, idempotencyKey: randomUUID() }] }),
    (send) => send('PATCH', `/v1/carts/${cartId}/items/${item.sku}`, { quantity: 1 }),
  );
  return [...placingResults, ...readingResults, ...changingResults];
}

type SendRequest = (method: string, path: string, body?: unknown) => Promise<string>;

const idempotencyKeyHeader = () => ({ 'idempotency-key': randomUUID() });

const createRequestSender =
  (url: string, headers: () => Record<string, string> = () => ({})): SendRequest =>
  async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers() },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  };

/**
 * Measures requests per second with one and with two API processes, in turn. @throws when a request fails or its
 * response is not 2xx.
 */
async function measureSaturation(urls: string[], scale: SampleScale['scale']): Promise<Comparison[]> {
  const { orderId, ...unnamed } = anOrder(UNKNOWN_SKU);
  await createRequestSender(urls[0]!)('POST', '/v1/orders', { ...unnamed, orderId });
  const post = {
    method: 'POST' as const,
    path: '/v1/orders',
    body: JSON.stringify(unnamed),
    setupRequest: (request: autocannon.Request) => ({
      ...request,
      headers: { 'content-type': 'application/json', ...idempotencyKeyHeader() },
    }),
  };
  const loads: Record<string, autocannon.Request> = {
    'GET /livez': { path: '/livez' },
    'GET /v1/products': { path: '/v1/products' },
    'GET /v1/orders/{orderId}': { path: `/v1/orders/${orderId}` },
    'POST /v1/orders, Idempotency-Key': post,
  };
  const figures: Comparison[] = [];
  for (const [what, request] of Object.entries(loads)) {
    const rates: ValuesByVariant = {};
    for (let round = 0; round < scale(SATURATION_ROUNDS); round += 1) {
      for (const [count, url] of [['one process', urls.slice(0, 1)] as const, ['two processes', urls] as const]) {
        const { requests, errors, non2xx } = await autocannon({
          url: url as unknown as string,
          connections: CONNECTIONS,
          duration: SATURATION_SECONDS,
          timeout: 30,
          requests: [request],
        });
        if (errors + non2xx > 0)
          throw new Error(
            `${what}: all requests must succeed, got ${errors} errors and ${non2xx} responses other than 2xx`,
          );
        addValue(rates, count, requests.average);
      }
    }
    const requests = { unit: 'requests per second', better: 'more', sampleCount: SATURATION_SECONDS } as const;
    figures.push(...compareWithFirst(rates, { what, ...requests }));
  }
  return figures;
}
