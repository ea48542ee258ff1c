import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import type { Money } from '../schemas/shared/money.js';
import type { Product, ProductFilter, ProductResource } from '../schemas/product.js';
import type { Tables } from './tables.js';

export function createProductStore(db: Kysely<Tables>) {
  return {
    /** Returns the products with these SKUs, keyed by SKU. Omits unknown SKUs. */
    async findProducts(skus: string[]): Promise<Map<string, Product>> {
      if (skus.length === 0) return new Map();
      const rows = await db.selectFrom('products').selectAll().where('sku', 'in', skus).execute();
      return new Map(rows.map((row) => [row.sku, toProduct(row)]));
    },

    /** Lists products in SKU order, starting after `after`, with the counts that triggers on orders keep. */
    async listProducts(filter: ProductFilter, position: ProductPosition): Promise<ProductResource[]> {
      const rows =
        (filter.search === undefined ? undefined : await findFewProducts(db, filter, position)) ??
        (await selectListedProducts(db, filter, position).execute());
      return rows.map((row) => ({ ...toProduct(row), reserved: row.reserved, sold: Number(row.sold) }));
    },

    /** Adds products. Existing products do not change. */
    async addProducts(products: Product[]): Promise<void> {
      await db
        .insertInto('products')
        .values(
          products.map(({ sku, name, price, available }) => ({
            sku,
            name,
            price_value: price.value,
            price_currency: price.currency,
            stock: available,
          })),
        )
        .onConflict((conflict) => conflict.column('sku').doNothing())
        .execute();
    },
  };
}

interface ProductPosition {
  after?: string | undefined;
  limit: number;
}

/**
 * The query of `listProducts` without a search, or for a search that finds many products. Each filter has an index.
 * PostgreSQL reads the products in SKU order until the page is full.
 */
export const selectListedProducts = (db: Kysely<Tables>, filter: ProductFilter, position: ProductPosition) =>
  selectProducts(db, filter, position).orderBy('sku').limit(position.limit);

/**
 * A search that finds more products reads them in SKU order. A page is then full after few products, unless the matches
 * come last.
 */
const MAX_SORTED_PRODUCTS = 4_000;

/** Returns a page of a search that finds few products; undefined if it finds more than `MAX_SORTED_PRODUCTS`. */
async function findFewProducts(db: Kysely<Tables>, filter: ProductFilter, position: ProductPosition) {
  const rows = await selectFoundProducts(db, filter, position).execute();
  return (rows[0]?.found_count ?? 0) > MAX_SORTED_PRODUCTS ? undefined : rows;
}

/**
 * The query for a search that finds few products. PostgreSQL finds all of them by an index, and then sorts them. Without
 * `offset 0`, the planner would read the products in SKU order, which reads most of the table if the matches come last.
 */
export const selectFoundProducts = (db: Kysely<Tables>, filter: ProductFilter, position: ProductPosition) =>
  db
    .with(
      (cte) => cte('found').materialized(),
      (query) =>
        query
          .selectFrom(selectProducts(db, filter, position).offset(0).as('matching'))
          .selectAll()
          .limit(MAX_SORTED_PRODUCTS + 1),
    )
    .selectFrom('found')
    .selectAll()
    .select(sql<number>`(select count(*)::int from found)`.as('found_count'))
    .orderBy('sku')
    .limit(position.limit);

const selectProducts = (db: Kysely<Tables>, { search, sold }: ProductFilter, { after = '' }: ProductPosition) =>
  db
    .selectFrom('products')
    .selectAll()
    .where('sku', '>', after)
    .$if(search !== undefined, (query) => query.where(matches(search!)))
    .$if(sold !== undefined, (query) => query.where('sold', sold === 'none' ? '=' : '>', '0'));

/** Whether the SKU starts with the text, or the name has a word for each word of the text. Both have an index. */
function matches(search: string) {
  const skuPattern = `${search
    .trim()
    .toUpperCase()
    .replace(/[%_\\]/g, '\\$&')}%`;
  const words = search.match(/[\p{L}\p{N}]+/gu) ?? [];
  const nameQuery = words.map((word) => `${word}:*`).join(' & ');
  return sql<boolean>`(sku like ${skuPattern} or to_tsvector('simple', name) @@ to_tsquery('simple', ${nameQuery}))`;
}

export type TotalOutcome =
  | { status: 'priced'; total: Money }
  | { status: 'unknown_sku'; skus: string[] }
  | { status: 'mixed_currencies'; currencies: string[] };

/** Calculates the total of these lines, or returns why there is no total. */
export function calculateTotal(
  lines: readonly { sku: string; quantity: number }[],
  products: ReadonlyMap<string, Product>,
): TotalOutcome {
  const skus = lines.map(({ sku }) => sku).filter((sku) => !products.has(sku));
  if (skus.length > 0) return { status: 'unknown_sku', skus };
  const currencies = [...new Set(lines.map(({ sku }) => products.get(sku)!.price.currency))];
  if (currencies.length !== 1) return { status: 'mixed_currencies', currencies };
  const value = lines.reduce((sum, { sku, quantity }) => sum + quantity * products.get(sku)!.price.value, 0);
  return { status: 'priced', total: { value, currency: currencies[0]! } };
}

/**
 * Locks products until the transaction ends, in SKU order, so that concurrent transactions cannot deadlock.
 *
 * @returns the products, keyed by SKU. Omits unknown SKUs.
 */
export async function lockProducts(tx: Transaction<Tables>, skus: readonly string[]): Promise<Map<string, Product>> {
  const { rows } = await sql<Selectable<Tables['products']>>`
    select * from products where sku = any(${[...new Set(skus)]}) order by sku for no key update`.execute(tx);
  return new Map(rows.map((row) => [row.sku, toProduct(row)]));
}

function toProduct(
  row: Pick<Selectable<Tables['products']>, 'sku' | 'name' | 'price_value' | 'price_currency' | 'stock'>,
): Product {
  return {
    sku: row.sku,
    name: row.name,
    price: { value: row.price_value, currency: row.price_currency },
    available: row.stock,
  };
}
