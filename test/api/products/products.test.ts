import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ProductResource } from '../../../src/schemas/product.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { createClient } from '../../../src/temporal/connections.js';
import { freePort } from '../../support/processes.js';
import { startApi, type Api } from '../../support/api/api.js';
import { createDatabase } from '../../support/database/database.js';
import { addProduct } from '../../support/shop/shop.js';

interface Page {
  items: ProductResource[];
  nextCursor?: string;
}

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;
let api: Api;
const catalogue: ProductResource[] = [];

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: 2, onIdleError: () => undefined });
  const client = createClient({ TEMPORAL_ADDRESS: `127.0.0.1:${await freePort()}`, TEMPORAL_NAMESPACE: 'default' });
  api = await startApi({ client, store });
  for (const [index, sku] of ['TEAPOT', 'MUG-RED', 'SPOON-1', 'MUG-BLUE', 'PLATE'].entries()) {
    const product = await addProduct(store, {
      sku,
      name: `No. ${index} – "ö"`,
      price: { value: 100 + index, currency: 'EUR' },
      available: index,
    });
    catalogue.push({ ...product, reserved: 0, sold: 0 });
  }
  catalogue.sort((one, other) => (one.sku < other.sku ? -1 : 1));
});
afterAll(async () => {
  await api?.close();
  await store?.close();
  await database?.drop();
});

async function list(query = ''): Promise<Page> {
  const { status, body } = await api.get<Page>(`/v1/products${query}`);
  expect(status).toBe(200);
  return body;
}

test('returns the whole catalogue on one page, sorted by SKU', async () => {
  expect(await list()).toEqual({ items: catalogue });
});

test.each([1, 2, 3, 5])('pages through all products with a limit of %d per page', async (limit) => {
  const pages: ProductResource[][] = [];
  for (let query: string | undefined = `?limit=${limit}`; query !== undefined;) {
    const { items, nextCursor }: Page = await list(query);
    pages.push(items);
    query = nextCursor && `?limit=${limit}&cursor=${nextCursor}`;
    expect(pages.length).toBeLessThan(10);
  }

  expect(pages.flat()).toEqual(catalogue);
  for (const items of pages) expect(items.length).toBeLessThanOrEqual(limit);
});

test.each([
  ['search=mug', ['MUG-BLUE', 'MUG-RED']],
  ['search=mug-r', ['MUG-RED']],
  ['search=no+3', ['MUG-BLUE']],
  ['search=ug', []],
  ['search=%25', []],
  ["search='!|", []],
  ['search=SPOON-1&sold=none', ['SPOON-1']],
  ['sold=some', []],
])('returns only the products that match ?%s', async (query, skus) => {
  const { items } = await list(`?${query}`);

  expect(items.map(({ sku }) => sku)).toEqual(skus);
});

test('lists the products that were not sold, and pages through a search', async () => {
  await sql`update products set sold = 5 where sku like 'MUG-%'`.execute(store.db);
  try {
    expect((await list('?sold=none')).items.map(({ sku }) => sku)).toEqual(['PLATE', 'SPOON-1', 'TEAPOT']);
    const first = await list('?sold=some&search=mug&limit=1');
    expect(first.items).toMatchObject([{ sku: 'MUG-BLUE', sold: 5 }]);
    expect((await list(`?sold=some&search=mug&limit=1&cursor=${first.nextCursor}`)).items).toMatchObject([
      { sku: 'MUG-RED' },
    ]);
    expect(await api.get(`/v1/products?sold=none&cursor=${first.nextCursor}`)).toMatchObject({ status: 400 });
  } finally {
    await sql`update products set sold = 0`.execute(store.db);
  }
});

test.each([
  ['is made up', Buffer.from('MUG-BLUE').toString('base64url')],
  ['contains a NUL character', Buffer.from('A\0').toString('base64url')],
  ['is too short', 'A'],
])('returns 400 for a product cursor that %s', async (_description, cursor) => {
  const { status, headers, body } = await api.get(`/v1/products?cursor=${cursor}`);

  expect(status).toBe(400);
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  expect(body).toMatchObject({ type: '/problems/invalid-request', errors: [{ pointer: '/cursor' }] });
});
