import { z } from 'zod';
import { money } from './shared/money.js';
import { pageOf } from './shared/page.js';
import { sku, text } from './shared/primitives.js';

export const product = z.object({
  sku,
  name: z.string().meta({ examples: ['Enamel mug'] }),
  price: money,
  available: z.int().min(0).describe('The number of pieces that are available for sale.'),
});

export const productResource = product
  .extend({
    reserved: z.int().min(0).describe('The number of pieces that open orders hold.'),
    sold: z.int().min(0).describe('The number of pieces that were delivered to customers.'),
  })
  .meta({ id: 'Product', description: 'A product of the catalogue with its stock.' });

export const productList = pageOf(productResource).meta({
  id: 'ProductList',
  description: 'A page of the catalogue, in SKU order.',
});

/** The query string of the product list, without the page. */
export const productFilter = z.strictObject({
  search: text(100)
    .optional()
    .meta({
      description:
        'Only products whose SKU starts with this text, or whose name contains, for each word of this text, a word that starts with it.',
      examples: ['mug'],
    }),
  sold: z
    .enum(['none', 'some'])
    .optional()
    .describe('`none`: only products of which no piece was sold. `some`: only products that were sold.'),
});

export type Product = z.infer<typeof product>;
export type ProductResource = z.infer<typeof productResource>;
export type ProductFilter = z.infer<typeof productFilter>;
