import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { pageQuery } from '../../schemas/shared/page.js';
import { productFilter, productList } from '../../schemas/product.js';
import type { AppDependencies } from '../dependencies.js';
import { readListPage } from '../http/lists/list-pages.js';
import { ALL_ROLES, withContract } from '../http/route-contract.js';
import { listProducts } from './list.js';

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
      schema: { querystring: pageQuery.extend(productFilter.shape), response: { 200: productList } },
    },
    async ({ query }) => {
      const { limit: _limit, cursor: _cursor, ...filter } = query;
      return await readListPage(cursors, {
        list: 'products',
        filter,
        query,
        read: (page) => listProducts(store, filter, page),
      });
    },
  );
}
