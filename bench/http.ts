import { randomUUID } from 'node:crypto';
import autocannon from 'autocannon';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { freePort } from '../dev/ports.js';
import { startProcess, typescript, type ManagedProcess } from '../dev/processes.js';
import { developmentEnvironment, developmentWebhookSecret, loadSettings } from '../dev/settings.js';
import { startTemporaryStack, type Stack } from '../dev/stack.js';
import { waitUntil } from '../dev/wait.js';
import { createApiKey } from '../src/api/auth/api-keys.js';
import type { OrderInput } from '../src/schemas/order.js';
import { addItemUpdate, cartWorkflowId, CART_TASK_QUEUE, setQuantityUpdate } from '../src/workflows/cart/contract.js';
import {
  NEWEST_ORDER_WORKFLOW_TYPE,
  orderStatusQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
} from '../src/workflows/order/contract.js';
import type * as workflows from '../src/workflows/index.js';
import { line, percentile, sideBySide } from './sample.js';

const ROUNDS = 200;
const WARM_UP = 20;

const SATURATION_ROUNDS = 3;
const SATURATION_SECONDS = 5;
const CONNECTIONS = 32;

const item = { sku: 'MUG-ENAMEL', quantity: 1 };

/** Ends at its first step: only what it takes to place it is of interest. */
const anOrder = (sku = 'NOT-THERE'): OrderInput => ({
  ...{ orderId: randomUUID(), customerId: 'bench', lines: [{ sku, quantity: 1 }], payment: { token: 'tok_ok' } },
});

/** What HTTP costs over the bare client, call by call, and how many requests a second one and two processes answer. */
export async function benchHttp(): Promise<void> {
  // Parcels are under way for an hour, so that orders stay open and a worker is asked for them.
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 3_600 });
  const connection = await Connection.connect({ address: stack.addresses.temporalAddress });
  const processes: ManagedProcess[] = [];
  const start = async (more: Record<string, string> = {}) => {
    const { process, url } = await startApiProcess(stack, more);
    processes.push(process);
    return url;
  };
  try {
    const { key, hash } = createApiKey();
    const entry = { id: 'bench', roles: ['shopper', 'operator'], hashes: [hash] };
    const guarded = await start({ API_KEYS: JSON.stringify([entry]), RATE_LIMIT_PER_MINUTE: '10000000' });
    const apis = { open: stack.addresses.apiUrl, guarded, key };
    await latencies(new Client({ connection }), apis);
    await saturation([stack.addresses.apiUrl, await start()]);
  } finally {
    for (const process of processes) await process.stop();
    await connection.close();
    await stack.stop();
  }
}

interface Apis {
  open: string;
  /** Asks for an API key, and counts requests. */
  guarded: string;
  key: string;
}

async function latencies(client: Client, { open, guarded, key }: Apis): Promise<void> {
  /** One call in the four ways of HTTP, beside the bare client. */
  const compare = async (what: string, bare: () => Promise<unknown>, call: (ask: Ask) => Promise<unknown>) => {
    const keyed = { 'x-api-key': key };
    const contenders = {
      'bare client (base)': bare,
      HTTP: () => call(asking(open)),
      'HTTP, API key': () => call(asking(guarded, () => keyed)),
      'HTTP, Idempotency-Key': () => call(asking(open, named)),
      'HTTP, API key and Idempotency-Key': () => call(asking(guarded, () => ({ ...keyed, ...named() }))),
    };
    await sideBySide(WARM_UP, contenders);
    const samples = await sideBySide(ROUNDS, contenders);
    console.log(`http: ${what}, one caller, ${ROUNDS} rounds in turn`);
    for (const [name, values] of Object.entries(samples))
      console.log(line(name, values, samples['bare client (base)']));
    console.log('');
  };

  await compare(
    'placing an order',
    async () => {
      const order = anOrder();
      await client.workflow.start(NEWEST_ORDER_WORKFLOW_TYPE, {
        ...{ workflowId: orderWorkflowId(order.orderId), taskQueue: ORDER_TASK_QUEUE, args: [order] },
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
      });
    },
    (ask) => ask('POST', '/v1/orders', anOrder()),
  );

  const { orderId, ...order } = anOrder(item.sku);
  await asking(open)('POST', '/v1/orders', { orderId, ...order });
  const handle = client.workflow.getHandle(orderWorkflowId(orderId));
  const isUnderWay = async () => ((await handle.query(orderStatusQuery)).stage === 'in_transit' ? true : undefined);
  await waitUntil(isUnderWay, { what: 'an order under way', deadlineMs: 60_000 });
  await compare(
    'looking at an open order',
    () => handle.query(orderStatusQuery),
    (ask) => ask('GET', `/v1/orders/${orderId}`),
  );

  const cartId = randomUUID();
  await client.workflow.executeUpdateWithStart(addItemUpdate, {
    args: [item],
    startWorkflowOperation: new WithStartWorkflowOperation<typeof workflows.cart>('cart', {
      ...{ workflowId: cartWorkflowId(cartId), taskQueue: CART_TASK_QUEUE, args: [{ cartId }] },
      workflowIdConflictPolicy: 'FAIL',
    }),
  });
  const cart = client.workflow.getHandle(cartWorkflowId(cartId));
  await compare(
    'changing a cart',
    () => cart.executeUpdate(setQuantityUpdate, { args: [{ ...item, requestId: randomUUID() }] }),
    (ask) => ask('PATCH', `/v1/carts/${cartId}/items/${item.sku}`, { quantity: 1 }),
  );
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

/** Requests a second with one and with two processes, in turn. */
async function saturation(urls: string[]): Promise<void> {
  const { orderId, ...unnamed } = anOrder();
  await asking(urls[0]!)('POST', '/v1/orders', { ...unnamed, orderId });
  const post = {
    ...{ method: 'POST' as const, path: '/v1/orders', body: JSON.stringify(unnamed) },
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
  console.log(
    `http: requests a second of ${CONNECTIONS} connections, ${SATURATION_ROUNDS} rounds in turn, median; the load, Temporal, PostgreSQL and the worker share the cores`,
  );
  for (const [name, request] of Object.entries(loads)) {
    const rates = { one: [] as number[], two: [] as number[] };
    const failed: Record<string, number> = {};
    for (let round = 0; round < SATURATION_ROUNDS; round += 1) {
      for (const [count, url] of [['one', urls.slice(0, 1)] as const, ['two', urls] as const]) {
        const {
          requests,
          errors,
          statusCodeStats = {},
        } = await autocannon({
          ...{ url: url as unknown as string, connections: CONNECTIONS, duration: SATURATION_SECONDS },
          ...{ timeout: 30, requests: [request] },
        });
        rates[count].push(requests.average);
        if (errors) failed.errors = (failed.errors ?? 0) + errors;
        for (const [status, { count = 0 }] of Object.entries(statusCodeStats)) {
          if (!status.startsWith('2')) failed[status] = (failed[status] ?? 0) + count;
        }
      }
    }
    const [one, two] = [percentile(rates.one, 0.5), percentile(rates.two, 0.5)];
    const refused = Object.keys(failed).length ? `   not answered well: ${JSON.stringify(failed)}` : '';
    console.log(
      `  ${name.padEnd(34)} one process ${one.toFixed(0)}, two ${two.toFixed(0)}   ratio ${(two / one).toFixed(2)}${refused}`,
    );
  }
  console.log('');
}

/** Another API process of the stack. */
async function startApiProcess(stack: Stack, more: Record<string, string>) {
  const { temporalAddress, temporalNamespace, databaseUrl } = stack.addresses;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { command, args } = typescript('src/api/server.ts');
  const process = await startProcess({
    ...{ name: 'another API', command, args },
    env: {
      ...{ HOST: '127.0.0.1', PORT: String(port), DATABASE_URL: databaseUrl, LOG_LEVEL: 'info' },
      ...{ TEMPORAL_ADDRESS: temporalAddress, TEMPORAL_NAMESPACE: temporalNamespace },
      CARRIER_WEBHOOK_SECRET: developmentWebhookSecret,
      ...developmentEnvironment({ ...loadSettings(), application: {} }, url),
      ...more,
    },
  });
  const ready = async () => ((await fetch(`${url}/readyz`)).ok ? true : undefined);
  await waitUntil(ready, { what: 'another API', deadlineMs: 60_000 });
  return { process, url };
}
