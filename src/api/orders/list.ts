import type { OrderSummary } from '../../schemas/order.js';
import type { Store } from '../../store/index.js';
import type { ListedOrder, OrderFilter, OrderPlace } from '../../store/orders.js';
import type { EndedOrders } from './ended.js';
import type { Page, PageRequest } from '../executions/listing.js';

/** A page of orders from the store, newest first. Any page may be shorter than its limit, not only the last one. */
export async function listOrders(
  { store, ended }: { store: Store; ended: EndedOrders },
  filter: OrderFilter,
  { limit, place }: PageRequest,
): Promise<Page<OrderSummary>> {
  if (filter.status === 'failed') await ended.recordAll();
  const after = place && (JSON.parse(Buffer.from(place).toString()) as OrderPlace);
  const rows = await store.listOrders(filter, { after, limit });
  const orders = await ended.correct(rows.map(({ order }) => order));
  const items = orders.filter(({ status }) => filter.status === undefined || status === filter.status).map(summaryOf);
  const last = rows.length === limit ? rows.at(-1)?.place : undefined;
  return { items, ...(last && { nextPlace: Buffer.from(JSON.stringify(last)) }) };
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
