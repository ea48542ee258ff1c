import { sql } from 'kysely';
import { z } from 'zod';
import { sku } from '../schemas/shared/primitives.js';
import type { ItemFailure } from '../store/batches/chunks.js';
import { lockProducts } from '../store/products.js';
import { defineOperation } from './operation.js';

/** Sets the stock of products. The last item of a product counts. Items fail with `UnknownSku`. */
export const sampleCase = defineOperation({
  kind: 'store',
  name: 'sample-case',
  itemSchema: z.strictObject({ sku, stock: z.int().min(0).max(1_000_000) }),
  itemsPerChunk: 1_000,

  async apply(tx, items) {
    const products = await lockProducts(
      tx,
      items.map(({ item }) => item.sku),
    );
    const failures: ItemFailure[] = [];
    const stocks = new Map<string, number>();
    for (const [index, { item }] of items.entries()) {
      if (products.has(item.sku)) stocks.set(item.sku, item.stock);
      else failures.push({ index, reason: { type: 'UnknownSku', message: `not in the catalogue: ${item.sku}` } });
    }
    if (stocks.size > 0) {
      // One statement for all items of the chunk.
      await sql`
        update products set stock = line.stock
        from unnest(${[...stocks.keys()]}::text[], ${[...stocks.values()]}::int[]) as line (sku, stock)
        where line.sku = products.sku`.execute(tx);
    }
    return failures;
  },
});
