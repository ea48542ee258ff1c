import { randomUUID } from 'node:crypto';
import autocannon from 'autocannon';
import { Client, type Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { openConnection } from '../../../src/temporal/connections.js';
import { startTemporaryStack } from '../../../tools/stack/temporary-stack.js';
import type { Stack } from '../../../tools/stack/stack.js';
import type { OrderView } from '../../../src/schemas/order.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { ORDERS_VISIBILITY_QUERY, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { readBalance } from '../../support/shop/balance.js';
import { waitUntil } from '../../support/processes.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';
import type { RunningFakes } from '../../support/fakes/running-fakes.js';
import { addProduct } from '../../support/shop/shop.js';

/** Two connections form a pair and place the same orders, so each order is placed twice at about the same time. */
const CONNECTIONS = 8;
const REQUESTS = 480;
const REQUESTS_PER_SECOND = 60;

/** The numbers of accepted orders at which the test kills the worker. */
const KILL_AFTER_ORDERS = [20, 50];

type PartnerRecords = ReturnType<RunningFakes['records']>;

describeOnDevServer('the API under load', () => {
  let stack: Stack;
  let store: Store;
  let connection: Connection;
  let client: Client;

  beforeAll(async () => {
    stack = await startTemporaryStack({
      carrierPickupSeconds: 0,
      carrierDeliverySeconds: 0,
      applicationEnv: { WORKFLOW_BUNDLE: inject('workflowBundle') },
    });
    store = openStore({
      databaseUrl: stack.addresses.ownerDatabaseUrl,
      maxConnections: 2,
      onIdleError: () => undefined,
    });
    connection = await openConnection({ TEMPORAL_ADDRESS: stack.addresses.temporalAddress });
    client = new Client({ connection, namespace: stack.addresses.temporalNamespace });
  }, 180_000);
  afterAll(async () => {
    await connection?.close();
    await store?.close();
    await stack?.stop();
  });

  async function killWorker(): Promise<void> {
    const worker = stack.processes.get('worker')!;
    const killed = worker.current;
    killed.kill('SIGKILL');
    expect(await killed.exited).toEqual({ code: null, signal: 'SIGKILL' });
    const isReplaced = () => (worker.current.pid === killed.pid ? undefined : true);
    await waitUntil(isReplaced, { description: 'another worker', timeoutMs: 20_000 });
  }

  async function recordsOf(orderId: string): Promise<PartnerRecords> {
    const { origin } = new URL(stack.addresses.paymentsUrl);
    return (await (await fetch(`${origin}/test/ledger?orderId=${orderId}`)).json()) as PartnerRecords;
  }

  const countOrders = async () => (await client.workflow.count(ORDERS_VISIBILITY_QUERY)).count;

  test('creates each order once, and fails requests only with 503, while the worker is killed (SIGKILL) twice', async () => {
    const product = await addProduct(store, { available: 100_000 });
    const lines = [{ sku: product.sku, quantity: 1 }];
    const body = JSON.stringify({ customerId: 'load', lines, payment: { token: 'tok_ok' } });
    const run = randomUUID();
    const placeOrderRequest = (key: string) => ({
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body,
    });
    /** The order ids in the API's responses, by idempotency key. */
    const taken = new Map<string, Set<string>>();
    const statuses: Record<string, number> = {};
    const count = (what: string, status: number) =>
      (statuses[`${what} ${status}`] = (statuses[`${what} ${status}`] ?? 0) + 1);
    const recordResponse = (key: string, status: number, response: string) => {
      count('place', status);
      const ids = taken.get(key) ?? new Set();
      taken.set(key, ids);
      if (status === 202) ids.add((JSON.parse(response) as { orderId: string }).orderId);
    };
    const acknowledgedKeys = () => [...taken.values()].filter((ids) => ids.size > 0);

    let connections = 0;
    /** Makes a connection repeatedly place an order, read that order and list the orders. */
    const setupClient = (connected: autocannon.Client) => {
      const pair = Math.floor(connections++ / 2);
      let round = 0;
      let key = '';
      const path = (path: string) => ({ method: 'GET' as const, path });
      connected.setRequests([
        {
          method: 'POST',
          path: '/v1/orders',
          setupRequest: (request) => {
            key = `${run}-${pair}-${(round += 1)}`;
            return { ...request, ...placeOrderRequest(key) };
          },
          onResponse: (status, response) => recordResponse(key, status, response),
        },
        {
          setupRequest: (request) => ({
            ...request,
            ...path(`/v1/orders/${[...(taken.get(key) ?? [])][0] ?? 'none'}`),
          }),
          onResponse: (status) => count('get', status),
        },
        { ...path('/v1/orders?limit=5'), onResponse: (status) => count('list', status) },
      ]);
    };
    const load = autocannon({
      // autocannon distributes the connections over the APIs in turn.
      url: stack.addresses.apiUrls as unknown as string,
      connections: CONNECTIONS,
      timeout: 30,
      setupClient,
      amount: REQUESTS,
      overallRate: REQUESTS_PER_SECOND,
    });
    for (const orders of KILL_AFTER_ORDERS) {
      const haveEnoughOrders = () => acknowledgedKeys().length >= orders || undefined;
      await waitUntil(haveEnoughOrders, { description: `${orders} accepted orders`, timeoutMs: 60_000 });
      await killWorker();
    }
    const { errors, timeouts, requests } = await load;
    console.log(`${requests.total} requests, ${taken.size} orders: ${JSON.stringify(statuses)}`);

    expect({ errors, timeouts }).toEqual({ errors: 0, timeouts: 0 });
    const good = /^(place (202|409|503)|get (200|404|503)|list (200|503))$/;
    expect(Object.keys(statuses).filter((status) => !good.test(status))).toEqual([]);
    // Like a client that received 503, the test repeats the request with the same key.
    for (const [key, ids] of taken) {
      if (ids.size > 0) continue;
      const response = await fetch(`${stack.addresses.apiUrl}/v1/orders`, {
        method: 'POST',
        ...placeOrderRequest(key),
      });
      recordResponse(key, response.status, await response.text());
    }
    expect([...taken.values()].filter((ids) => ids.size !== 1)).toEqual([]);

    const orderIds = acknowledgedKeys().flatMap((ids) => [...ids]);
    expect(new Set(orderIds).size).toBe(orderIds.length);
    const ends = orderIds.map((orderId) => client.workflow.getHandle(orderWorkflowId(orderId)).result());
    const views = (await Promise.all(ends)) as OrderView[];
    expect(views.filter(({ status }) => status !== 'completed')).toEqual([]);
    const areAllListed = async () => ((await countOrders()) >= orderIds.length ? true : undefined);
    await waitUntil(areAllListed, { description: 'every order in the list', timeoutMs: 10_000 });
    expect(await countOrders()).toBe(orderIds.length);
    for (const orderId of orderIds) {
      const records = await recordsOf(orderId);
      const fakes = { records: () => records } as unknown as RunningFakes;
      const order = { orderId, products: [product], lines, token: 'tok_ok' };
      const { verdict, parcels } = await readBalance({ store, fakes }, order, { others: orderIds.length - 1 });
      expect({ orderId, verdict, parcels }).toEqual({ orderId, verdict: 'sold', parcels: ['delivered'] });
    }
  }, 180_000);
});
