import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { pageOf, pageQuery } from '../../schemas/page.js';
import { product } from '../../schemas/product.js';
import type { AppDependencies } from '../app.js';
import { decodeCursor, encodeCursor } from '../cursor.js';

/** The catalogue. */
export async function productRoutes(instance: FastifyInstance, { store }: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get('/', { schema: { querystring: pageQuery, response: { 200: pageOf(product) } } }, async (request) => {
    const { limit, cursor } = request.query;
    const items = await store.listProducts({
      limit,
      ...(cursor && { after: decodeCursor('products', cursor).toString() }),
    });
    const last = items.length === limit ? items.at(-1) : undefined;
    return { items, ...(last && { nextCursor: encodeCursor('products', Buffer.from(last.sku)) }) };
  });
}
