import html from 'html-template-tag';
import {
  cartId,
  cartListQuery,
  cartStatus,
  type CartList,
  type CartStatus,
  type CartSummary,
} from '../../../schemas/cart.js';
import { badgeHtml, pagerHtml, queryString, tableHtml, timeHtml, urlHtml, type Tone } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { filterHtml } from '../filter-form.js';
import { orderPath } from '../orders/list-page.js';
import { createFilterParser, isFiltered, type FilterFields, type ListFilter } from '../query.js';

export const CARTS_PATH = `${CONSOLE_PATH}/carts`;

/** Path of the page of a cart. Cart ids need no escaping. */
export const cartPath = (id: string): string => `${CARTS_PATH}/${id}`;

/** The fields of the filter. With `cartId`, the page of this cart is opened. */
const CART_FILTER = {
  cartId: { label: 'Cart id' },
  customerId: { label: 'Customer' },
  status: { label: 'Status', options: cartStatus.options },
} as const satisfies FilterFields;

export const parseCartFilter = createFilterParser(cartListQuery.extend({ cartId: cartId.optional() }), CART_FILTER);

interface ListPage {
  filter: ListFilter<unknown>;
  /** Whether the caller may filter by customer. Shoppers see only their own carts. */
  hasCustomerFilter: boolean;
}

const STATUS_TONES: Record<CartStatus, Tone> = {
  open: 'active',
  checked_out: 'good',
  expired: 'neutral',
  abandoned: 'neutral',
};

export const cartBadgeHtml = (status: CartStatus): string => badgeHtml(status, STATUS_TONES[status]);

/** The content of the list of carts. Without carts, the filter is invalid. */
export const cartListHtml = (carts: CartList | undefined, page: ListPage): string =>
  html`$${headingHtml} $${filtersHtml(page)} $${carts ? resultHtml(carts, page) : ''}`;

const resultHtml = ({ items, nextCursor }: CartList, page: ListPage): string =>
  cartTableHtml(items, page) + pagerHtml(CARTS_PATH, page.filter.typed, nextCursor);

const headingHtml = html`<div class="heading">
  <h1>Carts</h1>
  <a class="button" href="$${CONSOLE_PATH}/start/cart">Open a cart</a>
</div>`;

function filtersHtml({ filter, hasCustomerFilter }: ListPage): string {
  const { customerId: _, ...others } = CART_FILTER;
  const fields = hasCustomerFilter ? CART_FILTER : others;
  return filterHtml({ path: CARTS_PATH, name: 'Filter carts', fields, filter });
}

function cartTableHtml(items: CartSummary[], { filter, hasCustomerFilter }: ListPage): string {
  const customerColumn = {
    title: 'Customer',
    cellHtml: ({ customerId }: CartSummary) =>
      customerId === undefined
        ? ''
        : html`<a href="$${urlHtml(CARTS_PATH + queryString({ customerId }))}">${customerId}</a>`,
  };
  return tableHtml(
    'Carts, newest first',
    [
      {
        title: 'Cart',
        cellHtml: ({ cartId }) => html`<a class="code" href="$${urlHtml(cartPath(cartId))}">${cartId}</a>`,
      },
      ...(hasCustomerFilter ? [customerColumn] : []),
      { title: 'Status', cellHtml: ({ status }) => cartBadgeHtml(status) },
      { title: 'Order', cellHtml: ({ orderId }) => (orderId === undefined ? '' : orderLinkHtml(orderId)) },
      { title: 'Opened', cellHtml: ({ openedAt }) => timeHtml(openedAt) },
      { title: 'Closed', cellHtml: ({ closedAt }) => timeHtml(closedAt) },
    ],
    items,
    isFiltered(filter)
      ? 'No cart matches the filter.'
      : 'There are no carts yet. Open the first one with its first item.',
  );
}

export const orderLinkHtml = (orderId: string): string =>
  html`<a class="code" href="$${urlHtml(orderPath(orderId))}">${orderId}</a>`;
