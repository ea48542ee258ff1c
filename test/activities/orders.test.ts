import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOrderActivities, type OrderKey } from '../../src/activities/orders.js';
import type { OrderInput } from '../../src/schemas/order.js';
import type { Product } from '../../src/schemas/product.js';
import { openStore, type Store } from '../../src/store/index.js';
import { startCommitProxy } from '../support/database/commit-proxy.js';
import { orderWorkflowId } from '../../src/workflows/order/contract.js';
import { createDatabase } from '../support/database/database.js';
import { lockProduct } from '../support/database/database-lock.js';
import { readStock, makeOrder, addProduct } from '../support/shop/shop.js';
import { createMany } from '../support/create-many.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;
let activities: ReturnType<typeof createOrderActivities>;

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: 10, onIdleError: () => undefined });
  activities = createOrderActivities({ store });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

/** The placement time of the orders in these tests. */
const NOW = new Date().toISOString();

const makeReservation = (
  overrides: Partial<OrderInput> & Pick<OrderInput, 'lines'>,
): OrderKey & { workflowId: string } => {
  const order = makeOrder(overrides);
  return {
    orderId: order.orderId,
    workflowId: orderWorkflowId(order.orderId),
    firstRunId: randomUUID(),
    placedAt: NOW,
    input: order,
  };
};

/** Resolves with `ok`, or with the type of the failure. */
const outcomeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'ok',
    (error: unknown) => (error instanceof ApplicationFailure ? error.type! : String(error)),
  );

describe('reserveStock', () => {
  test('reserveStock takes the quantity of each line from the stock', async () => {
    const [mug, filter] = [await addProduct(store), await addProduct(store)];
    const lines = [
      { sku: mug.sku, quantity: 10 },
      { sku: filter.sku, quantity: 1 },
    ];
    await activities.reserveStock(makeReservation({ lines }));

    expect([await readStock(store, mug.sku), await readStock(store, filter.sku)]).toEqual([0, 9]);
  });

  test('when lines are out of stock, names all of them and takes no stock', async () => {
    const [mug, filter, scale] = [await addProduct(store), await addProduct(store), await addProduct(store)];
    const lines = [
      { sku: mug.sku, quantity: 10 },
      { sku: filter.sku, quantity: 11 },
      { sku: scale.sku, quantity: 12 },
    ];

    await expect(activities.reserveStock(makeReservation({ lines }))).rejects.toMatchObject({
      type: 'OutOfStock',
      nonRetryable: true,
      message: `${filter.sku}: 11 requested, 10 available; ${scale.sku}: 12 requested, 10 available`,
      details: [
        [
          { sku: filter.sku, requested: 11, available: 10 },
          { sku: scale.sku, requested: 12, available: 10 },
        ],
      ],
    });
    expect([
      await readStock(store, mug.sku),
      await readStock(store, filter.sku),
      await readStock(store, scale.sku),
    ]).toEqual([10, 10, 10]);
  });

  test('repeated and concurrent calls for one order take the stock once', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    const outcomes = await Promise.all(createMany(5, () => outcomeOf(activities.reserveStock(reservation))));

    expect(outcomes).toEqual(createMany(5, () => 'ok'));
    expect(await readStock(store, sku)).toBe(7);
  });

  test('concurrent orders reserve exactly the available stock', async () => {
    const { sku } = await addProduct(store, { available: 7 });
    const outcomes = await Promise.all(
      createMany(20, () => outcomeOf(activities.reserveStock(makeReservation({ lines: [{ sku, quantity: 1 }] })))),
    );

    expect(outcomes.toSorted()).toEqual([...createMany(13, () => 'OutOfStock'), ...createMany(7, () => 'ok')]);
    expect(await readStock(store, sku)).toBe(0);
  });

  test('concurrent reservations do not deadlock when they list the same products in different sequences', async () => {
    const products = [await addProduct(store, { available: 20 }), await addProduct(store, { available: 20 })];
    const lines = products.map(({ sku }) => ({ sku, quantity: 1 }));
    const outcomes = await Promise.all(
      createMany(20, (index) =>
        outcomeOf(activities.reserveStock(makeReservation({ lines: index % 2 ? lines : lines.toReversed() }))),
      ),
    );

    expect(outcomes).toEqual(createMany(20, () => 'ok'));
    expect(await Promise.all(products.map(({ sku }) => readStock(store, sku)))).toEqual([0, 0]);
  });

  test('locks products in SKU order, regardless of the sequence of the lines', async () => {
    const last = await addProduct(store, { sku: `Z-${randomUUID().slice(0, 8).toUpperCase()}` });
    const first = await addProduct(store, { sku: `A-${randomUUID().slice(0, 8).toUpperCase()}` });
    const lines = [last, first].map(({ sku }) => ({ sku, quantity: 1 }));
    // With statistics, PostgreSQL scans a small table sequentially. Without them, an index scan could return the rows
    // in SKU order by accident.
    await sql`analyze products`.execute(store.db);
    const lock = await lockProduct(database.url, last.sku);
    const reserved = outcomeOf(activities.reserveStock(makeReservation({ lines })));
    await lock.waitForBlocked();
    const free = await sql`select from products where sku = ${first.sku} for no key update skip locked`.execute(
      store.db,
    );
    await lock.release();

    expect(free.rows).toEqual([]);
    expect(await reserved).toBe('ok');
  });

  test('rejects an order id that another execution uses, and takes no stock', async () => {
    const { sku } = await addProduct(store);
    const first = makeReservation({ lines: [{ sku, quantity: 1 }] });
    await activities.reserveStock(first);

    await expect(activities.reserveStock({ ...first, firstRunId: randomUUID() })).rejects.toMatchObject({
      type: 'OrderIdTaken',
      nonRetryable: true,
    });
    expect(await readStock(store, sku)).toBe(9);
  });

  test('when the response to the commit is lost, a retry of reserveStock does not take the stock twice', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    const gate = await startCommitProxy(database.url);
    const behind = openStore({ databaseUrl: gate.url, maxConnections: 1, onIdleError: () => undefined });
    const committed = gate.withholdNextCommit(reservation.orderId);
    const unanswered = outcomeOf(createOrderActivities({ store: behind }).reserveStock(reservation));
    await committed;
    await gate.close();
    const lost = await unanswered;
    await activities.reserveStock(reservation);
    await behind.close();

    expect(lost).toMatch(/connection/i);
    expect(await readStock(store, sku)).toBe(7);
  });

  test('takes no stock when the database closes the connection during the transaction, and a retry succeeds', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    const lock = await lockProduct(database.url, sku);
    const cutStore = openStore({ databaseUrl: database.url, maxConnections: 1, onIdleError: () => undefined });
    const cut = outcomeOf(createOrderActivities({ store: cutStore }).reserveStock(reservation));
    await lock.waitForBlocked();
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(store.db);
    const outcome = await cut;
    await lock.release();
    const stock = await readStock(store, sku);
    await activities.reserveStock(reservation);
    await cutStore.close();

    expect(outcome).toMatch(/connection/i);
    expect(stock).toBe(10);
    expect(await readStock(store, sku)).toBe(7);
  });
});

describe('releaseStock', () => {
  test('repeated and concurrent calls for one order return the stock once', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(reservation);
    const outcomes = await Promise.all(createMany(5, () => outcomeOf(activities.releaseStock(reservation))));
    await activities.releaseStock(reservation);

    expect(outcomes).toEqual(createMany(5, () => 'ok'));
    expect(await readStock(store, sku)).toBe(10);
  });

  test('a release without a reservation makes a later reservation fail', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.releaseStock(reservation);

    await expect(activities.reserveStock(reservation)).rejects.toMatchObject({
      type: 'ReservationReleased',
      nonRetryable: true,
    });
    expect(await readStock(store, sku)).toBe(10);
  });

  test('an order cannot reserve stock again after its release', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(reservation);
    await activities.releaseStock(reservation);

    expect(await outcomeOf(activities.reserveStock(reservation))).toBe('ReservationReleased');
    expect(await readStock(store, sku)).toBe(10);
  });

  test('when releaseStock and reserveStock race, the stock stays unchanged', async () => {
    const { sku } = await addProduct(store);
    const reservations = createMany(20, () => makeReservation({ lines: [{ sku, quantity: 1 }] }));
    const outcomes = await Promise.all(
      reservations.flatMap((reservation, index) => {
        const both = [
          () => outcomeOf(activities.reserveStock(reservation)),
          () => outcomeOf(activities.releaseStock(reservation)),
        ];
        return (index % 2 ? both : both.toReversed()).map((run) => run());
      }),
    );

    expect(new Set(outcomes)).toEqual(new Set(['ok', 'ReservationReleased']));
    expect(await readStock(store, sku)).toBe(10);
  });

  test('a release makes a reservation that still waits for a lock fail', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    const lock = await lockProduct(database.url, sku);
    const reserved = outcomeOf(activities.reserveStock(reservation));
    await lock.waitForBlocked();
    const released = await outcomeOf(activities.releaseStock(reservation));
    await lock.release();

    expect([released, await reserved]).toEqual(['ok', 'ReservationReleased']);
    expect(await readStock(store, sku)).toBe(10);
  });

  test('does not release the reservation of another execution', async () => {
    const { sku } = await addProduct(store);
    const first = makeReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(first);
    await activities.releaseStock({ ...first, firstRunId: randomUUID() });

    expect(await readStock(store, sku)).toBe(7);
    expect(await outcomeOf(activities.reserveStock(first))).toBe('ok');
  });

  test('when the response to the commit is lost, a retry of releaseStock does not release the stock twice', async () => {
    const { sku } = await addProduct(store);
    const reservation = makeReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(reservation);
    const gate = await startCommitProxy(database.url);
    const behind = openStore({ databaseUrl: gate.url, maxConnections: 1, onIdleError: () => undefined });
    const committed = gate.withholdNextCommit(reservation.orderId);
    const unanswered = outcomeOf(createOrderActivities({ store: behind }).releaseStock(reservation));
    await committed;
    await gate.close();
    const lost = await unanswered;
    await activities.releaseStock(reservation);
    await behind.close();

    expect(lost).toMatch(/connection/i);
    expect(await readStock(store, sku)).toBe(10);
  });
});

describe('the database constraints', () => {
  test('the database rejects a negative stock', async () => {
    const { sku } = await addProduct(store, { available: 1 });

    await expect(store.db.updateTable('products').set({ stock: -1 }).where('sku', '=', sku).execute()).rejects.toThrow(
      /check constraint/,
    );
  });

  test('the database rejects a second order with the same id', async () => {
    const order = { ...makeOrderRow(), order_id: randomUUID() };
    await store.db.insertInto('orders').values(order).execute();

    await expect(store.db.insertInto('orders').values(order).execute()).rejects.toThrow(/unique constraint/);
  });
});

describe('the quote of reserveStock', () => {
  let mug: Product;
  let filter: Product;

  beforeAll(async () => {
    mug = await addProduct(store, { name: 'Mug', price: { value: 1250, currency: 'EUR' }, available: 100 });
    filter = await addProduct(store, { name: 'Filter', price: { value: 390, currency: 'EUR' } });
  });

  const quote = (input: { orderId: string }) =>
    activities.reserveStock({
      orderId: input.orderId,
      workflowId: orderWorkflowId(input.orderId),
      firstRunId: randomUUID(),
      placedAt: NOW,
      input: input,
    });

  test('the quote contains the prices of the catalogue', async () => {
    const input = makeOrder({
      lines: [
        { sku: mug.sku, quantity: 2 },
        { sku: filter.sku, quantity: 3 },
      ],
    });

    expect(await quote(input)).toEqual({
      customerId: input.customerId,
      lines: [
        { sku: mug.sku, name: 'Mug', quantity: 2, unitPrice: { value: 1250, currency: 'EUR' } },
        { sku: filter.sku, name: 'Filter', quantity: 3, unitPrice: { value: 390, currency: 'EUR' } },
      ],
      total: { value: 3670, currency: 'EUR' },
    });
  });

  test('the quote merges several lines of the same SKU into one line', async () => {
    const lines = [1, 2, 3].map((quantity) => ({ sku: mug.sku, quantity }));

    expect(await quote(makeOrder({ lines }))).toMatchObject({
      lines: [{ sku: mug.sku, quantity: 6 }],
      total: { value: 7500 },
    });
  });

  test('the quote contains the delivery timeout of the order', async () => {
    const input = makeOrder({ lines: [{ sku: mug.sku, quantity: 1 }], deliveryTimeoutSeconds: 60 });

    expect(await quote(input)).toMatchObject({ deliveryTimeoutSeconds: 60 });
  });

  test('unknown SKUs make reserveStock fail permanently, and the error names all of them', async () => {
    const lines = ['NOBODY', mug.sku, 'NOTHING'].map((sku) => ({ sku, quantity: 1 }));

    await expect(quote(makeOrder({ lines }))).rejects.toMatchObject({
      type: 'UnknownSku',
      nonRetryable: true,
      message: 'not in the catalogue: NOBODY, NOTHING',
      details: [['NOBODY', 'NOTHING']],
    });
  });

  test('fails permanently when products have different currencies', async () => {
    const { sku } = await addProduct(store, { price: { value: 1, currency: 'USD' } });
    const lines = [mug.sku, sku].map((each) => ({ sku: each, quantity: 1 }));

    await expect(quote(makeOrder({ lines }))).rejects.toMatchObject({
      type: 'MixedCurrencies',
      nonRetryable: true,
      message: 'an order has one currency, not EUR, USD',
    });
  });

  test('invalid input makes reserveStock fail permanently, and the error names each problem', async () => {
    const input = { ...makeOrder({ lines: [{ sku: 'no sku', quantity: 1.5 }] }), discount: 100 };

    await expect(quote(input)).rejects.toMatchObject({
      type: 'InvalidInput',
      nonRetryable: true,
      details: [
        expect.arrayContaining([
          { pointer: '/lines/0/sku', detail: expect.any(String) },
          { pointer: '/lines/0/quantity', detail: expect.any(String) },
          { pointer: '/discount', detail: 'is not a known field' },
        ]),
      ],
    });
  });

  test.each([
    ['of another order', 'order:A2'],
    ['without the prefix', 'A1'],
  ])('reserveStock rejects a workflow id %s as invalid input', async (_description, workflowId) => {
    const order = makeOrder({ orderId: 'A1', lines: [{ sku: mug.sku, quantity: 1 }] });
    const key = { orderId: 'A1', workflowId, firstRunId: randomUUID(), placedAt: NOW, input: order };

    await expect(activities.reserveStock(key)).rejects.toMatchObject({
      type: 'InvalidInput',
      details: [[{ pointer: '/orderId' }]],
    });
  });

  test('rejects an order whose total differs from the expected total, reports both totals and takes no stock', async () => {
    const lines = [{ sku: mug.sku, quantity: 2 }];
    const before = await readStock(store, mug.sku);

    await expect(quote(makeOrder({ lines, expectedTotal: { value: 2499, currency: 'EUR' } }))).rejects.toMatchObject({
      type: 'PriceChanged',
      nonRetryable: true,
      details: [{ total: { value: 2500, currency: 'EUR' }, expectedTotal: { value: 2499, currency: 'EUR' } }],
    });
    expect(await readStock(store, mug.sku)).toBe(before);
    await quote(makeOrder({ lines, expectedTotal: { value: 2500, currency: 'EUR' } }));
    expect(await readStock(store, mug.sku)).toBe(before! - 2);
  });
});

const makeOrderRow = () => ({
  first_run_id: 'a',
  placed_at: new Date(),
  customer_id: 'a',
  content_hash: 'a',
  status: 'processing' as const,
  stage: 'reserving_stock' as const,
  reservation: 'reserved' as const,
});
