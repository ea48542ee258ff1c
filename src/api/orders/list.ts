import type { OrderSummary } from '../../schemas/order.js';
import type { Store } from '../../store/index.js';
import type { ListedOrder, OrderFilter, OrderPosition } from '../../store/orders/orders.js';
import type { OrderReconciler } from './reconciler.js';
import type { Page, PageRequest } from '../executions/listing.js';

/** A page of orders from the store, newest first. Any page may be shorter than its limit, not only the last one. */
export async function listOrders(
  { store, ended }: { store: Store; ended: OrderReconciler },
  filter: OrderFilter,
  { limit, position }: PageRequest,
): Promise<Page<OrderSummary>> {
  if (filter.status === 'failed') await ended.recordTerminated();
  const after = position && (JSON.parse(Buffer.from(position).toString()) as OrderPosition);
  const rows = await store.listOrders(filter, { after, limit });
  const orders = await ended.reconcile(rows.map(({ order }) => order));
  const items = orders.filter(({ status }) => filter.status === undefined || status === filter.status).map(summaryOf);
  const last = rows.length === limit ? rows.at(-1)?.position : undefined;
  return { items, ...(last && { nextPosition: Buffer.from(JSON.stringify(last)) }) };
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
