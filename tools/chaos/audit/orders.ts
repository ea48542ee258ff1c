import { isDeepStrictEqual } from 'node:util';
import { approvalIdOfOrder, type ApprovalView } from '../../../src/schemas/approval.js';
import type { OrderLine, OrderView } from '../../../src/schemas/order.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { orderIdOf, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { Asked, Ledger } from '../ledger.js';
import { balanced, Doubled, type Verdict } from './balance.js';
import type { Evidence, OrderRecord } from './evidence.js';
import { isOrder } from './executions.js';
import { isPossible, isPromised, promises, type Findings } from './findings.js';

/** One intended order, and the requests that all mean this same order. */
export interface Purchase {
  asked: Asked[];
  /** The customer has no other order. */
  customerId: string;
  lines: OrderLine[];
  token: string;
  cancellation?: Asked;
}

/** Checks that every accepted order exists once, that its outcome follows from the requests, and that it balances. */
export function auditOrders(ledger: Ledger, evidence: Evidence, findings: Findings): void {
  for (const order of ledger.orders) auditPurchase({ ...order, asked: [order] }, ledger, evidence, findings);

  const customers = new Set([...ledger.orders, ...ledger.carts].map(({ customerId }) => customerId));
  for (const { workflowId, customerId = '' } of evidence.runs.filter(isOrder)) {
    if (!customers.has(customerId)) findings.violate(workflowId, `is there, and nobody asked for it`);
  }
  const orders = new Set(evidence.runs.filter(isOrder).map(({ workflowId }) => orderIdOf(workflowId)));
  for (const orderId of evidence.holders) {
    if (!orders.has(orderId)) findings.violate(orderWorkflowId(orderId), 'holds stock, and there is no such order');
  }
}

/** Compares the promises about one order with the orders that exist. */
export function auditPurchase(purchase: Purchase, ledger: Ledger, evidence: Evidence, findings: Findings): void {
  const { asked, customerId, cancellation } = purchase;
  const there = evidence.ordersOf(customerId);
  const promised = promises(asked);
  const [one = `of ${customerId}`] = [...promised, ...there];
  for (const request of asked) findings.compareAnswers(orderWorkflowId(one), request);
  if (cancellation) findings.compareAnswers(orderWorkflowId(one), cancellation);

  if (isPromised(asked)) findings.accepted.orders += 1;
  findings.effects.orders += there.length;
  for (const orderId of promised) {
    if (!there.includes(orderId)) findings.lose(orderWorkflowId(orderId), 'was accepted, and there is no such order');
  }
  for (const orderId of there) {
    if (!isPossible(asked)) findings.violate(orderWorkflowId(orderId), 'is there, and was refused');
    else if (promised.length > 0 && !promised.includes(orderId) && there.length > 1)
      findings.double(orderWorkflowId(orderId), `is there beside ${promised.join(', ')}, for the same request`);
    auditOrder(orderId, purchase, ledger, evidence, findings);
  }
  if (promised.length === 0 && there.length > 1)
    findings.double(orderWorkflowId(one), `one request became several orders: ${there.join(', ')}`);
}

function auditOrder(orderId: string, purchase: Purchase, ledger: Ledger, evidence: Evidence, findings: Findings) {
  const workflowId = orderWorkflowId(orderId);
  const [run, ...more] = evidence.runsOf(workflowId);
  const isReset = ledger.resets.includes(workflowId);
  if (more.length >= (isReset ? 2 : 1)) findings.double(workflowId, `ran ${more.length + 1} times`);
  if (!run || findings.reported.includes(workflowId)) return;
  const record = evidence.recordOf(orderId);
  if (!['COMPLETED', 'FAILED', 'CANCELLED'].includes(run.status)) {
    if (isReset && record?.reservation === 'released') {
      const stage = evidence.viewOf<OrderView>(workflowId)?.stage;
      findings.violate(workflowId, `goes on after a reset (${stage}) although it was rolled back before`);
    }
    findings.violate(workflowId, `is ${run.status.toLowerCase()}, and that is no end`);
    return;
  }
  const view = evidence.viewOf<OrderView>(workflowId);
  if (view?.stage !== 'done') {
    findings.violate(workflowId, `has ended (${run.status.toLowerCase()}), and does not say how`);
    return;
  }
  // An order that was rolled back and then reset ends at the fence before the charge.
  const isFenced = isReset && view.reason?.type === 'ReservationReleased';
  const outcome = outcomeOf(view);
  findings.outcomes[outcome] = (findings.outcomes[outcome] ?? 0) + 1;
  const approval = evidence.viewOf<ApprovalView>(approvalWorkflowId(approvalIdOfOrder(orderId)));
  const needsApproval = ledger.approvals.some(({ of }) => 'orderId' in of && of.orderId === orderId);
  for (const complaint of isFenced ? [] : complaintsAbout(view, purchase, approval))
    findings.violate(workflowId, complaint);

  const statement = evidence.statementOf(orderId);
  const isApproved = approval ? approval.status === 'approved' : !needsApproval;
  if (!isApproved && statement.charges.length + statement.shipments.length > 0)
    findings.violate(workflowId, `was not approved, and was charged or shipped all the same`);
  const parcel = String(statement.shipments[0]?.status);
  if (ledger.foreignReports.includes(orderId) && view.status === 'completed' && parcel !== 'delivered')
    findings.violate(workflowId, `is completed by a report about another parcel; its own is ${parcel}`);
  if (view.reason?.type === 'DeliveryTimeout' && HAVE_LEFT.includes(parcel))
    findings.violate(workflowId, `was rolled back by a timer although its parcel had left; the parcel is ${parcel}`);
  if (isReset && view.status === 'failed' && !isFenced)
    findings.violate(workflowId, `failed after it was reset: ${view.reason?.type}`);
  const contradiction = isFenced ? contradictionOfFence(record) : contradictionOf(record, view);
  if (contradiction) findings.violate(workflowId, contradiction);
  try {
    const { lines, token } = purchase;
    const { verdict } = balanced(
      { orderId, products: ledger.products, lines, token },
      statement,
      evidence.piecesOf(orderId),
    );
    if (!verdictsOf(view).includes(verdict)) findings.violate(workflowId, `is ${outcome}, and yet ${verdict}`);
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof Doubled) findings.double(workflowId, message);
    else findings.violate(workflowId, message);
  }
}

/** A parcel with one of these statuses was picked up. */
const HAVE_LEFT: readonly string[] = ['in_transit', 'delivered', 'lost'];

/** How the record of an order contradicts its end. A deleted record shows in the balance. */
function contradictionOf(record: OrderRecord | undefined, { status }: OrderView): string | undefined {
  if (!record || record.status === status) return undefined;
  return `is ${status}, and is recorded as ${record.status}`;
}

/** A run that ends at the fence leaves the record of the earlier run, which was rolled back. */
function contradictionOfFence(record: OrderRecord | undefined): string | undefined {
  if (record?.reservation === 'released' && record.status !== 'completed') return undefined;
  const recorded = record ? `${record.status} with its pieces ${record.reservation}` : 'nothing';
  return `ended after a reset because it had been rolled back, and is recorded as ${recorded}`;
}

/** The balance that each outcome requires. */
const VERDICTS: Partial<Record<OrderView['status'], Verdict[]>> = {
  completed: ['sold'],
  rejected: ['undone'],
  cancelled: ['undone'],
  failed: ['undone'],
};

/** Only goods that were lost in transit are written off. No timer writes off a parcel that was picked up. */
const verdictsOf = ({ status, reason }: OrderView): Verdict[] =>
  ['ShipmentLost', 'WrittenOff'].includes(reason?.type ?? '') ? ['written off'] : (VERDICTS[status] ?? []);

const outcomeOf = ({ status, reason }: OrderView): string =>
  status === 'rejected' || status === 'failed' ? `${status}: ${reason?.type ?? 'for no reason'}` : status;

const OUTCOMES_OF_CARDS: Record<string, string> = {
  tok_ok: 'completed',
  tok_declined: 'rejected: CardDeclined',
  tok_insufficient_funds: 'rejected: InsufficientFunds',
};

const OUTCOMES_OF_APPROVALS: Partial<Record<ApprovalView['status'], string>> = {
  rejected: 'rejected: ApprovalRejected',
  timed_out: 'rejected: ApprovalTimedOut',
};

/**
 * How an order's outcome contradicts the requests and decisions. The status failed with a reason is always a valid
 * outcome.
 */
function complaintsAbout(view: OrderView, purchase: Purchase, approval: ApprovalView | undefined): string[] {
  const { lines, token, cancellation } = purchase;
  const outcome = outcomeOf(view);
  const isCancelled = view.status === 'cancelled';
  const complaints: string[] = [];
  const expected = (approval && OUTCOMES_OF_APPROVALS[approval.status]) ?? OUTCOMES_OF_CARDS[token];
  if (view.status === 'failed' ? !view.reason?.type : !isCancelled && outcome !== expected)
    complaints.push(`is ${outcome}, not ${expected}`);
  if (isCancelled && (!cancellation || cancellation.fate === 'refused'))
    complaints.push('is cancelled, and nobody who asked for that was told so');
  if (cancellation?.fate === 'accepted' && !isCancelled && !view.cancellation?.refused)
    complaints.push(`is ${outcome}, although its cancellation was accepted`);
  if (view.approval && view.approval.status !== approval?.status)
    complaints.push(`says that its approval is ${view.approval.status}, which itself says ${approval?.status}`);
  const bought = view.lines?.map(({ sku, quantity }) => ({ sku, quantity }));
  if (bought && !isDeepStrictEqual(bought, lines))
    complaints.push(`is about ${JSON.stringify(bought)}, not ${JSON.stringify(lines)}`);
  return complaints;
}
