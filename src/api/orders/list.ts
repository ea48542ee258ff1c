import type { OrderSummary } from '../../schemas/order.js';
import type { ListedOrder, OrderFilter, OrderPosition } from '../../store/orders/orders.js';
import type { Backends } from '../dependencies.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/list-pages.js';
import { createOrderReconciler } from './reconcile.js';

/**
 * Creates a function that lists a page of orders from the store, newest first. Any page can have fewer orders than the
 * limit, not only the last page.
 */
export function createOrderList(deps: Backends) {
  const reconciler = createOrderReconciler(deps);

  return async function listOrders(filter: OrderFilter, page: PageRequest): Promise<Page<OrderSummary>> {
    const { limit, position } = page;
    if (filter.status === 'failed') await reconciler.recordTerminated();
    const after = position === undefined ? undefined : (JSON.parse(position) as OrderPosition);
    const rows = await deps.store.listOrders(filter, { after, limit });
    const items = (await reconciler.reconcile(rows))
      .map(({ order }) => summaryOf(order))
      .filter(({ status }) => filter.status === undefined || status === filter.status);
    return { items, ...nextPositionAfter(rows, page, (row) => JSON.stringify(row.position)) };
  };
}

function summaryOf({ orderId, customerId, status, total, lineCount, placedAt, closedAt }: ListedOrder): OrderSummary {
  return {
    orderId,
    customerId,
    status,
    ...(total && { total }),
    ...(lineCount !== undefined && { lineCount }),
    placedAt: placedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}
