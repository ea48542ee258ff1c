import type { CartView } from '../../../src/schemas/cart.js';
import { cartIdOf, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { AskedCart, CartChange, Ledger } from '../ledger.js';
import type { Evidence } from './evidence.js';
import { isPossible, isPromised, promises, type Findings } from './findings.js';
import { auditPurchase } from './orders.js';

/**
 * Checks that every accepted change is in its cart once, and that each checkout became one order with the cart's lines.
 */
export function auditCarts(ledger: Ledger, evidence: Evidence, findings: Findings): void {
  const known = new Set(ledger.carts.map(({ cartId }) => cartId));
  for (const { workflowId, type } of evidence.runs) {
    if (type === 'cart' && !known.has(cartIdOf(workflowId)))
      findings.violate(workflowId, 'is there, and nobody asked for it');
  }
  for (const cart of ledger.carts) auditCart(cart, ledger, evidence, findings);
}

function auditCart(cart: AskedCart, ledger: Ledger, evidence: Evidence, findings: Findings): void {
  const { changes, closing, customerId, token } = cart;
  const workflowId = cartWorkflowId(cart.cartId);
  for (const request of [...changes, ...closing]) findings.compareAnswers(workflowId, request);
  const lives = [...(evidence.facts.changes.get(workflowId)?.values() ?? [])];
  findings.effects['cart changes'] += lives.reduce((sum, names) => sum + names.size, 0);
  const accepted = changes.filter(({ fate }) => fate === 'accepted').length;
  findings.accepted['cart changes'] += accepted;

  const view = evidence.viewOf<CartView>(workflowId);
  if (!view) {
    if (isPromised([...changes, ...closing]))
      findings.lose(workflowId, 'took changes, and is not there or does not say how it stands');
    for (const orderId of evidence.ordersOf(customerId))
      findings.violate(orderWorkflowId(orderId), 'is there, and its cart is not');
    return;
  }
  // A change without a response may have opened the cart anew after the cart's end.
  if (lives.length > 1 && changes.every(({ fate }) => fate !== 'unknown'))
    findings.double(workflowId, `took changes in ${lives.length} lives`);
  compareContents(workflowId, cart, view, findings);
  compareEnd(workflowId, cart, view, evidence, findings);

  const checkouts = cart.end === 'checked out' ? closing : [];
  const asked = checkouts.filter(({ fate }) => fate !== 'refused');
  if (asked.length === 0 && evidence.ordersOf(customerId).length === 0) return;
  // If no checkout can have succeeded, any order of this customer is a violation.
  auditPurchase(
    { asked: asked.length ? asked : checkouts, customerId, lines: view.lines, token },
    ledger,
    evidence,
    findings,
  );
  const [promised] = promises(asked);
  if (promised !== undefined && promised !== view.orderId)
    findings.violate(workflowId, `says that it became order ${view.orderId}, and had promised ${promised}`);
}

function compareContents(workflowId: string, { changes }: AskedCart, { lines }: CartView, findings: Findings): void {
  const skus = new Set([...changes, ...lines].map(({ sku }) => sku));
  for (const sku of skus) {
    const there = lines.find((line) => line.sku === sku)?.quantity ?? 0;
    const ofLine = changes.filter((change) => change.sku === sku);
    const possible = quantitiesAfter(ofLine, (change, possible) => {
      const said = promises([change]).filter((answer) => /^\d+$/.test(answer));
      for (const quantity of said) {
        if (!possible.has(Number(quantity)))
          findings.violate(workflowId, `said ${quantity} x ${sku} after ${change.key}, not ${listed(possible)}`);
      }
    });
    if (possible.has(there)) continue;
    const what = `holds ${there} x ${sku}, not ${listed(possible)}`;
    if (there < Math.min(...possible)) findings.lose(workflowId, what);
    else findings.double(workflowId, what);
  }
}

/**
 * The possible quantities of a line after changes; 0 means no line. A change whose outcome is unknown may or may not
 * have been applied.
 */
function quantitiesAfter(
  changes: CartChange[],
  onAccepted: (change: CartChange, possible: ReadonlySet<number>) => void,
): Set<number> {
  let possible = new Set([0]);
  for (const change of changes) {
    if (change.fate === 'refused') continue;
    const made = [...possible].map((quantity) => quantityAfter(quantity, change));
    possible = new Set(change.fate === 'accepted' ? made : [...possible, ...made]);
    if (change.fate === 'accepted') onAccepted(change, possible);
  }
  return possible;
}

function quantityAfter(before: number, { kind, quantity }: CartChange): number {
  if (kind === 'add') return before + quantity;
  return kind === 'set' && before > 0 ? quantity : 0;
}

const listed = (quantities: ReadonlySet<number>) => [...quantities].join(' or ');

function compareEnd(
  workflowId: string,
  { end, closing }: AskedCart,
  { status }: CartView,
  evidence: Evidence,
  findings: Findings,
): void {
  const wanted = { 'checked out': 'checked_out', abandoned: 'abandoned', open: 'open' }[end];
  const mayBe = [...(isPossible(closing) ? [wanted] : []), ...(isPromised(closing) ? [] : ['open'])];
  if (!mayBe.includes(status)) findings.violate(workflowId, `is ${status}, not ${mayBe.join(' or ')}`);
  const [run] = evidence.runsOf(workflowId);
  if (run!.status !== (status === 'open' ? 'RUNNING' : 'COMPLETED'))
    findings.violate(workflowId, `is ${status}, and its workflow ${run!.status.toLowerCase()}`);
}
