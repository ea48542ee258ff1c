import type { Product } from '../../../src/schemas/product.js';
import type { Store } from '../../../src/store/index.js';

const EUR = (value: number) => ({ value, currency: 'EUR' });
const AMPLE_STOCK = 10_000_000;

/** Products for small orders, whose totals are far below the approval threshold. */
export const SMALL_PRODUCTS: Product[] = [
  { sku: 'LOAD-BEANS', name: 'Beans', price: EUR(1_890), available: AMPLE_STOCK },
  { sku: 'LOAD-FILTERS', name: 'Filters', price: EUR(390), available: AMPLE_STOCK },
  { sku: 'LOAD-MUG', name: 'A mug', price: EUR(1_250), available: AMPLE_STOCK },
];

/** A product for large orders: one unit exceeds the approval threshold. */
export const LARGE_PRODUCT: Product = {
  sku: 'LOAD-MACHINE',
  name: 'An espresso machine',
  price: EUR(129_000),
  available: AMPLE_STOCK,
};

/** The products of carts. Each customer of a cart has their own product, and all customers share the last product. */
export const CART_PRODUCTS: Product[] = ['A', 'B', 'C', 'SHARED'].map((name) => ({
  sku: `LOAD-CART-${name}`,
  name: `Cart item ${name}`,
  price: EUR(500),
  available: AMPLE_STOCK,
}));

/** The products that batches restock. No two batches share a product. */
export const PRODUCTS_BY_BATCH: Product[][] = [1, 2].map((batch) =>
  ['A', 'B', 'C'].map((name) => ({
    sku: `LOAD-BATCH-${batch}${name}`,
    name: `Restocked item ${batch}${name}`,
    price: EUR(700),
    available: 0,
  })),
);

/** All products of the load generator. */
export const PRODUCTS: Product[] = [...SMALL_PRODUCTS, LARGE_PRODUCT, ...CART_PRODUCTS, ...PRODUCTS_BY_BATCH.flat()];

/** Adds the load generator's products to the catalogue. Only the database owner may do this. */
export async function addLoadProducts(owner: Pick<Store, 'addProducts'>): Promise<void> {
  await owner.addProducts(PRODUCTS);
}
