import { sql } from 'kysely';
import { z } from 'zod';
import { sku } from '../schemas/shared/primitives.js';
import type { ItemFailure } from '../store/batches/chunks.js';
import { lockProducts } from '../store/products.js';
import { defineOperation } from './operation.js';

/** Maximum stock of a product, well within PostgreSQL's integer range. */
const MAX_STOCK = 1_000_000_000;

/** Adds a quantity to the stock of products. Items fail with `UnknownSku` or `StockLimit`. */
export const restock = defineOperation({
  kind: 'store',
  name: 'restock',
  itemSchema: z.strictObject({ sku, quantity: z.int().min(1).max(1_000_000) }),
  itemsPerChunk: 2_500,

  async apply(tx, items) {
    const products = await lockProducts(
      tx,
      items.map(({ item }) => item.sku),
    );
    const failures: ItemFailure[] = [];
    const added = new Map<string, number>();
    for (const [index, { item }] of items.entries()) {
      const product = products.get(item.sku);
      if (!product) {
        failures.push({ index, reason: { type: 'UnknownSku', message: `not in the catalogue: ${item.sku}` } });
        continue;
      }
      const quantity = (added.get(item.sku) ?? 0) + item.quantity;
      if (product.available + quantity > MAX_STOCK) {
        const message = `${item.sku} would have more than ${MAX_STOCK} pieces`;
        failures.push({ index, reason: { type: 'StockLimit', message } });
        continue;
      }
      added.set(item.sku, quantity);
    }
    if (added.size > 0) {
      await sql`
        update products set stock = stock + line.quantity
        from unnest(${[...added.keys()]}::text[], ${[...added.values()]}::int[]) as line (sku, quantity)
        where line.sku = products.sku`.execute(tx);
    }
    return failures;
  },
});
