import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createInventoryActivities, type ReserveStock } from '../../src/activities/inventory.js';
import { openStore, type Store } from '../../src/store/index.js';
import { openCommitGate } from '../support/commit-gate.js';
import { createDatabase } from '../support/database.js';
import { lockProduct } from '../support/database-lock.js';
import { aProduct } from '../support/shop.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;
let activities: ReturnType<typeof createInventoryActivities>;

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: 10, onIdleError: () => undefined });
  activities = createInventoryActivities({ store });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

const aReservation = (overrides: Partial<ReserveStock> & Pick<ReserveStock, 'lines'>): ReserveStock => ({
  orderId: randomUUID(),
  owner: randomUUID(),
  ...overrides,
});

const stockOf = async (sku: string) => (await store.findProducts([sku])).get(sku)?.available;

const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** `ok`, or the type of the failure. */
const outcomeOf = (attempt: Promise<void>): Promise<string> =>
  attempt.then(
    () => 'ok',
    (error: unknown) => (error instanceof ApplicationFailure ? error.type! : String(error)),
  );

describe('reserveStock', () => {
  test('when the stock suffices, then all lines are taken from it', async () => {
    const [mug, filter] = [await aProduct(store), await aProduct(store)];
    const lines = [
      { sku: mug.sku, quantity: 10 },
      { sku: filter.sku, quantity: 1 },
    ];
    await activities.reserveStock(aReservation({ lines }));

    expect([await stockOf(mug.sku), await stockOf(filter.sku)]).toEqual([0, 9]);
  });

  test('when lines are short, then each of them is named and nothing is taken', async () => {
    const [mug, filter, scale] = [await aProduct(store), await aProduct(store), await aProduct(store)];
    const lines = [
      { sku: mug.sku, quantity: 10 },
      { sku: filter.sku, quantity: 11 },
      { sku: scale.sku, quantity: 12 },
    ];

    await expect(activities.reserveStock(aReservation({ lines }))).rejects.toMatchObject({
      type: 'OutOfStock',
      nonRetryable: true,
      message: `${filter.sku}: 11 wanted, 10 there; ${scale.sku}: 12 wanted, 10 there`,
      details: [
        [
          { sku: filter.sku, wanted: 11, available: 10 },
          { sku: scale.sku, wanted: 12, available: 10 },
        ],
      ],
    });
    expect([await stockOf(mug.sku), await stockOf(filter.sku), await stockOf(scale.sku)]).toEqual([10, 10, 10]);
  });

  test('when it is repeated, also at once, then the stock is taken once', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    const outcomes = await Promise.all(times(5, () => outcomeOf(activities.reserveStock(reservation))));

    expect(outcomes).toEqual(times(5, () => 'ok'));
    expect(await stockOf(sku)).toBe(7);
  });

  test('when many want the last pieces at once, then exactly those are sold', async () => {
    const { sku } = await aProduct(store, { available: 7 });
    const outcomes = await Promise.all(
      times(20, () => outcomeOf(activities.reserveStock(aReservation({ lines: [{ sku, quantity: 1 }] })))),
    );

    expect(outcomes.toSorted()).toEqual([...times(13, () => 'OutOfStock'), ...times(7, () => 'ok')]);
    expect(await stockOf(sku)).toBe(0);
  });

  test('when orders name the same products in different order at once, then none of them deadlocks', async () => {
    const products = [await aProduct(store, { available: 20 }), await aProduct(store, { available: 20 })];
    const lines = products.map(({ sku }) => ({ sku, quantity: 1 }));
    const outcomes = await Promise.all(
      times(20, (index) =>
        outcomeOf(activities.reserveStock(aReservation({ lines: index % 2 ? lines : lines.toReversed() }))),
      ),
    );

    expect(outcomes).toEqual(times(20, () => 'ok'));
    expect(await Promise.all(products.map(({ sku }) => stockOf(sku)))).toEqual([0, 0]);
  });

  test('when it waits for one of its products, then it holds those with lower SKUs, whatever the order of its lines', async () => {
    const last = await aProduct(store, { sku: `Z-${randomUUID().slice(0, 8).toUpperCase()}` });
    const first = await aProduct(store, { sku: `A-${randomUUID().slice(0, 8).toUpperCase()}` });
    const lines = [last, first].map(({ sku }) => ({ sku, quantity: 1 }));
    // With statistics a small table is read as it lies, so the order of the locks is not the index's by chance.
    await sql`analyze products`.execute(store.db);
    const lock = await lockProduct(database.url, last.sku);
    const reserved = outcomeOf(activities.reserveStock(aReservation({ lines })));
    await lock.waitedFor();
    const free = await sql`select from products where sku = ${first.sku} for update skip locked`.execute(store.db);
    await lock.release();

    expect(free.rows).toEqual([]);
    expect(await reserved).toBe('ok');
  });

  test('when another execution has the order id, then this one is turned away and nothing is taken', async () => {
    const { sku } = await aProduct(store);
    const first = aReservation({ lines: [{ sku, quantity: 1 }] });
    await activities.reserveStock(first);

    await expect(activities.reserveStock({ ...first, owner: randomUUID() })).rejects.toMatchObject({
      type: 'OrderIdTaken',
      nonRetryable: true,
    });
    expect(await stockOf(sku)).toBe(9);
  });

  test('when the answer to its commit is lost, then a repetition takes nothing more', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    const gate = await openCommitGate(database.url);
    const behind = openStore({ databaseUrl: gate.url, maxConnections: 1, onIdleError: () => undefined });
    const committed = gate.keepAnswer(reservation.orderId);
    const unanswered = outcomeOf(createInventoryActivities({ store: behind }).reserveStock(reservation));
    await committed;
    await gate.close();
    const lost = await unanswered;
    await activities.reserveStock(reservation);
    await behind.close();

    expect(lost).toMatch(/connection/i);
    expect(await stockOf(sku)).toBe(7);
  });

  test('when the database cuts the connection in the middle, then nothing is taken and the next call works', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    const lock = await lockProduct(database.url, sku);
    const cut = outcomeOf(activities.reserveStock(reservation));
    await lock.waitedFor();
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(store.db);
    const outcome = await cut;
    await lock.release();
    const stock = await stockOf(sku);
    await activities.reserveStock(reservation);

    expect(outcome).toMatch(/connection/i);
    expect(stock).toBe(10);
    expect(await stockOf(sku)).toBe(7);
  });
});

describe('releaseStock', () => {
  test('when it is repeated, also at once, then the stock comes back once', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(reservation);
    const outcomes = await Promise.all(times(5, () => outcomeOf(activities.releaseStock(reservation))));
    await activities.releaseStock(reservation);

    expect(outcomes).toEqual(times(5, () => 'ok'));
    expect(await stockOf(sku)).toBe(10);
  });

  test('when there was no reservation, then one that comes later is refused and takes nothing', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.releaseStock(reservation);

    await expect(activities.reserveStock(reservation)).rejects.toMatchObject({
      type: 'ReservationReleased',
      nonRetryable: true,
    });
    expect(await stockOf(sku)).toBe(10);
  });

  test('when a reservation was put back, then it does not come again', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(reservation);
    await activities.releaseStock(reservation);

    expect(await outcomeOf(activities.reserveStock(reservation))).toBe('ReservationReleased');
    expect(await stockOf(sku)).toBe(10);
  });

  test('when it races the reservation, then the stock is back whoever was first', async () => {
    const { sku } = await aProduct(store);
    const reservations = times(20, () => aReservation({ lines: [{ sku, quantity: 1 }] }));
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
    expect(await stockOf(sku)).toBe(10);
  });

  test('when the reservation is still on its way to the database, then it waits and puts the stock back', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    const lock = await lockProduct(database.url, sku);
    const reserved = outcomeOf(activities.reserveStock(reservation));
    await lock.waitedFor();
    const released = outcomeOf(activities.releaseStock(reservation));
    await lock.waitedFor({ by: 2 });
    await lock.release();

    expect([await reserved, await released]).toEqual(['ok', 'ok']);
    expect(await stockOf(sku)).toBe(10);
  });

  test('when it is called for the reservation of another execution, then that one stays', async () => {
    const { sku } = await aProduct(store);
    const first = aReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(first);
    await activities.releaseStock({ ...first, owner: randomUUID() });

    expect(await stockOf(sku)).toBe(7);
    expect(await outcomeOf(activities.reserveStock(first))).toBe('ok');
  });

  test('when the answer to its commit is lost, then a repetition puts nothing more back', async () => {
    const { sku } = await aProduct(store);
    const reservation = aReservation({ lines: [{ sku, quantity: 3 }] });
    await activities.reserveStock(reservation);
    const gate = await openCommitGate(database.url);
    const behind = openStore({ databaseUrl: gate.url, maxConnections: 1, onIdleError: () => undefined });
    const committed = gate.keepAnswer(reservation.orderId);
    const unanswered = outcomeOf(createInventoryActivities({ store: behind }).releaseStock(reservation));
    await committed;
    await gate.close();
    const lost = await unanswered;
    await activities.releaseStock(reservation);
    await behind.close();

    expect(lost).toMatch(/connection/i);
    expect(await stockOf(sku)).toBe(10);
  });
});

describe('the tables', () => {
  test('when somebody would sell what is not there, then the database refuses', async () => {
    const { sku } = await aProduct(store, { available: 1 });

    await expect(store.db.updateTable('products').set({ stock: -1 }).where('sku', '=', sku).execute()).rejects.toThrow(
      /check constraint/,
    );
  });

  test('when an order would be reserved twice, then the database refuses', async () => {
    const head = { order_id: randomUUID(), owner: 'a', status: 'reserved' } as const;
    await store.db.insertInto('reservations').values(head).execute();

    await expect(store.db.insertInto('reservations').values(head).execute()).rejects.toThrow(/unique constraint/);
  });
});
