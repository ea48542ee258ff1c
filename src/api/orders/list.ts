import type { OrderList, OrderListQuery, OrderSummary } from '../../schemas/order.js';
import type { ListedOrder, OrderFilter, OrderPosition } from '../../store/orders/orders.js';
import type { AppDependencies, Backends } from '../dependencies.js';
import { assertActsAsSelf, restrictedIdOf, type Caller } from '../http/caller.js';
import { nextPositionAfter, readListPage, type Page, type PageRequest } from '../http/lists/list-pages.js';
import { createOrderCorrections } from './list-corrections.js';

/**
 * Creates a function that lists a page of orders from the store, newest first. Any page can have fewer orders than the
 * limit, not only the last page. The function throws 403 if a shopper lists the orders of another customer.
 */
export function createOrderList(deps: Backends & Pick<AppDependencies, 'cursors'>) {
  const corrections = createOrderCorrections(deps);

  async function readOrders(filter: OrderFilter, page: PageRequest): Promise<Page<OrderSummary>> {
    const { limit, position } = page;
    if (filter.status === 'failed') await corrections.recordTerminated();
    const after = position === undefined ? undefined : (JSON.parse(position) as OrderPosition);
    const rows = await deps.store.listOrders(filter, { after, limit });
    const items = (await corrections.correct(rows))
      .map(({ order }) => summaryOf(order))
      .filter(({ status }) => filter.status === undefined || status === filter.status);
    return { items, ...nextPositionAfter(rows, page, (row) => JSON.stringify(row.position)) };
  }

  return async function listOrders(query: OrderListQuery, caller: Caller): Promise<OrderList> {
    const { limit: _limit, cursor: _cursor, customerId = restrictedIdOf(caller), ...rest } = query;
    assertActsAsSelf(caller, customerId, 'customer');
    const filter = orderFilterOf({ ...rest, customerId });
    return await readListPage(deps.cursors, {
      list: 'orders',
      filter,
      query,
      read: (page) => readOrders(filter, page),
    });
  };
}

export type ListOrders = ReturnType<typeof createOrderList>;

type FilterFields = Omit<OrderListQuery, 'limit' | 'cursor'>;

/** Converts the filter of a request. The times become dates. */
export const orderFilterOf = ({ placedFrom, placedBefore, ...rest }: FilterFields): OrderFilter => ({
  ...rest,
  placedFrom: placedFrom === undefined ? undefined : new Date(placedFrom),
  placedBefore: placedBefore === undefined ? undefined : new Date(placedBefore),
});

function summaryOf({ orderId, customerId, status, total, lineCount, placedAt, closedAt }: ListedOrder): OrderSummary {
  return {
    orderId,
    ...(customerId !== undefined && { customerId }),
    status,
    ...(total && { total }),
    ...(lineCount !== undefined && { lineCount }),
    placedAt: placedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}
