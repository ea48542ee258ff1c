import type { ProductFilter, ProductResource } from '../../schemas/product.js';
import type { Store } from '../../store/index.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/lists/list-pages.js';

/** Lists a page of the catalogue, in SKU order. */
export async function listProducts(
  store: Store,
  filter: ProductFilter,
  page: PageRequest,
): Promise<Page<ProductResource>> {
  const items = await store.listProducts(filter, { after: page.position, limit: page.limit });
  return { items, ...nextPositionAfter(items, page, ({ sku }) => sku) };
}
