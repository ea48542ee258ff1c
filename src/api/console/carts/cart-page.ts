import html from 'html-template-tag';
import type { CartResource } from '../../../schemas/cart.js';
import { MAX_LINE_QUANTITY } from '../../../schemas/order.js';
import { formatMoney, type Money } from '../../../schemas/shared/money.js';
import { actionHtml, definitionsHtml, noticeHtml, tableHtml, timeHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { capitalize } from '../forms/problems.js';
import { changesHtml } from './changes.js';
import { cartBadgeHtml, cartPath, CARTS_PATH, orderLinkHtml } from './list-page.js';
import type { CartState } from './state.js';

/** What the user typed into a form that was rejected, and why. */
export interface RejectedChange {
  /** The form: the name of the last part of its path. */
  form: 'add' | 'set' | 'remove' | 'checkout' | 'abandon';
  problem: string;
  values?: Readonly<Record<string, string>>;
  /** The current total, if the expected total differs. */
  newTotal?: Money | undefined;
}

interface CartPage {
  cartId: string;
  /** Identifies the forms of this page, so that a repeated submit has one effect. */
  formId: string;
  /** The SKUs that the form suggests. */
  skus: readonly string[];
  /** Whether the caller may name the customer of the order. */
  mayNameCustomer: boolean;
  /** The links to other tools. */
  toolsHtml: string;
  rejected?: RejectedChange | undefined;
}

export function cartContent({ cart, outcome }: CartState, page: CartPage): string {
  if (outcome) {
    const { status, orderId, detail, changes } = outcome;
    return html`$${headingHtml(page.cartId, cartBadgeHtml(status))}
      $${noticeHtml(orderId === undefined ? 'neutral' : 'good', html`<p>${sentence(detail)}</p>`)}
      $${orderId === undefined ? '' : definitionsHtml([['Order', orderLinkHtml(orderId)]])} $${changesHtml(changes)}
      <p><a href="$${CARTS_PATH}">All carts</a></p>
      $${page.toolsHtml}`;
  }
  return html`$${headingHtml(page.cartId, cartBadgeHtml(cart.status))} $${rejectionHtml(page)} $${factsHtml(cart)}
    <h2>Items</h2>
    $${itemsHtml(cart, page)} $${addFormHtml(page)} $${checkoutHtml(cart, page)}
    <div class="actions">$${abandonHtml(page)}</div>
    $${changesHtml(cart.changes)} $${page.toolsHtml}`;
}

const abandonHtml = ({ cartId, formId }: CartPage) =>
  actionHtml({
    title: 'Abandon the cart',
    consequence: 'The cart closes without an order. Its items are not reserved, so no stock changes.',
    path: `${cartPath(cartId)}/abandon`,
    fields: { form: formId },
    confirm: 'Abandon',
    isDangerous: true,
  });

const sentence = (text: string) => `${capitalize(text)}.`;

const headingHtml = (cartId: string, badge: string) =>
  html`<div class="heading">
    <h1>Cart <span class="code">${cartId}</span></h1>
    $${badge}
  </div>`;

function rejectionHtml({ rejected }: CartPage): string {
  if (!rejected) return '';
  const { problem, newTotal } = rejected;
  const content = newTotal
    ? html`<p>
        The total has changed to <strong>${formatMoney(newTotal)}</strong>. Nothing was ordered. Check out again to
        accept the new total.
      </p>`
    : html`<p>Nothing was changed: ${problem}.</p>`;
  return noticeHtml(newTotal ? 'attention' : 'bad', content, { alert: true });
}

const factsHtml = ({ customerId, total, lastChangeAt, remindedAt, expiresAt }: CartResource) =>
  definitionsHtml([
    ['Customer', customerId === undefined ? undefined : html`${customerId}`],
    ['Total', total && html`<strong>${formatMoney(total)}</strong>`],
    ['Last change', timeHtml(lastChangeAt)],
    ['Reminder sent', timeHtml(remindedAt)],
    ['Expires', timeHtml(expiresAt)],
  ]);

function itemsHtml({ lines }: CartResource, { cartId, formId }: CartPage): string {
  const itemPath = (sku: string, action: string) => urlHtml(`${cartPath(cartId)}/items/${sku}/${action}`);
  return tableHtml(
    'Items of the cart',
    [
      {
        title: 'Item',
        cellHtml: ({ sku, name }) =>
          html`<span>${name ?? 'No longer in the catalogue'}<br /><span class="code">${sku}</span></span>`,
      },
      {
        title: 'Price',
        cellHtml: ({ unitPrice }) => (unitPrice ? html`${formatMoney(unitPrice)}` : ''),
        isNumber: true,
      },
      {
        title: 'Quantity',
        cellHtml: ({ sku, quantity }) =>
          html`<form class="inline" method="post" action="$${itemPath(sku, 'set')}">
            <input type="hidden" name="form" value="${formId}" />
            <input
              class="short"
              name="quantity"
              inputmode="numeric"
              value="${String(quantity)}"
              aria-label="Quantity of ${sku}"
            />
            <button>Change</button>
          </form>`,
      },
      {
        title: 'Sum',
        cellHtml: ({ quantity, unitPrice }) =>
          unitPrice ? html`${formatMoney({ ...unitPrice, value: unitPrice.value * quantity })}` : '',
        isNumber: true,
      },
      {
        title: 'Remove',
        cellHtml: ({ sku }) =>
          html`<form class="inline" method="post" action="$${itemPath(sku, 'remove')}">
            <input type="hidden" name="form" value="${formId}" />
            <button aria-label="Remove ${sku}">Remove</button>
          </form>`,
      },
    ],
    lines,
    'The cart is empty.',
  );
}

function addFormHtml({ cartId, formId, skus, rejected }: CartPage): string {
  const { sku = '', quantity = '1' } = rejected?.form === 'add' ? (rejected.values ?? {}) : {};
  const options = skus.map((value) => html`<option value="${value}"></option>`).join('');
  return html`<h2>Add an item</h2>
    <form class="filters" method="post" action="$${urlHtml(`${cartPath(cartId)}/add`)}" data-keep>
      <input type="hidden" name="form" value="${formId}" />
      <label
        >SKU <input name="sku" value="${sku}" list="skus" required autocomplete="off" autocapitalize="characters"
      /></label>
      <label
        >Quantity (1 to ${String(MAX_LINE_QUANTITY)})
        <input name="quantity" value="${quantity}" inputmode="numeric" required autocomplete="off"
      /></label>
      <button>Add</button>
    </form>
    <datalist id="skus">$${options}</datalist>`;
}

function checkoutHtml({ lines, total, customerId }: CartResource, page: CartPage): string {
  const { cartId, formId, mayNameCustomer, rejected } = page;
  if (lines.length === 0) return '';
  const heading = '<h2>Check out</h2>';
  if (!total) {
    const reason = 'The cart has no total, because a product is no longer sold or the prices have several currencies.';
    return heading + noticeHtml('attention', html`<p>${reason} Remove that item to check out.</p>`);
  }
  const values = rejected?.form === 'checkout' ? (rejected.values ?? {}) : {};
  const { token = '', customer = '' } = values;
  const customerField =
    mayNameCustomer && customerId === undefined
      ? html`<label
          >Customer
          <input name="customerId" value="${customer}" placeholder="${cartId}" autocomplete="off" />
          <span class="hint">Defaults to the id of the cart, because the cart has no owner.</span></label
        >`
      : '';
  // Live updates keep this form. If the total changes while the user looks at it, the checkout fails and the page
  // shows the new total.
  return html`$${heading}
    <form class="card slim" method="post" action="$${urlHtml(`${cartPath(cartId)}/checkout`)}" data-keep>
      <input type="hidden" name="form" value="${formId}" />
      <input type="hidden" name="totalValue" value="${String(total.value)}" />
      <input type="hidden" name="totalCurrency" value="${total.currency}" />
      $${customerField}
      <label
        >Card token <input name="token" value="${token}" required autocomplete="off" />
        <span class="hint">The token that the payment gateway has issued for the card.</span></label
      >
      <button class="primary">Order for ${formatMoney(total)}</button>
    </form>`;
}

/** The page of a cart that does not exist. */
export const cartNotFoundContent = (cartId: string): string =>
  html`$${headingHtml(cartId, '')} $${noticeHtml('bad', html`<p>There is no cart ${cartId}.</p>`, { alert: true })}
    <p><a class="button" href="$${CONSOLE_PATH}/start/cart">Open a cart</a> <a href="$${CARTS_PATH}">All carts</a></p>`;
