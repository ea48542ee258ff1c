import { sql } from 'kysely';
import { z } from 'zod';
import { money } from '../schemas/shared/money.js';
import { sku } from '../schemas/shared/primitives.js';
import type { ItemFailure } from '../store/batches/chunks.js';
import { lockProducts } from '../store/products.js';
import { defineOperation } from './operation.js';

/** Maximum price in minor units, well within PostgreSQL's integer range. */
const MAX_PRICE = 1_000_000_000;

/**
 * Sets product prices. Chunks run concurrently and can be retried. Nevertheless, the last line of the latest batch
 * determines the price of a product. Items fail with `UnknownSku` or `CurrencyMismatch`.
 */
export const priceUpdate = defineOperation({
  kind: 'store',
  name: 'price-update',
  itemSchema: z.strictObject({ sku, price: money.extend({ value: z.int().min(0).max(MAX_PRICE) }) }),
  itemsPerChunk: 2_500,

  async apply(tx, items, { batchNumber }) {
    const products = await lockProducts(
      tx,
      items.map(({ item }) => item.sku),
    );
    const failures: ItemFailure[] = [];
    const lastItems = new Map<string, { line: number; value: number }>();
    for (const [index, { line, item }] of items.entries()) {
      const product = products.get(item.sku);
      if (!product) {
        failures.push({ index, reason: { type: 'UnknownSku', message: `not in the catalogue: ${item.sku}` } });
      } else if (product.price.currency !== item.price.currency) {
        const message = `${item.sku} is sold in ${product.price.currency}, not in ${item.price.currency}`;
        failures.push({ index, reason: { type: 'CurrencyMismatch', message } });
      } else {
        lastItems.set(item.sku, { line, value: item.price.value });
      }
    }
    if (lastItems.size > 0) {
      const changes = [...lastItems.values()];
      await sql`
        update products set price_value = line.value, price_batch = ${batchNumber}, price_line = line.line
        from unnest(
          ${[...lastItems.keys()]}::text[], ${changes.map(({ value }) => value)}::int[], ${changes.map(({ line }) => line)}::int[]
        ) as line (sku, value, line)
        where line.sku = products.sku
          and (coalesce(price_batch, 0), coalesce(price_line, 0)) < (${batchNumber}::bigint, line.line)`.execute(tx);
    }
    return failures;
  },
});
