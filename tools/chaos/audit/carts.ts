import type { CartView } from '../../../src/schemas/cart.js';
import { cartIdOf, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { LoggedCart, CartChange, ClientLog } from '../client-log.js';
import type { Evidence } from './evidence.js';
import { isAnyPossible, isAnyAccepted, acceptedResults, type Findings } from './findings.js';
import { auditIntendedOrder } from './orders.js';

/**
 * Checks that every accepted change was applied to its cart once. Checks also that each checkout became one order with
 * the lines of the cart.
 */
export function auditCarts(log: ClientLog, evidence: Evidence, findings: Findings): void {
  const known = new Set(log.carts.map(({ cartId }) => cartId));
  for (const { workflowId, type } of evidence.runs) {
    if (type === 'cart' && !known.has(cartIdOf(workflowId)))
      findings.addViolation(workflowId, 'exists, but no client requested it');
  }
  for (const cart of log.carts) auditCart(cart, log, evidence, findings);
}

function auditCart(cart: LoggedCart, log: ClientLog, evidence: Evidence, findings: Findings): void {
  const { changes, closingRequests, customerId, token } = cart;
  const workflowId = cartWorkflowId(cart.cartId);
  for (const request of [...changes, ...closingRequests]) findings.compareResponses(workflowId, request);
  const lives = [...(evidence.facts.cartChangeIds.get(workflowId)?.values() ?? [])];
  findings.effects['cart changes'] += lives.reduce((sum, names) => sum + names.size, 0);
  const accepted = changes.filter(({ outcome }) => outcome === 'accepted').length;
  findings.accepted['cart changes'] += accepted;

  const view = evidence.viewOf<CartView>(workflowId);
  if (!view) {
    if (isAnyAccepted([...changes, ...closingRequests]))
      findings.addLost(workflowId, 'accepted changes, but does not exist or does not respond to its query');
    for (const orderId of evidence.ordersOf(customerId))
      findings.addViolation(orderWorkflowId(orderId), 'exists, but its cart does not');
    return;
  }
  // A change without a response may have reopened the cart after it was closed.
  if (lives.length > 1 && changes.every(({ outcome }) => outcome !== 'unknown'))
    findings.addDuplicate(workflowId, `was opened ${lives.length} times`);
  compareContents(workflowId, cart, view, findings);
  compareStatus(workflowId, cart, view, evidence, findings);

  const checkouts = cart.end === 'checked out' ? closingRequests : [];
  const possibleCheckouts = checkouts.filter(({ outcome }) => outcome !== 'rejected');
  if (possibleCheckouts.length === 0 && evidence.ordersOf(customerId).length === 0) return;
  // If no checkout can have succeeded, any order of this customer is a violation.
  auditIntendedOrder(
    { requests: possibleCheckouts.length ? possibleCheckouts : checkouts, customerId, lines: view.lines, token },
    log,
    evidence,
    findings,
  );
  const [promised] = acceptedResults(possibleCheckouts);
  if (promised !== undefined && promised !== view.orderId)
    findings.addViolation(workflowId, `has order ${view.orderId}, but the checkout returned order ${promised}`);
}

function compareContents(workflowId: string, { changes }: LoggedCart, { lines }: CartView, findings: Findings): void {
  const skus = new Set([...changes, ...lines].map(({ sku }) => sku));
  for (const sku of skus) {
    const there = lines.find((line) => line.sku === sku)?.quantity ?? 0;
    const ofLine = changes.filter((change) => change.sku === sku);
    const possible = possibleQuantities(ofLine, (change, possible) => {
      const quantities = acceptedResults([change]).filter((response) => /^\d+$/.test(response));
      for (const quantity of quantities) {
        if (!possible.has(Number(quantity)))
          findings.addViolation(
            workflowId,
            `responded with ${quantity} x ${sku} after ${change.key}, not ${joinQuantities(possible)}`,
          );
      }
    });
    if (possible.has(there)) continue;
    const what = `holds ${there} x ${sku}, not ${joinQuantities(possible)}`;
    if (there < Math.min(...possible)) findings.addLost(workflowId, what);
    else findings.addDuplicate(workflowId, what);
  }
}

/**
 * The possible quantities of a line after changes; 0 means no line. A change whose outcome is unknown may or may not
 * have been applied.
 */
function possibleQuantities(
  changes: CartChange[],
  onAccepted: (change: CartChange, possible: ReadonlySet<number>) => void,
): Set<number> {
  let possible = new Set([0]);
  for (const change of changes) {
    if (change.outcome === 'rejected') continue;
    const made = [...possible].map((quantity) => applyChange(quantity, change));
    possible = new Set(change.outcome === 'accepted' ? made : [...possible, ...made]);
    if (change.outcome === 'accepted') onAccepted(change, possible);
  }
  return possible;
}

function applyChange(before: number, { kind, quantity }: CartChange): number {
  if (kind === 'add') return before + quantity;
  return kind === 'set' && before > 0 ? quantity : 0;
}

const joinQuantities = (quantities: ReadonlySet<number>) => [...quantities].join(' or ');

function compareStatus(
  workflowId: string,
  { end, closingRequests }: LoggedCart,
  { status }: CartView,
  evidence: Evidence,
  findings: Findings,
): void {
  const wanted = { 'checked out': 'checked_out', abandoned: 'abandoned', open: 'open' }[end];
  const mayBe = [
    ...(isAnyPossible(closingRequests) ? [wanted] : []),
    ...(isAnyAccepted(closingRequests) ? [] : ['open']),
  ];
  if (!mayBe.includes(status)) findings.addViolation(workflowId, `is ${status}, not ${mayBe.join(' or ')}`);
  const [run] = evidence.runsOf(workflowId);
  if (run!.status !== (status === 'open' ? 'RUNNING' : 'COMPLETED'))
    findings.addViolation(workflowId, `is ${status}, and its workflow ${run!.status.toLowerCase()}`);
}
