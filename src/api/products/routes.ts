import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { pageQuery } from '../../schemas/shared/page.js';
import { productList } from '../../schemas/product.js';
import type { AppDependencies } from '../app.js';
import { ALL_ROLES, withContract } from '../http/route-contract.js';

/** Routes of the product catalogue. */
export async function productRoutes(instance: FastifyInstance, { store, cursors }: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listProducts',
        summary: 'The catalogue, by SKU',
        tag: 'Products',
        access: ALL_ROLES,
        dependencies: ['store'],
      }),
      schema: { querystring: pageQuery, response: { 200: productList } },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      const items = await store.listProducts({
        limit,
        ...(cursor && { after: cursors.decode('products', {}, cursor).toString() }),
      });
      const last = items.length === limit ? items.at(-1) : undefined;
      return { items, ...(last && { nextCursor: cursors.encode('products', {}, Buffer.from(last.sku)) }) };
    },
  );
}
