import { randomUUID } from 'node:crypto';
import autocannon from 'autocannon';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { startTemporaryStack } from '../../stack/stack.js';
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
  orderStatusQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
} from '../../../src/workflows/order/contract.js';
import type * as workflows from '../../../src/workflows/index.js';
import { startAnotherApi } from '../measure/another-process.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { anOrder, SKU, stockUp } from './orders.js';
import { latencies, sideBySide } from '../measure/sample.js';

const ROUNDS = 5;
const CALLS = 40;
const WARM_UP = 20;

const SATURATION_ROUNDS = 3;
const SATURATION_SECONDS = 3;
const CONNECTIONS = 32;

const item = { sku: SKU, quantity: 1 };

/** An unknown product: its order ends at the first step, so that only placing the order is measured. */
const NOWHERE = 'NOT-THERE';

/** The cost of HTTP over the bare client, call by call, and the requests per second of one and two processes. */
export async function benchHttp({ take }: Effort): Promise<Figure[]> {
  // Deliveries take an hour, so that orders stay open and the API queries a worker for them.
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 3_600, logLevel: 'warn' });
  const stops = [() => stack.stop()];
  const start = async (more: Record<string, string> = {}) => {
    const { process, url } = await startAnotherApi(stack, more);
    stops.unshift(async () => void (await process.stop()));
    return url;
  };
  try {
    const connection = await Connection.connect({ address: stack.addresses.temporalAddress });
    stops.unshift(() => connection.close());
    await stockUp(stack.addresses.ownerDatabaseUrl);
    const { key, hash } = createApiKey();
    const entry = { id: 'bench', roles: ['shopper', 'operator'], hashes: [hash] };
    const guarded = await start({ API_KEYS: JSON.stringify([entry]), RATE_LIMIT_PER_MINUTE: '10000000' });
    const apis = { open: stack.addresses.apiUrl, guarded, key };
    return [
      ...(await callByCall(new Client({ connection }), apis, take)),
      ...(await saturation([stack.addresses.apiUrl, await start()], take)),
    ];
  } finally {
    for (const stop of stops) await stop();
  }
}

interface Apis {
  open: string;
  /** Requires an API key and counts requests for the rate limit. */
  guarded: string;
  key: string;
}

async function callByCall(client: Client, { open, guarded, key }: Apis, take: Effort['take']): Promise<Figure[]> {
  /** Compares one call in the four HTTP variants with the bare client. */
  const compare = async (what: string, bare: () => Promise<unknown>, call: (ask: Ask) => Promise<unknown>) => {
    const keyed = { 'x-api-key': key };
    const contenders = {
      'bare client': bare,
      HTTP: () => call(asking(open)),
      'HTTP, API key': () => call(asking(guarded, () => keyed)),
      'HTTP, Idempotency-Key': () => call(asking(open, named)),
      'HTTP, both keys': () => call(asking(guarded, () => ({ ...keyed, ...named() }))),
    };
    await sideBySide(take(WARM_UP), contenders);
    const { p50, slowest } = await latencies({ rounds: take(ROUNDS), calls: take(CALLS) }, contenders);
    const calls = { unit: 'ms', better: 'less', of: take(CALLS) } as const;
    return [
      ...besideFirst(p50, { what: `${what}, p50`, ...calls }),
      ...besideFirst(slowest, { what: `${what}, slowest of ${take(CALLS)}`, ...calls }),
    ];
  };

  const placing = await compare(
    'placing an order',
    async () => {
      const order = anOrder(NOWHERE);
      await client.workflow.start(ORDER_WORKFLOW_TYPE, {
        workflowId: orderWorkflowId(order.orderId),
        taskQueue: ORDER_TASK_QUEUE,
        args: [order],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
      });
    },
    (ask) => ask('POST', '/v1/orders', anOrder(NOWHERE)),
  );

  const order = anOrder();
  await asking(open)('POST', '/v1/orders', order);
  const handle = client.workflow.getHandle(orderWorkflowId(order.orderId));
  const isUnderWay = async () => ((await handle.query(orderStatusQuery)).stage === 'in_transit' ? true : undefined);
  await waitUntil(isUnderWay, { what: 'an order under way', deadlineMs: 60_000 });
  const looking = await compare(
    'looking at an open order',
    () => handle.query(orderStatusQuery),
    (ask) => ask('GET', `/v1/orders/${order.orderId}`),
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
  const changing = await compare(
    'changing a cart',
    () => cart.executeUpdate(setQuantityUpdate, { args: [{ ...item, requestId: randomUUID() }] }),
    (ask) => ask('PATCH', `/v1/carts/${cartId}/items/${item.sku}`, { quantity: 1 }),
  );
  return [...placing, ...looking, ...changing];
}

type Ask = (method: string, path: string, body?: unknown) => Promise<string>;

const named = () => ({ 'idempotency-key': randomUUID() });

const asking =
  (url: string, headers: () => Record<string, string> = () => ({})): Ask =>
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

/** Requests per second with one and with two processes, in turn. @throws when a request fails or does not get 2xx. */
async function saturation(urls: string[], take: Effort['take']): Promise<Figure[]> {
  const { orderId, ...unnamed } = anOrder(NOWHERE);
  await asking(urls[0]!)('POST', '/v1/orders', { ...unnamed, orderId });
  const post = {
    method: 'POST' as const,
    path: '/v1/orders',
    body: JSON.stringify(unnamed),
    setupRequest: (request: autocannon.Request) => ({
      ...request,
      headers: { 'content-type': 'application/json', ...named() },
    }),
  };
  const loads: Record<string, autocannon.Request> = {
    'GET /livez': { path: '/livez' },
    'GET /v1/products': { path: '/v1/products' },
    'GET /v1/orders/{orderId}': { path: `/v1/orders/${orderId}` },
    'POST /v1/orders, Idempotency-Key': post,
  };
  const figures: Figure[] = [];
  for (const [what, request] of Object.entries(loads)) {
    const rates: Measured = {};
    for (let round = 0; round < take(SATURATION_ROUNDS); round += 1) {
      for (const [count, url] of [['one process', urls.slice(0, 1)] as const, ['two processes', urls] as const]) {
        const { requests, errors, non2xx } = await autocannon({
          url: url as unknown as string,
          connections: CONNECTIONS,
          duration: SATURATION_SECONDS,
          timeout: 30,
          requests: [request],
        });
        if (errors + non2xx > 0) throw new Error(`${what}: ${errors} errors, ${non2xx} answers that are not 2xx`);
        note(rates, count, requests.average);
      }
    }
    const requests = { unit: 'requests a second', better: 'more', of: SATURATION_SECONDS } as const;
    figures.push(...besideFirst(rates, { what, ...requests }));
  }
  return figures;
}
