import { sql, type Kysely, type Selectable, type Transaction } from 'kysely';
import type { Money } from '../schemas/shared/money.js';
import type { Product } from '../schemas/product.js';
import type { Tables } from './tables.js';

export function createProductStore(db: Kysely<Tables>) {
  return {
    /** Returns the products with these SKUs, keyed by SKU. Omits unknown SKUs. */
    async findProducts(skus: string[]): Promise<Map<string, Product>> {
      if (skus.length === 0) return new Map();
      const rows = await db.selectFrom('products').selectAll().where('sku', 'in', skus).execute();
      return new Map(rows.map((row) => [row.sku, toProduct(row)]));
    },

    /** Lists products in SKU order, starting after `after`. */
    async listProducts({ after = '', limit }: { after?: string; limit: number }): Promise<Product[]> {
      const rows = await db
        .selectFrom('products')
        .selectAll()
        .where('sku', '>', after)
        .orderBy('sku')
        .limit(limit)
        .execute();
      return rows.map(toProduct);
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
