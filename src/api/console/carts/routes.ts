import type { FastifyInstance } from 'fastify';
import type { CartList } from '../../../schemas/cart.js';
import { listCarts } from '../../carts/list.js';
import { restrictedIdOf } from '../../http/caller.js';
import { registerListRoutes } from '../list-routes.js';
import type { ConsolePageDependencies } from '../routes.js';
import { CARTS_PATH, cartListHtml, parseCartFilter } from './list-page.js';
import { cartPageRoutes } from './page-routes.js';

/** The list of carts, and the page of a cart with its items, which can be changed and checked out. */
export async function cartPages(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  registerListRoutes(app, deps, {
    title: 'Carts',
    section: 'carts',
    path: CARTS_PATH,
    livePath: '_live',
    access: ['operator', 'shopper'],
    contracts: {
      open: { operationId: 'openCarts', summary: 'Open the list of carts' },
      follow: { operationId: 'followCarts', summary: 'Follow the list of carts' },
    },
    parseFilter: parseCartFilter,
    listOf: ({ caller }, filter) => {
      const customerId = restrictedIdOf(caller);
      const page = { filter, hasCustomerFilter: customerId === undefined };
      return {
        invalidHtml: () => cartListHtml(undefined, page),
        redirect: ({ cartId }) => (cartId === undefined ? undefined : `/carts/${cartId}`),
        open: ({ cartId: _, ...query }) => ({
          key: `carts ${customerId ?? ''} ${JSON.stringify(query)}`,
          read: () => listCarts(deps, query, caller),
          render: (carts: CartList) => cartListHtml(carts, page),
        }),
      };
    },
  });
  cartPageRoutes(app, deps);
}
