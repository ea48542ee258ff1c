import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { pageQuery } from '../../schemas/shared/page.js';
import { productList, type Product } from '../../schemas/product.js';
import type { Store } from '../../store/index.js';
import type { AppDependencies } from '../dependencies.js';
import { nextPositionAfter, readListPage, type Page, type PageRequest } from '../http/list-pages.js';
import { ALL_ROLES, withContract } from '../http/route-contract.js';

/** Routes of the product catalogue. */
export async function productRoutes(
  instance: FastifyInstance,
  { store, cursors }: Pick<AppDependencies, 'store' | 'cursors'>,
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listProducts',
        summary: 'List the products, sorted by SKU',
        tag: 'Products',
        access: ALL_ROLES,
        dependencies: ['store'],
      }),
      schema: { querystring: pageQuery, response: { 200: productList } },
    },
    async ({ query }) =>
      readListPage(cursors, { list: 'products', filter: {}, query, read: (page) => listProducts(store, page) }),
  );
}

async function listProducts(store: Store, page: PageRequest): Promise<Page<Product>> {
  const items = await store.listProducts({
    limit: page.limit,
    ...(page.position !== undefined && { after: page.position }),
  });
  return { items, ...nextPositionAfter(items, page, ({ sku }) => sku) };
}
