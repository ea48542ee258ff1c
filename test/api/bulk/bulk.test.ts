import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BulkResult } from '../../../src/schemas/bulk.js';
import type { OrderStatus, OrderView } from '../../../src/schemas/order.js';
import { runBulk, selectFirst, selectIds } from '../../../src/api/bulk/run.js';
import { httpProblem } from '../../../src/api/problems/http-problem.js';
import { createLogger } from '../../../src/observability/logger.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { createClient } from '../../../src/temporal/connections.js';
import { startApi, type Api } from '../../support/api/api.js';
import { createDatabase } from '../../support/database/database.js';
import { freePort } from '../../support/processes.js';
import { addProduct } from '../../support/shop/shop.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;
let api: Api;

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: 4, onIdleError: () => undefined });
  const client = createClient({ TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`, TEMPORAL_NAMESPACE: 'default' });
  api = await startApi({ client, store });
  const { sku } = await addProduct(store, { available: 100 });
  await recordOrder('one', sku, 'ada', 'processing');
  await recordOrder('two', sku, 'ada', 'processing');
  await recordOrder('three', sku, 'grace', 'processing');
  await recordOrder('stuck', sku, 'ada', 'compensation_stuck');
  await recordOrder('closed', sku, 'ada', 'completed');
});
afterAll(async () => {
  await api?.close();
  await store?.close();
  await database?.drop();
});

let placed = 0;

async function recordOrder(orderId: string, sku: string, customerId: string, status: OrderStatus): Promise<void> {
  placed += 1;
  const placedAt = new Date(Date.UTC(2026, 0, placed));
  const order = { orderId, firstRunId: orderId, placedAt, customerId, contentHash: 'hash' };
  await store.reserveStock(order, [{ sku, quantity: 1 }]);
  await store.recordOrderStatus(order, { status, stage: 'awaiting_pickup' });
  if (status !== 'completed') return;
  const view: OrderView = { orderId, status, stage: 'done', steps: [], compensations: [] };
  await store.closeOrder(order, { view, runId: orderId, reservation: 'sold' });
}

const preview = async (body: object) => (await api.post<BulkResult>('/v1/orders/bulk', { dryRun: true, ...body })).body;
const idsOf = ({ items }: BulkResult) => items.map(({ id }) => id);

test.each([
  ['cancel', {}, ['three', 'two', 'one']],
  ['cancel', { customerId: 'ada' }, ['two', 'one']],
  ['cancel', { orderIdPrefix: 't' }, ['three', 'two']],
  ['cancel', { placedFrom: '2026-01-02T00:00:00.000Z', placedBefore: '2026-01-03T00:00:00.000Z' }, ['two']],
  ['retry_compensations', {}, ['stuck']],
  ['retry_compensations', { customerId: 'grace' }, []],
])(
  'a dry run of "%s" with the filter %o selects only the orders to which the action applies',
  async (action, filter, ids) => {
    const result = await preview({ action, filter });

    expect(idsOf(result)).toEqual(ids);
    expect(result).toMatchObject({ dryRun: true, matchCount: ids.length, hasMore: false });
    expect(result.items.every((item) => item.result === 'planned')).toBe(true);
  },
);

test('the limit restricts the selection, but not the count', async () => {
  const result = await preview({ action: 'cancel', filter: {}, limit: 1 });

  expect(result).toMatchObject({ matchCount: 3, items: [{ id: 'three' }] });
});

test.each([
  [{ action: 'cancel' }, '/orderIds'],
  [{ action: 'cancel', filter: {}, orderIds: ['one'] }, '/orderIds'],
  [{ action: 'cancel', orderIds: [] }, '/orderIds'],
  [{ action: 'cancel', filter: { status: 'completed' } }, '/filter/status'],
  [{ action: 'delete', filter: {} }, '/action'],
  [{ action: 'cancel', filter: {}, limit: 501 }, '/limit'],
])('rejects %o with 400', async (body, pointer) => {
  const response = await api.post('/v1/orders/bulk', body);

  expect(response).toMatchObject({ status: 400, body: { errors: [{ pointer }] } });
});

test('reports every order as failed while Temporal is unavailable', async () => {
  const { status, body } = await api.post<BulkResult>('/v1/orders/bulk', {
    action: 'cancel',
    orderIds: ['one', 'two'],
  });

  expect(status).toBe(200);
  const failed = { result: 'failed', problem: '/problems/temporal-unavailable' };
  expect(body.items).toMatchObject([
    { id: 'one', ...failed },
    { id: 'two', ...failed },
  ]);
});

const log = createLogger('bulk', 'silent');

test('selectFirst counts up to 1,000 and reports that there are more', async () => {
  const readIds = async (limit: number) => Array.from({ length: Math.min(limit, 5_000) }, (_, index) => `id-${index}`);

  expect(await selectFirst(2, readIds)).toEqual({ ids: ['id-0', 'id-1'], matchCount: 1_000, hasMore: true });
});

test('runBulk reports the result of each item in order, with at most eight at a time', async () => {
  let running = 0;
  let most = 0;
  const ids = Array.from({ length: 40 }, (_, index) => `id-${index}`);
  const { items } = await runBulk(selectIds([...ids, 'id-0']), {
    dryRun: false,
    action: 'cancel',
    idField: 'orderId',
    log,
    async apply(id) {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
      if (id === 'id-3') throw httpProblem('order-closed', 'order id-3 is completed');
      if (id === 'id-5') throw new Error('a bug');
    },
  });

  expect(items.map(({ id }) => id)).toEqual(ids);
  expect(most).toBe(8);
  expect(items[3]).toEqual({
    id: 'id-3',
    result: 'rejected',
    problem: '/problems/order-closed',
    detail: 'order id-3 is completed',
  });
  expect(items[5]).toMatchObject({ result: 'failed', problem: '/problems/internal-error' });
  expect(items[5]!.detail).not.toContain('bug');
  expect(items.filter(({ result }) => result === 'done')).toHaveLength(38);
});
