import type { FastifyInstance } from 'fastify';
import { readListPage } from '../../http/lists/list-pages.js';
import { ALL_ROLES } from '../../http/route-contract.js';
import { listProducts } from '../../products/list.js';
import { queryString } from '../components.js';
import { registerListRoutes } from '../list-routes.js';
import type { ConsolePageDependencies } from '../routes.js';
import { parseProductFilter, productsContent, PRODUCTS_PATH, type ProductPage } from './pages.js';

/** The catalogue with its stock. */
export async function productPages(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  const { store, cursors } = deps;
  registerListRoutes(app, deps, {
    title: 'Products',
    section: 'products',
    path: PRODUCTS_PATH,
    livePath: 'live',
    access: ALL_ROLES,
    contracts: {
      open: { operationId: 'openProducts', summary: 'List the products' },
      follow: { operationId: 'followProducts', summary: 'Follow the products' },
    },
    parseFilter: parseProductFilter,
    listOf: (_request, filter) => ({
      invalidHtml: () => productsContent(filter, undefined),
      open: ({ limit, cursor, ...listed }) => ({
        key: `products ${queryString(filter.typed)}`,
        read: () =>
          readListPage(cursors, {
            list: 'products',
            filter: listed,
            query: { limit, cursor },
            read: (position) => listProducts(store, listed, position),
          }),
        render: (products: ProductPage) => productsContent(filter, products),
      }),
    }),
  });
}
