import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { selectListedBatches } from '../../src/store/batches/progress.js';
import { selectListedCarts } from '../../src/store/carts.js';
import type { Store } from '../../src/store/index.js';
import { expectReadByIndex } from '../support/database/query-plans.js';
import { useTestStore } from '../support/database/test-store.js';

const ROW_COUNT = 20_000;

let store: Store;

/** The first, thus oldest, hundred rows have the rare statuses. */
useTestStore(async (opened) => {
  store = opened;
  await sql`
    insert into carts (first_run_id, cart_id, status)
    select 'run-' || n, 'cart-' || n, case when n > 100 then 'checked_out' when n % 2 = 0 then 'open' else 'abandoned' end
    from generate_series(1, ${ROW_COUNT}::int) as n`.execute(store.db);
  await sql`
    insert into batches (batch_id, operation, items_per_chunk, total, content_hash, status)
    select 'batch-' || n, 'restock', 1, 1, 'hash',
      case when n > 100 then 'completed' when n % 2 = 0 then 'running' else 'cancelled' end
    from generate_series(1, ${ROW_COUNT}::int) as n`.execute(store.db);
  await sql`vacuum analyze carts, batches`.execute(store.db);
});

test('a page of the oldest carts of two statuses is sorted, and read by an index', async () => {
  const filter = { statuses: ['abandoned', 'open'] as const };

  const carts = await store.listCarts(filter, { before: 91, limit: 3 });
  expect(carts.map(({ cartId, status }) => [cartId, status])).toEqual([
    ['cart-90', 'open'],
    ['cart-89', 'abandoned'],
    ['cart-88', 'open'],
  ]);
  await expectReadByIndex(selectListedCarts(store.db, filter, { limit: 50 }));
  expect(await store.listCarts({}, { limit: 1 })).toMatchObject([{ cartId: `cart-${ROW_COUNT}` }]);
});

test('a page of the oldest batches of three statuses is sorted, and read by an index', async () => {
  const filter = { statuses: ['failed', 'running', 'cancelled'] as const };

  const batches = await store.listBatches(filter, { before: 91, limit: 3 });
  expect(batches.map(({ batchId, status }) => [batchId, status])).toEqual([
    ['batch-90', 'running'],
    ['batch-89', 'cancelled'],
    ['batch-88', 'running'],
  ]);
  await expectReadByIndex(selectListedBatches(store.db, filter, { limit: 50 }));
  expect(await store.listBatches({}, { limit: 1 })).toMatchObject([{ batchId: `batch-${ROW_COUNT}` }]);
});
