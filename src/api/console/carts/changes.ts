import html from 'html-template-tag';
import { MAX_CART_CHANGES, type CartChange } from '../../../schemas/cart.js';
import { timeHtml } from '../components.js';

/** The changes of a cart, newest first. Carts of earlier versions have none. */
export function changesHtml(changes: readonly CartChange[] = []): string {
  if (changes.length === 0) return '';
  const items = changes.map(
    (change) =>
      html`<li>
        $${timeHtml(change.at)}
        <div>$${changeHtml(change)}. $${callerHtml(change)}</div>
      </li>`,
  );
  const more =
    changes.length < MAX_CART_CHANGES
      ? ''
      : html`<p class="hint">A cart remembers its latest ${String(MAX_CART_CHANGES)} changes.</p>`;
  return html`<h2>Changes</h2>
    <ol class="timeline">
      $${items.join('')}
    </ol>
    $${more}`;
}

const callerHtml = ({ caller }: CartChange): string =>
  caller === undefined ? '' : html`<span class="quiet">By ${caller}.</span>`;

function changeHtml({ event, sku = '', quantityBefore = 0, quantityAfter = 0, reason }: CartChange): string {
  const item = html`<span class="code">${sku}</span>`;
  switch (event) {
    case 'item_added': {
      const total = quantityBefore === 0 ? '' : html` (now ${String(quantityAfter)})`;
      return html`Added ${String(quantityAfter - quantityBefore)} × $${item}$${total}`;
    }
    case 'quantity_set':
      return html`Changed the quantity of $${item} from ${String(quantityBefore)} to ${String(quantityAfter)}`;
    case 'item_removed':
      return html`Removed ${String(quantityBefore)} × $${item}`;
    case 'checked_out':
      return 'Checked out';
    case 'checkout_failed':
      return html`Checkout failed: ${reason?.message ?? 'unknown reason'}`;
    case 'abandoned':
      return 'Abandoned';
    case 'reminded':
      return 'The customer was reminded';
    case 'expired':
      return 'Expired';
  }
}
