import html from 'html-template-tag';
import { orderId, orderListQuery, orderStatus, type OrderList, type OrderListQuery } from '../../../schemas/order.js';
import { formatMoney } from '../../../schemas/shared/money.js';
import { badgeHtml, pagerHtml, queryString, tableHtml, timeHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { filterHtml } from '../filter-form.js';
import { createFilterParser, isFiltered, type FilterFields, type ListFilter } from '../query.js';
import { STATUS_TONES } from './statuses.js';

export const ORDERS_PATH = `${CONSOLE_PATH}/orders`;

/** Path of the page of an order. Order ids need no escaping. */
export const orderPath = (id: string): string => `${ORDERS_PATH}/${id}`;

/** The fields of the filter. The times are days. */
export const ORDER_FILTER = {
  orderIdPrefix: { label: 'Id starts with' },
  customerId: { label: 'Customer' },
  status: { label: 'Status', options: orderStatus.options },
  placedFrom: { label: 'Placed from (UTC)', kind: 'day' },
  placedBefore: { label: 'Placed before (UTC)', kind: 'day' },
} as const satisfies FilterFields;

/** The API returns an empty list for an empty period. A person gets a message. */
const orderFilter = orderListQuery.refine(
  ({ placedFrom, placedBefore }) =>
    placedFrom === undefined || placedBefore === undefined || Date.parse(placedFrom) < Date.parse(placedBefore),
  { path: ['placedFrom'], error: `must be earlier than ${ORDER_FILTER.placedBefore.label}` },
);

export const parseOrderFilter = createFilterParser(orderFilter, ORDER_FILTER);

type OrderFilter = ListFilter<OrderListQuery>;

interface ListPage {
  filter: OrderFilter;
  /** Whether the caller may filter by customer. Shoppers see only their own orders. */
  hasCustomerFilter: boolean;
}

/** The content of the list of orders. Without orders, the filter is invalid. */
export const orderListHtml = (orders: OrderList | undefined, page: ListPage): string => html`
  $${headingHtml(page)} $${filtersHtml(page)} $${orders ? resultHtml(orders, page) : ''}
`;

function headingHtml({ filter: { typed }, hasCustomerFilter }: ListPage): string {
  const { cursor: _, limit: __, ...filter } = typed;
  const bulkUrl = urlHtml(`${CONSOLE_PATH}/bulk/orders${queryString(filter)}`);
  // Only operators see the orders of all customers and may act on many orders.
  const bulkLink = hasCustomerFilter ? html`<a class="button" href="$${bulkUrl}">Act on many orders</a>` : '';
  return html`<div class="heading">
    <h1>Orders</h1>
    <a class="button" href="$${CONSOLE_PATH}/start">Start something</a> $${bulkLink}
  </div>`;
}

function filtersHtml({ filter, hasCustomerFilter }: ListPage): string {
  const { customerId: _, ...others } = ORDER_FILTER;
  const fields = hasCustomerFilter ? ORDER_FILTER : others;
  return filterHtml({ path: ORDERS_PATH, name: 'Filter orders', fields, filter });
}

function resultHtml({ items, nextCursor }: OrderList, { filter, hasCustomerFilter }: ListPage): string {
  const pager = pagerHtml(ORDERS_PATH, filter.typed, nextCursor);
  if (items.length === 0) return emptyHtml(filter, nextCursor) + pager;
  const customerColumn = {
    title: 'Customer',
    cellHtml: ({ customerId = '' }: OrderList['items'][number]) =>
      html`<a href="$${urlHtml(ORDERS_PATH + queryString({ customerId }))}">${customerId}</a>`,
  };
  const table = tableHtml(
    'Orders, newest first',
    [
      {
        title: 'Order',
        cellHtml: ({ orderId: id }) => html`<a class="code id" href="$${urlHtml(orderPath(id))}">${id}</a>`,
      },
      ...(hasCustomerFilter ? [customerColumn] : []),
      { title: 'Status', cellHtml: ({ status }) => badgeHtml(status, STATUS_TONES[status]) },
      { title: 'Total', cellHtml: ({ total }) => (total ? html`${formatMoney(total)}` : ''), isNumber: true },
      { title: 'Placed', cellHtml: ({ placedAt }) => timeHtml(placedAt) },
      { title: 'Closed', cellHtml: ({ closedAt }) => timeHtml(closedAt) },
    ],
    items,
    '',
  );
  return table + pager;
}

function emptyHtml(filter: OrderFilter, nextCursor: string | undefined): string {
  if (nextCursor !== undefined) {
    const text = 'The orders of this page have changed their status in the meantime. The next page has more orders.';
    return html`<p class="quiet">${text}</p>`;
  }
  if (!isFiltered(filter)) {
    return html`<p>
      There are no orders yet. <a href="$${CONSOLE_PATH}/start">Place the first order</a>. An order appears here once a
      worker has reserved its stock.
    </p>`;
  }
  const id = orderId.safeParse(filter.typed.orderIdPrefix);
  const direct = id.success
    ? html`<p>
        An order appears in this list once a worker has reserved its stock. If this is the complete id of a new order,
        <a href="$${urlHtml(orderPath(id.data))}">open the order ${id.data}</a>.
      </p>`
    : '';
  return html`<p>No order matches the filter. <a href="$${ORDERS_PATH}">Show all orders</a>.</p>
    $${direct}`;
}
