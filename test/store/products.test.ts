import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { ProductFilter } from '../../src/schemas/product.js';
import type { Store } from '../../src/store/index.js';
import { selectFoundProducts, selectListedProducts } from '../../src/store/products.js';
import { expectReadByIndex } from '../support/database/query-plans.js';
import { useTestStore } from '../support/database/test-store.js';

const PRODUCT_COUNT = 100_000;

let store: Store;

/** Counts 10 pieces of the products in a range as sold. All other products are not sold. */
const markAsSold = (from: number, to: number) =>
  sql`
    update products set sold = case when sku between ${skuOf(from)} and ${skuOf(to)} then 10 else 0 end
    where (sold > 0) <> (sku between ${skuOf(from)} and ${skuOf(to)})`.execute(store.db);

const skuOf = (number: number) => `SKU-${String(number).padStart(6, '0')}`;

useTestStore(async (opened) => {
  store = opened;
  // A busy machine needs longer than the timeout of the store to change all products. There is one connection.
  await sql`set statement_timeout = 0`.execute(store.db);
  await sql`
    insert into products (sku, name, price_value, price_currency, stock)
    select 'SKU-' || lpad(number::text, 6, '0'), 'Mug colour' || number % 500 || case when number > ${PRODUCT_COUNT - 3_000} then ' teapot' else '' end,
      100, 'EUR', 10
    from generate_series(1, ${PRODUCT_COUNT}::int) as number`.execute(store.db);
});

test.each<{ name: string; filter: ProductFilter; sold: [from: number, to: number]; found: number }>([
  { name: 'no filter', filter: {}, sold: [1, 0], found: 50 },
  { name: 'sold, if few products are sold', filter: { sold: 'some' }, sold: [99_991, 100_000], found: 10 },
  { name: 'the start of the SKU', filter: { search: 'SKU-0001' }, sold: [1, 0], found: 50 },
  { name: 'a late start of the SKU', filter: { search: 'SKU-0999' }, sold: [1, 0], found: 50 },
  { name: 'a word of the name', filter: { search: 'colour123' }, sold: [1, 0], found: 50 },
  // The query reads 3,000 products from the index, the table and the result, and not the other 97,000.
  { name: 'a word of the last products', filter: { search: 'teapot' }, sold: [1, 0], found: 50 },
  { name: 'a word that no product has', filter: { search: 'saucer' }, sold: [1, 0], found: 0 },
  // The last case, because it changes nearly all products.
  { name: 'not sold, if few products are not sold', filter: { sold: 'none' }, sold: [1, 99_990], found: 10 },
])(
  'with 100,000 products, a page of the list filtered by $name is read by an index',
  async ({ filter, ...expected }) => {
    await markAsSold(...expected.sold);
    await sql`vacuum analyze products`.execute(store.db);

    expect(await store.listProducts(filter, { limit: 50 })).toHaveLength(expected.found);
    const select = filter.search === undefined ? selectListedProducts : selectFoundProducts;
    await expectReadByIndex(select(store.db, filter, { limit: 50 }), filter.search === 'teapot' ? 30_000 : undefined);
  },
  60_000,
);

test('with 100,000 products, a search that finds most of them returns its pages in SKU order', async () => {
  const first = await store.listProducts({ search: 'mug' }, { limit: 50 });
  const next = await store.listProducts({ search: 'mug' }, { after: first.at(-1)!.sku, limit: 50 });

  expect([...first, ...next].map(({ sku }) => sku)).toEqual(
    Array.from({ length: 100 }, (_, index) => skuOf(index + 1)),
  );
});
