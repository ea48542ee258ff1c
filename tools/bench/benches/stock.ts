import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runConcurrently } from '../../../src/async/concurrency.js';
import { migrate } from '../../../src/store/migrations/index.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { freePort } from '../../processes/ports.js';
import { startPostgres, type PostgresServer } from '../../servers/postgres/postgres.js';
import { silentReporter } from '../../terminal/reporter.js';
import type { SampleScale } from '../bench.js';
import { addValue, compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';

const ROUNDS = 5;
const RESERVATIONS = 1_000;
const CONCURRENT_RESERVATIONS = 16;
const WARM_UP = 200;

const SPREADS = [1, 4, 16, 256];
const MAX_SPREAD = 256;

/** Pieces of each product: more than all rounds reserve. */
const AVAILABLE = 1_000_000;

const ONE_SKU = 'one SKU';

/**
 * Measures the reservations per second of `reserveStock`, which the activity of the same name calls, on PostgreSQL alone.
 * All orders have one line. The orders name one SKU, or one of several SKUs in turn. Then measures one SKU with a single
 * connection, and without the wait for the disk at a commit, because both show what limits one SKU.
 */
export async function benchStock({ scale }: SampleScale): Promise<Comparison[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bench-stock-'));
  let postgres: PostgresServer | undefined;
  const stores: Store[] = [];
  try {
    postgres = await startPostgres({ dataDir, port: await freePort(), report: silentReporter });
    const open = (maxConnections: number, setting?: string) => {
      const url = new URL(postgres!.url);
      if (setting) url.searchParams.set('options', `-c ${setting}`);
      const store = openStore({ databaseUrl: url.href, maxConnections, onIdleError: () => undefined });
      stores.push(store);
      return store;
    };
    const many = open(CONCURRENT_RESERVATIONS);
    const single = open(1);
    const volatile = open(CONCURRENT_RESERVATIONS, 'synchronous_commit=off');
    await migrate(many.db);
    await many.addProducts(
      Array.from({ length: MAX_SPREAD }, (_, index) => ({
        sku: skuOf(index),
        name: 'A thing',
        price: { value: 100, currency: 'EUR' },
        available: AVAILABLE,
      })),
    );

    const count = scale(RESERVATIONS);
    const bySpread: ValuesByVariant = {};
    const byLimit: ValuesByVariant = {};
    await reserve(many, scale(WARM_UP), MAX_SPREAD);
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      for (const spread of SPREADS) {
        const rate = await reserve(many, count, spread);
        addValue(bySpread, spread === 1 ? ONE_SKU : `${spread} SKUs`, rate);
        if (spread === 1) addValue(byLimit, ONE_SKU, rate);
      }
      addValue(byLimit, 'one SKU, one connection', await reserve(single, count, 1));
      addValue(byLimit, 'one SKU, commits do not wait for the disk', await reserve(volatile, count, 1));
    }
    await assertStock(many);
    const rates = { what: 'reservations per second', unit: 'per second', better: 'more', sampleCount: count } as const;
    return [...compareWithFirst(bySpread, rates), ...compareWithFirst(byLimit, rates)];
  } finally {
    for (const store of stores) await store.close();
    await postgres?.destroy();
    await rm(dataDir, { recursive: true, force: true });
  }
}

const skuOf = (index: number) => `BENCH-${index}`;

/** Reserves one piece for each of `count` orders. @returns the reservations per second. */
async function reserve(store: Store, count: number, spread: number): Promise<number> {
  const started = performance.now();
  await runConcurrently(count, CONCURRENT_RESERVATIONS, async (n) => {
    const order = {
      orderId: randomUUID(),
      firstRunId: randomUUID(),
      placedAt: new Date(),
      customerId: 'bench',
      contentHash: 'bench',
    };
    const { status } = await store.reserveStock(order, [{ sku: skuOf(n % spread), quantity: 1 }]);
    if (status !== 'reserved') throw new Error(`every reservation must succeed, got ${status}`);
  });
  return (count * 1000) / (performance.now() - started);
}

/** Checks that each reservation took one piece from the stock. */
async function assertStock(store: Store): Promise<void> {
  const { stock, reserved } = await store.db
    .selectFrom('products')
    .select(({ fn }) => [fn.sum<string>('stock').as('stock'), fn.sum<string>('reserved').as('reserved')])
    .executeTakeFirstOrThrow();
  if (Number(stock) + Number(reserved) !== MAX_SPREAD * AVAILABLE)
    throw new Error(`stock and reserved pieces must add up, got ${stock} and ${reserved}`);
}
