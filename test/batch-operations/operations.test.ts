import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOrderActivities } from '../../src/activities/orders.js';
import { operations } from '../../src/batch-operations/index.js';
import type { Operation, StoreOperation } from '../../src/batch-operations/operation.js';
import type { StagedItem } from '../../src/store/batches/staging.js';
import { MAX_ITEMS_PER_CHUNK } from '../../src/schemas/batch.js';
import type { Product } from '../../src/schemas/product.js';
import { openStore, type Store } from '../../src/store/index.js';
import { createMany } from '../support/create-many.js';
import { applyChunk, applyItems, openBatch } from '../support/database/applied-items.js';
import { createDatabase } from '../support/database/database.js';
import { lockProduct } from '../support/database/database-lock.js';
import { readStock, makeOrder, addProduct } from '../support/shop/shop.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: 10, onIdleError: () => undefined });
});

afterAll(async () => {
  await store.close();
  await database.drop();
});

const productOf = async (sku: string) => (await store.findProducts([sku])).get(sku)!;
const priceOf = async (sku: string) => (await productOf(sku)).price;

const unknownSku = () => `NONE-${randomUUID().slice(0, 8).toUpperCase()}`;
const eur = (value: number) => ({ value, currency: 'EUR' });

describe('the batch operations', () => {
  const all = [...operations.entries()];

  test('each batch operation is registered under its own name', () => {
    expect(all.map(([name]) => name)).toEqual(all.map(([, operation]) => operation.name));
    // Open batches store the name of their operation.
    expect([...operations.keys()], 'these operations must keep their names').toEqual(
      expect.arrayContaining(['price-update', 'restock']),
    );
  });

  test.each(all)('%s has a valid name and a valid default number of items per chunk', (name, operation) => {
    expect(name).toMatch(/^[a-z][a-z0-9-]{0,31}$/);
    expect(Number.isInteger(operation.itemsPerChunk)).toBe(true);
    expect(operation.itemsPerChunk).toBeGreaterThanOrEqual(1);
    expect(operation.itemsPerChunk).toBeLessThanOrEqual(MAX_ITEMS_PER_CHUNK);
  });

  test('every operation in src/batch-operations is registered and has a unique name', async () => {
    const folder = new URL('../../src/batch-operations/', import.meta.url);
    const names = (await readdir(folder)).filter((name) => !['index.ts', 'operation.ts'].includes(name));
    const modules = await Promise.all(
      names.map(async (name) => (await import(new URL(name, folder).href)) as Record<string, Operation>),
    );
    const made = modules.flatMap((module) => Object.values(module));

    const unregistered = made.filter((operation) => operations.get(operation.name) !== operation);
    expect(
      unregistered.map(({ name }) => name),
      'add these operations to `allOperations` in src/batch-operations/index.ts, with names that differ',
    ).toEqual([]);
    expect(made).toHaveLength(operations.size);
  });

  test.each<[string, unknown]>([
    ['restock', { sku: 'MUG-BLUE', quantity: 1 }],
    ['restock', { sku: 'M', quantity: 1_000_000 }],
    ['price-update', { sku: 'MUG-BLUE', price: eur(0) }],
    ['price-update', { sku: 'MUG-BLUE', price: { value: 1_000_000_000, currency: 'JPY' } }],
  ])('%s accepts the item %j unchanged', (name, item) => {
    expect(operations.get(name)!.itemSchema.parse(item)).toEqual(item);
  });

  test.each<[string, string, unknown, string]>([
    ['restock', 'no SKU', { quantity: 1 }, 'sku'],
    ['restock', 'a SKU in small letters', { sku: 'mug', quantity: 1 }, 'sku'],
    ['restock', 'a SKU with NUL', { sku: 'MUG\0', quantity: 1 }, 'sku'],
    ['restock', 'a SKU that is too long', { sku: 'M'.repeat(33), quantity: 1 }, 'sku'],
    ['restock', 'a number as its SKU', { sku: 1, quantity: 1 }, 'sku'],
    ['restock', 'no quantity', { sku: 'MUG' }, 'quantity'],
    ['restock', 'a quantity of zero', { sku: 'MUG', quantity: 0 }, 'quantity'],
    ['restock', 'a negative quantity', { sku: 'MUG', quantity: -1 }, 'quantity'],
    ['restock', 'half a unit', { sku: 'MUG', quantity: 0.5 }, 'quantity'],
    ['restock', 'too many units', { sku: 'MUG', quantity: 1_000_001 }, 'quantity'],
    ['restock', 'a string for a number', { sku: 'MUG', quantity: '1' }, 'quantity'],
    ['restock', 'NaN as its quantity', { sku: 'MUG', quantity: NaN }, 'quantity'],
    ['restock', 'an unknown field', { sku: 'MUG', quantity: 1, price: eur(1) }, ''],
    ['restock', 'a list instead of an object', ['MUG', 1], ''],
    ['restock', 'null instead of an object', null, ''],
    ['price-update', 'no price', { sku: 'MUG' }, 'price'],
    ['price-update', 'a number as its price', { sku: 'MUG', price: 1 }, 'price'],
    ['price-update', 'a negative price', { sku: 'MUG', price: eur(-1) }, 'price.value'],
    ['price-update', 'a fraction of a cent', { sku: 'MUG', price: eur(0.5) }, 'price.value'],
    ['price-update', 'a price beyond the integer limit', { sku: 'MUG', price: eur(1_000_000_001) }, 'price.value'],
    ['price-update', 'no currency', { sku: 'MUG', price: { value: 1 } }, 'price.currency'],
    [
      'price-update',
      'a currency that ISO 4217 does not list',
      { sku: 'MUG', price: { value: 1, currency: 'ABC' } },
      'price.currency',
    ],
    [
      'price-update',
      'a currency in small letters',
      { sku: 'MUG', price: { value: 1, currency: 'eur' } },
      'price.currency',
    ],
    ['price-update', 'an unknown field in its price', { sku: 'MUG', price: { ...eur(1), net: true } }, 'price'],
    ['price-update', 'an unknown field', { sku: 'MUG', price: eur(1), quantity: 1 }, ''],
  ])('%s rejects an item with %s, and the error contains the field', (name, _description, item, path) => {
    const { error } = operations.get(name)!.itemSchema.safeParse(item);
    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
  });
});

describe('restock', () => {
  test('adds the units to the stock and does not change other products', async () => {
    const [mug, filter, other] = [
      await addProduct(store),
      await addProduct(store, { available: 0 }),
      await addProduct(store),
    ];
    const items = [
      { sku: mug.sku, quantity: 5 },
      { sku: filter.sku, quantity: 1_000_000 },
    ];
    expect(await applyItems(store, 'restock', items)).toEqual([]);

    expect(await Promise.all([mug, filter, other].map(({ sku }) => readStock(store, sku)))).toEqual([
      15, 1_000_000, 10,
    ]);
    expect(await productOf(mug.sku)).toEqual({ ...mug, available: 15 });
  });

  test('adds the quantities of all items of a product when the product occurs several times', async () => {
    const [mug, filter] = [await addProduct(store), await addProduct(store)];
    const quantities = [1, 2, 3, 4].flatMap((quantity) => [
      { sku: mug.sku, quantity },
      { sku: filter.sku, quantity: quantity * 10 },
    ]);
    expect(await applyItems(store, 'restock', quantities)).toEqual([]);
    expect([await readStock(store, mug.sku), await readStock(store, filter.sku)]).toEqual([20, 110]);
  });

  test('fails the items of unknown products and processes the other items', async () => {
    const { sku } = await addProduct(store);
    const none = unknownSku();
    const message = `not in the catalogue: ${none}`;
    const items = [none, sku, none].map((each) => ({ sku: each, quantity: 1 }));

    expect(await applyItems(store, 'restock', items)).toEqual([
      [1, 'UnknownSku', message],
      [3, 'UnknownSku', message],
    ]);
    expect(await readStock(store, sku)).toBe(11);
    expect(await store.findProducts([none])).toEqual(new Map());
  });

  test('fails all items when no product is in the catalogue', async () => {
    const items = createMany(3, () => ({ sku: unknownSku(), quantity: 1 }));
    expect((await applyItems(store, 'restock', items)).map(([, type]) => type)).toEqual(
      createMany(3, () => 'UnknownSku'),
    );
  });

  test('fails only the items that would exceed the stock limit', async () => {
    const { sku } = await addProduct(store, { available: 999_999_990 });
    const [high, low] = [await addProduct(store, { available: 1_000_000_000 }), await addProduct(store)];
    const message = `${sku} would have more than 1000000000 pieces`;
    const items = [
      { sku, quantity: 4 },
      { sku, quantity: 7 },
      { sku: low.sku, quantity: 7 },
      { sku, quantity: 6 },
      { sku, quantity: 1 },
      { sku: high.sku, quantity: 1 },
    ];
    expect(await applyItems(store, 'restock', items)).toEqual([
      [2, 'StockLimit', message],
      [5, 'StockLimit', message],
      [6, 'StockLimit', `${high.sku} would have more than 1000000000 pieces`],
    ]);
    expect(await Promise.all([sku, low.sku, high.sku].map((sku) => readStock(store, sku)))).toEqual([
      1_000_000_000, 17, 1_000_000_000,
    ]);
  });

  test('adds each item once and never exceeds the stock limit when chunks are applied twice concurrently', async () => {
    const item = fc.record({ product: fc.nat({ max: 2 }), quantity: fc.integer({ min: 1, max: 10 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        async (given, itemsPerChunk) => {
          const before = [0, 10, 999_999_985];
          const products = await Promise.all(before.map((available) => addProduct(store, { available })));
          const items = given.map(({ product, quantity }) => ({ sku: products[product]!.sku, quantity }));
          const batch = await openBatch(store, 'restock', items, itemsPerChunk);
          await Promise.all(createMany(batch.chunks * 2, (n) => applyChunk(store, batch, n % batch.chunks)));

          const failures = await store.listBatchFailures(batch.batchId, { limit: 200 });
          expect(failures.every(({ reason }) => reason.type === 'StockLimit')).toBe(true);
          const failed = new Set(failures.map(({ line }) => line));
          for (const [index, { sku }] of products.entries()) {
            const added = items.filter((each, n) => each.sku === sku && !failed.has(n + 1));
            const sum = before[index]! + added.reduce((total, { quantity }) => total + quantity, 0);
            expect(await readStock(store, sku)).toBe(sum);
            expect(sum).toBeLessThanOrEqual(1_000_000_000);
            // Stock only grows in this test, so a rejected item must also exceed the limit at the end.
            for (const { item } of failures) {
              const rejected = item as { sku: string; quantity: number };
              if (rejected.sku === sku) expect(sum + rejected.quantity).toBeGreaterThan(1_000_000_000);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('price-update', () => {
  test('sets the new prices and changes nothing else', async () => {
    const [mug, filter, other] = [await addProduct(store), await addProduct(store), await addProduct(store)];
    const items = [
      { sku: mug.sku, price: eur(0) },
      { sku: filter.sku, price: eur(1_000_000_000) },
    ];
    expect(await applyItems(store, 'price-update', items)).toEqual([]);

    expect(await productOf(mug.sku)).toEqual({ ...mug, price: eur(0) });
    expect(await productOf(filter.sku)).toEqual({ ...filter, price: eur(1_000_000_000) });
    expect(await productOf(other.sku)).toEqual(other);
  });

  test('fails an item with an unknown SKU or the wrong currency, with the reason, and processes the other items', async () => {
    const [mug, yen] = [await addProduct(store), await addProduct(store, { price: { value: 5, currency: 'JPY' } })];
    const none = unknownSku();
    const items = [
      { sku: mug.sku, price: eur(7) },
      { sku: none, price: eur(8) },
      { sku: yen.sku, price: eur(9) },
      { sku: yen.sku, price: { value: 6, currency: 'JPY' } },
      { sku: mug.sku, price: { value: 1, currency: 'USD' } },
    ];
    expect(await applyItems(store, 'price-update', items)).toEqual([
      [2, 'UnknownSku', `not in the catalogue: ${none}`],
      [3, 'CurrencyMismatch', `${yen.sku} is sold in JPY, not in EUR`],
      [5, 'CurrencyMismatch', `${mug.sku} is sold in EUR, not in USD`],
    ]);
    expect(await priceOf(mug.sku)).toEqual(eur(7));
    expect(await priceOf(yen.sku)).toEqual({ value: 6, currency: 'JPY' });
  });

  test('sets the price from the last line when a product occurs several times', async () => {
    const { sku } = await addProduct(store);
    expect(
      await applyItems(
        store,
        'price-update',
        [3, 9, 1, 5].map((value) => ({ sku, price: eur(value) })),
      ),
    ).toEqual([]);
    expect(await priceOf(sku)).toEqual(eur(5));
  });

  test('keeps the price from a later batch when an earlier batch is retried', async () => {
    const sku = unknownSku();
    const early = await openBatch(store, 'price-update', [{ sku, price: eur(1) }]);
    await applyChunk(store, early, 0);
    await addProduct(store, { sku });
    await applyItems(store, 'price-update', [{ sku, price: eur(2) }]);
    const retried = (await store.openAttempt(early.batchId, 'another run'))!;
    await applyChunk(store, { batchId: early.batchId, ...retried }, 0);

    expect(await priceOf(sku)).toEqual(eur(2));
    expect(await store.countBatchProgress(early.batchId)).toMatchObject({ succeeded: 1, failed: 0, attempt: 2 });
  });

  describe('prices after several price updates', () => {
    const PRODUCTS = 3;
    /** Generates one line of an upload. Some lines have an unknown product or the wrong currency. */
    const line = fc.record({
      product: fc.nat({ max: PRODUCTS }),
      value: fc.nat({ max: 1_000 }),
      wrongCurrency: fc.boolean(),
    });
    const upload = fc.record({
      lines: fc.array(line, { minLength: 1, maxLength: 12 }),
      itemsPerChunk: fc.integer({ min: 1, max: 4 }),
    });
    const scenario = fc.record({
      uploads: fc.array(upload, { minLength: 1, maxLength: 4 }),
      /** The chunks that the first run of each batch applies: indexes into the list of all chunks, in order. */
      first: fc.array(fc.nat(), { maxLength: 30 }),
      /** The order in which a second run applies the remaining chunks. */
      rest: fc.infiniteStream(fc.nat()),
      /** The number of chunks that are applied concurrently. */
      width: fc.integer({ min: 1, max: 8 }),
    });

    test(
      'the final price comes from the last valid line of the latest batch, for any chunk order, concurrency and retries',
      { timeout: 120_000 },
      async () => {
        await fc.assert(
          fc.asyncProperty(scenario, async ({ uploads, first, rest, width }) => {
            const products: Product[] = await Promise.all(createMany(PRODUCTS, () => addProduct(store)));
            const skuOf = (n: number) => products[n]?.sku ?? 'NOT-THERE';
            const batches: Awaited<ReturnType<typeof openBatch>>[] = [];
            for (const { lines, itemsPerChunk } of uploads) {
              const items = lines.map(({ product, value, wrongCurrency }) => ({
                sku: skuOf(product),
                price: { value, currency: wrongCurrency ? 'USD' : 'EUR' },
              }));
              batches.push(await openBatch(store, 'price-update', items, itemsPerChunk));
            }
            type Work = { batch: (typeof batches)[number]; chunkIndex: number };
            const chunksOf = (batch: (typeof batches)[number]): Work[] =>
              createMany(batch.chunks, (chunkIndex) => ({ batch, chunkIndex }));
            const processChunks = async (queue: Work[]) => {
              const left = queue.values();
              const processUntilEmpty = async () => {
                for (const { batch, chunkIndex } of left) await applyChunk(store, batch, chunkIndex);
              };
              await Promise.all(createMany(width, processUntilEmpty));
            };

            const all = batches.flatMap(chunksOf);
            await processChunks(first.map((place) => all[place % all.length]!));
            const others = await Promise.all(
              batches.map(async ({ batchId }) => ({ batchId, ...(await store.openAttempt(batchId, 'another run'))! })),
            );
            const order = rest[Symbol.iterator]();
            const retried = others
              .flatMap(chunksOf)
              .map((queue) => ({ todo: queue, at: order.next().value as number }))
              .toSorted((a, b) => a.at - b.at);
            await processChunks(retried.map(({ todo: queue }) => queue));

            const expected = products.map(({ price }) => price.value);
            for (const { lines } of uploads) {
              for (const { product, value, wrongCurrency } of lines) {
                if (product < PRODUCTS && !wrongCurrency) expected[product] = value;
              }
            }
            const found = await Promise.all(products.map(({ sku }) => priceOf(sku)));
            expect(found).toEqual(expected.map(eur));
          }),
          { numRuns: 60 },
        );
      },
    );
  });
});

describe('concurrent chunks over the same products', () => {
  const items: Record<string, (sku: string) => unknown> = {
    restock: (sku) => ({ sku, quantity: 1 }),
    'price-update': (sku) => ({ sku, price: eur(1) }),
  };

  test('chunks do not deadlock with each other or with orders when their lines have opposite orders', async () => {
    const skus = await Promise.all(createMany(20, async () => (await addProduct(store, { available: 1_000 })).sku));
    const inventory = createOrderActivities({ store });
    const orders = [skus, skus.toReversed()];
    const batches = await Promise.all(
      ['restock', 'price-update'].flatMap((operation) =>
        createMany(10, (n) => openBatch(store, operation, orders[n % 2]!.map(items[operation]!))),
      ),
    );
    const reserving = createMany(10, (n) => {
      const order = makeOrder({ lines: orders[n % 2]!.map((sku) => ({ sku, quantity: 1 })) });
      const { orderId } = order;
      return inventory.reserveStock({
        orderId,
        workflowId: `order:${orderId}`,
        firstRunId: randomUUID(),
        placedAt: new Date().toISOString(),
        input: order,
      });
    });
    const outcomes = await Promise.allSettled([...batches.map((batch) => applyChunk(store, batch, 0)), ...reserving]);

    expect(outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))).toEqual(
      [],
    );
    expect(new Set(await Promise.all(skus.map((sku) => readStock(store, sku))))).toEqual(new Set([1_000]));
    expect(new Set((await Promise.all(skus.map(priceOf))).map(({ value }) => value))).toEqual(new Set([1]));
  });

  test.each(Object.keys(items))(
    'chunks lock products in SKU order (%s), for any order of the lines',
    async (operation) => {
      const last = await addProduct(store, { sku: `Z-${randomUUID().slice(0, 8).toUpperCase()}` });
      const first = await addProduct(store, { sku: `A-${randomUUID().slice(0, 8).toUpperCase()}` });
      const batch = await openBatch(store, operation, [last.sku, first.sku].map(items[operation]!));
      // With statistics, PostgreSQL reads a small table sequentially. Otherwise the rows could be in SKU order by
      // accident.
      await sql`analyze products`.execute(store.db);
      const lock = await lockProduct(database.url, last.sku);
      // Without the time limits of a chunk, which would give up the lock.
      const { apply } = operations.get(operation) as StoreOperation;
      const itemsOfBatch = [last.sku, first.sku].map((sku, index) => ({
        line: index + 1,
        item: items[operation]!(sku),
      }));
      const done = store.db.transaction().execute((tx) => apply(tx, itemsOfBatch as StagedItem<never>[], batch));
      await lock.waitForBlocked();
      const free = await sql`select from products where sku = ${first.sku} for update skip locked`.execute(store.db);
      await lock.release();
      await done;

      expect(free.rows).toEqual([]);
      expect(await done).toEqual([]);
      await applyChunk(store, batch, 0);
      expect(await store.countBatchProgress(batch.batchId)).toMatchObject({ succeeded: 2 });
    },
  );
});
