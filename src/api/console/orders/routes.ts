import type { FastifyInstance } from 'fastify';
import type { OrderList } from '../../../schemas/order.js';
import { restrictedIdOf } from '../../http/caller.js';
import { registerListRoutes } from '../list-routes.js';
import type { ConsolePageDependencies } from '../routes.js';
import { orderListHtml, ORDERS_PATH, parseOrderFilter } from './list-page.js';
import { orderPageRoutes } from './page-routes.js';

/** The list of orders, and the page of an order with its saga and its actions. */
export async function orderPages(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  registerListRoutes(app, deps, {
    title: 'Orders',
    section: 'orders',
    path: ORDERS_PATH,
    livePath: 'live',
    access: ['operator', 'shopper'],
    contracts: {
      open: { operationId: 'openOrders', summary: 'Open the list of orders' },
      follow: { operationId: 'followOrders', summary: 'Follow the list of orders' },
    },
    parseFilter: parseOrderFilter,
    listOf: ({ caller }, filter) => {
      const customerId = restrictedIdOf(caller);
      const page = { filter, hasCustomerFilter: customerId === undefined };
      return {
        invalidHtml: () => orderListHtml(undefined, page),
        open: (query) => ({
          key: `orders ${customerId ?? ''} ${JSON.stringify(query)}`,
          read: () => deps.listOrders(query, caller),
          render: (orders: OrderList) => orderListHtml(orders, page),
        }),
      };
    },
  });
  orderPageRoutes(app, deps);
}
