import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { OrderStatus } from '../../src/schemas/order.js';
import type { Store } from '../../src/store/index.js';
import { selectListedOrders, selectOperatorOrderCounts, type OrderFilter } from '../../src/store/orders/orders.js';
import { expectReadByIndex } from '../support/database/query-plans.js';
import { useTestStore } from '../support/database/test-store.js';

const ORDER_COUNT = 100_000;
const PAGE_SIZE = 50;

let store: Store;

useTestStore(async (opened) => {
  store = opened;
  // With this collation, as in most databases, the primary key does not serve prefixes.
  await sql`alter table orders alter column order_id type text collate "en-x-icu"`.execute(store.db);
  // Inserts in parts, because the store limits the time of a statement. One order in two has a UUID.
  for (let first = 1; first <= ORDER_COUNT; first += 10_000) {
    await sql`
      insert into orders (order_id, first_run_id, placed_at, customer_id, content_hash, status, stage, reservation)
      select case number % 2 when 0 then md5(number::text)::uuid::text else 'order_' || lpad(number::text, 6, '0') end,
        'run', '2026-01-01'::timestamptz + number * interval '1 minute', 'customer-' || number % 1000, 'hash',
        case when number % 100 = 0 then 'processing' else 'completed' end, 'done', 'sold'
      from generate_series(${first}::int, ${first + 9_999}::int) as number`.execute(store.db);
  }
  await sql`analyze orders`.execute(store.db);
});

const listIds = async (filter: OrderFilter) =>
  (await store.listOrders(filter, { limit: PAGE_SIZE })).map(({ order }) => order.orderId);

test('listOrders finds the orders whose id starts with a text, newest first, and treats wildcards as text', async () => {
  expect(await listIds({ orderIdPrefix: 'order_09000' })).toEqual([9, 7, 5, 3, 1].map((last) => `order_09000${last}`));
  expect(await listIds({ orderIdPrefix: 'order_090001' })).toEqual(['order_090001']);
  for (const orderIdPrefix of ['%', 'order%', 'o____', 'ORDER_09', 'order\\_', 'order_090001x']) {
    expect([orderIdPrefix, await listIds({ orderIdPrefix })]).toEqual([orderIdPrefix, []]);
  }
});

test('the planner has enough samples of the order ids to recognise a rare prefix', async () => {
  const { rows } = await sql<{ samples: number }>`
    select array_length(histogram_bounds::text::text[], 1) as samples
    from pg_stats where tablename = 'orders' and attname = 'order_id'`.execute(store.db);
  expect(rows).toEqual([{ samples: 1_001 }]);
});

test.each<[string, OrderFilter]>([
  ['no filter', {}],
  ['a prefix that one order has', { orderIdPrefix: 'order_000777' }],
  ['a prefix that a few old orders have', { orderIdPrefix: 'order_0007' }],
  ['a prefix that half of the orders have', { orderIdPrefix: 'order_' }],
  ['a prefix that no order has', { orderIdPrefix: 'zzz' }],
  ['a prefix and the customer', { orderIdPrefix: 'order_', customerId: 'customer-7' }],
  ['a prefix and the status', { orderIdPrefix: 'order_0007', status: 'completed' }],
  ['the customer', { customerId: 'customer-8' }],
  ['the status', { status: 'processing' }],
  ['a day', { placedFrom: new Date('2026-02-01'), placedBefore: new Date('2026-02-02') }],
])('with 100,000 orders, a page of the list filtered by %s is read by an index', async (_name, filter) => {
  await expectReadByIndex(selectListedOrders(store.db, filter, { limit: PAGE_SIZE }));
});

test('with 100,000 orders, the orders that wait for an operator are counted by an index', async () => {
  expect(await store.countOrdersForOperators()).toEqual({ stuckCompensations: 0, overdueDeliveries: 0 });
  const setStatus = (status: OrderStatus, orderIds: string[]) =>
    store.db.updateTable('orders').set({ status }).where('order_id', 'in', orderIds).execute();
  await setStatus('compensation_stuck', ['order_000001', 'order_050001', 'order_099999']);
  await setStatus('delivery_overdue', ['order_000003', 'order_050003']);
  expect(await store.countOrdersForOperators()).toEqual({ stuckCompensations: 3, overdueDeliveries: 2 });
  await expectReadByIndex(selectOperatorOrderCounts(store.db), 100);
});
