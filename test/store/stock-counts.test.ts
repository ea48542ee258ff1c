import { randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { OrderView } from '../../src/schemas/order.js';
import { openStore, type Store } from '../../src/store/index.js';
import * as stockCounts from '../../src/store/migrations/0010-stock-counts.js';
import type { NewOrder } from '../../src/store/orders/order-row.js';
import type { FinalReservation } from '../../src/store/orders/reservations.js';
import { createDatabase } from '../support/database/database.js';
import { addProduct } from '../support/shop/shop.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
/** The store with the privileges of worker and API. */
let store: Store;
let owner: Store;

beforeAll(async () => {
  database = await createDatabase();
  const open = (databaseUrl: string) => openStore({ databaseUrl, maxConnections: 8, onIdleError: () => undefined });
  store = open(database.appUrl);
  owner = open(database.url);
});
afterAll(async () => {
  await Promise.all([store?.close(), owner?.close()]);
  await database?.drop();
});

const makeNewOrder = (): NewOrder => ({
  orderId: randomUUID(),
  firstRunId: randomUUID(),
  placedAt: new Date(),
  customerId: 'ada',
  contentHash: 'hash',
});

async function reserve(lines: { sku: string; quantity: number }[]): Promise<NewOrder> {
  const order = makeNewOrder();
  expect(await store.reserveStock(order, lines)).toMatchObject({ status: 'reserved' });
  return order;
}

async function close(order: NewOrder, reservation: FinalReservation): Promise<void> {
  const { lines, total } = (await store.findOrder(order.orderId))!;
  const view: OrderView = {
    orderId: order.orderId,
    status: reservation === 'sold' ? 'completed' : 'rejected',
    stage: 'done',
    ...(lines && { lines }),
    ...(total && { total }),
    steps: [],
    compensations: [],
  };
  await store.closeOrder(order, { view, runId: order.firstRunId, reservation });
}

async function countsOf(sku: string) {
  const [product] = await store.listProducts({ search: sku }, { limit: 1 });
  const { available, reserved, sold } = product!;
  return { available, reserved, sold };
}

test('counts the pieces of an order as reserved, and as sold after its delivery', async () => {
  const [mug, kettle] = [await addProduct(owner), await addProduct(owner)];
  const order = await reserve([
    { sku: mug.sku, quantity: 3 },
    { sku: kettle.sku, quantity: 1 },
  ]);
  expect(await countsOf(mug.sku)).toEqual({ available: 7, reserved: 3, sold: 0 });

  await close(order, 'sold');
  await close(order, 'sold');

  expect(await countsOf(mug.sku)).toEqual({ available: 7, reserved: 0, sold: 3 });
  expect(await countsOf(kettle.sku)).toEqual({ available: 9, reserved: 0, sold: 1 });
});

test.each([
  ['released', 10],
  ['written_off', 8],
] as const)('counts no pieces of an order whose stock is %s', async (reservation, available) => {
  const { sku } = await addProduct(owner);
  const order = await reserve([{ sku, quantity: 2 }]);
  if (reservation === 'released') await store.releaseStock(order);

  await close(order, reservation);

  expect(await countsOf(sku)).toEqual({ available, reserved: 0, sold: 0 });
});

test('counts correctly when many orders of the same products change at the same time', async () => {
  const [one, other] = [await addProduct(owner, { available: 100 }), await addProduct(owner, { available: 100 })];
  const both = [
    { sku: one.sku, quantity: 1 },
    { sku: other.sku, quantity: 2 },
  ];
  const reservations = Array.from({ length: 24 }, (_, index) => ({
    lines: index % 2 ? both : both.toReversed(),
    outcome: (['sold', 'released', 'written_off', undefined] as const)[index % 4],
  }));

  await Promise.all(
    reservations.map(async ({ lines, outcome }) => {
      const order = await reserve(lines);
      if (outcome) await close(order, outcome);
    }),
  );

  expect(await countsOf(one.sku)).toEqual({ available: 82, reserved: 6, sold: 6 });
  expect(await countsOf(other.sku)).toEqual({ available: 64, reserved: 12, sold: 12 });
});

test('the migration counts the orders that exist before it', async () => {
  const { sku } = await addProduct(owner);
  await close(await reserve([{ sku, quantity: 4 }]), 'sold');
  await close(await reserve([{ sku, quantity: 1 }]), 'written_off');
  await reserve([{ sku, quantity: 2 }]);
  await owner.db.transaction().execute(async (tx) => {
    await sql`drop trigger orders_count_new on orders`.execute(tx);
    await sql`drop trigger orders_count_changed on orders`.execute(tx);
    await sql`drop function count_new_orders, count_changed_orders, change_stock_counts`.execute(tx);
    await sql`drop index products_by_sku_prefix, products_by_name, products_not_sold, products_sold`.execute(tx);
    await sql`alter table products drop column reserved, drop column sold`.execute(tx);

    await stockCounts.up(tx as unknown as Kysely<unknown>);

    const { rows } = await sql`select stock, reserved, sold::int from products where sku = ${sku}`.execute(tx);
    expect(rows).toEqual([{ stock: 3, reserved: 2, sold: 4 }]);
  });
});
