import { z } from 'zod';
import { money } from './shared/money.js';
import { pageOf } from './shared/page.js';
import { sku } from './shared/primitives.js';

export const product = z
  .object({
    sku,
    name: z.string().meta({ examples: ['Enamel mug'] }),
    price: money,
    available: z.int().min(0).describe('The number of pieces that are available for sale.'),
  })
  .meta({ id: 'Product', description: 'A product of the catalogue.' });

export const productList = pageOf(product).meta({
  id: 'ProductList',
  description: 'A page of the catalogue, in SKU order.',
});

export type Product = z.infer<typeof product>;
