import { sql } from 'kysely';
import { z } from 'zod';
import { sku, text } from '../schemas/shared/primitives.js';
import type { ItemFailure } from '../store/batches/chunks.js';
import { lockProducts } from '../store/products.js';
import { defineOperation } from './operation.js';

/** Sets the name of products. The last item of a product counts. Items fail with `UnknownSku`. */
export const sampleCase = defineOperation({
  kind: 'store',
  name: 'sample-case',
  itemSchema: z.strictObject({ sku, name: text(200) }),
  itemsPerChunk: 1_000,

  async apply(tx, items) {
    const products = await lockProducts(
      tx,
      items.map(({ item }) => item.sku),
    );
    const failures: ItemFailure[] = [];
    const names = new Map<string, string>();
    for (const [index, { item }] of items.entries()) {
      if (products.has(item.sku)) names.set(item.sku, item.name);
      else failures.push({ index, reason: { type: 'UnknownSku', message: `not in the catalogue: ${item.sku}` } });
    }
    if (names.size > 0) {
      // One statement for all items of the chunk.
      await sql`
        update products set name = line.name
        from unnest(${[...names.keys()]}::text[], ${[...names.values()]}::text[]) as line (sku, name)
        where line.sku = products.sku`.execute(tx);
    }
    return failures;
  },
});
