import html from 'html-template-tag';
import { productFilter, type ProductResource } from '../../../schemas/product.js';
import { formatMoney } from '../../../schemas/shared/money.js';
import { pageQuery } from '../../../schemas/shared/page.js';
import { badgeHtml, formatCount, pagerHtml, tableHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { filterHtml } from '../filter-form.js';
import { createFilterParser, isFiltered, type FilterFields, type ListFilter } from '../query.js';

export const PRODUCTS_PATH = `${CONSOLE_PATH}/products`;

const FIELDS = {
  search: { label: 'SKU or name starts with', kind: 'search' },
  sold: { label: 'Sales', options: { none: 'Not sold yet', some: 'Sold' } },
} as const satisfies FilterFields;

export const parseProductFilter = createFilterParser(pageQuery.extend(productFilter.shape), FIELDS);

export interface ProductPage {
  items: ProductResource[];
  nextCursor?: string;
}

/** The content of the list of products. Without products, the filter is invalid. */
export const productsContent = (filter: ListFilter<unknown>, products: ProductPage | undefined): string =>
  html`<h1>Products</h1>
    $${filterHtml({ path: PRODUCTS_PATH, name: 'Filter products', fields: FIELDS, filter })}
    $${products ? resultHtml(filter, products) : ''}`;

const resultHtml = (filter: ListFilter<unknown>, { items, nextCursor }: ProductPage): string =>
  productTable(items, isFiltered(filter)) + pagerHtml(PRODUCTS_PATH, filter.typed, nextCursor);

function productTable(items: ProductResource[], isFiltered: boolean): string {
  return tableHtml(
    'Products in SKU order',
    [
      { title: 'SKU', cellHtml: ({ sku }) => html`<span class="code">${sku}</span>` },
      { title: 'Name', cellHtml: ({ name }) => html`${name}` },
      { title: 'Price', cellHtml: ({ price }) => html`${formatMoney(price)}`, isNumber: true },
      {
        title: 'Available',
        cellHtml: ({ available }) => (available === 0 ? badgeHtml('sold out', 'attention') : formatCount(available)),
        isNumber: true,
      },
      { title: 'Reserved', cellHtml: ({ reserved }) => formatCount(reserved), isNumber: true },
      { title: 'Sold', cellHtml: ({ sold }) => formatCount(sold), isNumber: true },
    ],
    items,
    isFiltered ? 'No product matches. Try the start of the SKU or of a word of the name.' : 'The catalogue is empty.',
  );
}
