import { isDeepStrictEqual } from 'node:util';
import { approvalIdOfOrder, type ApprovalView } from '../../../src/schemas/approval.js';
import type { OrderLine, OrderView } from '../../../src/schemas/order.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { orderIdOf, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { LoggedRequest, ClientLog } from '../client-log.js';
import { checkBalance, DuplicateEffectError, type BalanceVerdict } from './balance.js';
import type { Evidence, OrderRecord } from './evidence.js';
import { isOrderRun } from './runs.js';
import { isAnyPossible, isAnyAccepted, acceptedResults, type Findings } from './findings.js';

/** An order that a client intended, with all requests for it. */
export interface IntendedOrder {
  requests: LoggedRequest[];
  /** Identifies the order: each customer has only one order. */
  customerId: string;
  lines: OrderLine[];
  token: string;
  cancellation?: LoggedRequest;
}

/** Checks that every accepted order exists once, that its outcome follows from the requests, and that it balances. */
export function auditOrders(log: ClientLog, evidence: Evidence, findings: Findings): void {
  for (const order of log.orders) auditIntendedOrder({ ...order, requests: [order] }, log, evidence, findings);

  const customers = new Set([...log.orders, ...log.carts].map(({ customerId }) => customerId));
  for (const { workflowId, customerId = '' } of evidence.runs.filter(isOrderRun)) {
    if (!customers.has(customerId)) findings.addViolation(workflowId, `exists, but no client requested it`);
  }
  const orders = new Set(evidence.runs.filter(isOrderRun).map(({ workflowId }) => orderIdOf(workflowId)));
  for (const orderId of evidence.orderIdsHoldingStock) {
    if (!orders.has(orderId))
      findings.addViolation(orderWorkflowId(orderId), 'holds stock, but there is no such order');
  }
}

/** Compares the responses for one intended order with the orders that exist. */
export function auditIntendedOrder(
  purchase: IntendedOrder,
  log: ClientLog,
  evidence: Evidence,
  findings: Findings,
): void {
  const { requests, customerId, cancellation } = purchase;
  const there = evidence.ordersOf(customerId);
  const promised = acceptedResults(requests);
  const [one = `of ${customerId}`] = [...promised, ...there];
  for (const request of requests) findings.compareResponses(orderWorkflowId(one), request);
  if (cancellation) findings.compareResponses(orderWorkflowId(one), cancellation);

  if (isAnyAccepted(requests)) findings.accepted.orders += 1;
  findings.effects.orders += there.length;
  for (const orderId of promised) {
    if (!there.includes(orderId))
      findings.addLost(orderWorkflowId(orderId), 'was accepted, but there is no such order');
  }
  for (const orderId of there) {
    if (!isAnyPossible(requests)) findings.addViolation(orderWorkflowId(orderId), 'exists, but was rejected');
    else if (promised.length > 0 && !promised.includes(orderId) && there.length > 1)
      findings.addDuplicate(orderWorkflowId(orderId), `exists besides ${promised.join(', ')}, for the same request`);
    auditOrder(orderId, purchase, log, evidence, findings);
  }
  if (promised.length === 0 && there.length > 1)
    findings.addDuplicate(orderWorkflowId(one), `one request became several orders: ${there.join(', ')}`);
}

function auditOrder(orderId: string, purchase: IntendedOrder, log: ClientLog, evidence: Evidence, findings: Findings) {
  const workflowId = orderWorkflowId(orderId);
  const [run, ...more] = evidence.runsOf(workflowId);
  const isReset = log.resetWorkflowIds.includes(workflowId);
  if (more.length >= (isReset ? 2 : 1)) findings.addDuplicate(workflowId, `ran ${more.length + 1} times`);
  if (!run || findings.reportedOpen.includes(workflowId)) return;
  const record = evidence.orderRecordOf(orderId);
  if (!['COMPLETED', 'FAILED', 'CANCELLED'].includes(run.status)) {
    if (isReset && record?.reservation === 'released') {
      const stage = evidence.viewOf<OrderView>(workflowId)?.stage;
      findings.addViolation(workflowId, `continues after a reset (${stage}) although it was rolled back before`);
    }
    findings.addViolation(workflowId, `is ${run.status.toLowerCase()}, which is not a valid end`);
    return;
  }
  const view = evidence.viewOf<OrderView>(workflowId);
  if (view?.stage !== 'done') {
    findings.addViolation(workflowId, `has ended (${run.status.toLowerCase()}), but has no outcome`);
    return;
  }
  // An order that was reset after its rollback must stop before the charge: its reservation is already released.
  const isFenced = isReset && view.reason?.type === 'ReservationReleased';
  const outcome = outcomeLabel(view);
  findings.outcomes[outcome] = (findings.outcomes[outcome] ?? 0) + 1;
  const approval = evidence.viewOf<ApprovalView>(approvalWorkflowId(approvalIdOfOrder(orderId)));
  const needsApproval = log.approvals.some(({ source }) => 'orderId' in source && source.orderId === orderId);
  for (const complaint of isFenced ? [] : outcomeMismatches(view, purchase, approval))
    findings.addViolation(workflowId, complaint);

  const partnerRecords = evidence.partnerRecordsOf(orderId);
  const isApproved = approval ? approval.status === 'approved' : !needsApproval;
  if (!isApproved && partnerRecords.charges.length + partnerRecords.shipments.length > 0)
    findings.addViolation(workflowId, `was charged or shipped without an approval`);
  const parcel = String(partnerRecords.shipments[0]?.status);
  if (log.foreignReportOrderIds.includes(orderId) && view.status === 'completed' && parcel !== 'delivered')
    findings.addViolation(workflowId, `is completed by a report about another parcel; its own is ${parcel}`);
  if (view.reason?.type === 'DeliveryTimeout' && PICKED_UP_STATUSES.includes(parcel))
    findings.addViolation(
      workflowId,
      `was rolled back by a timer although its parcel was picked up; the parcel is ${parcel}`,
    );
  if (isReset && view.status === 'failed' && !isFenced)
    findings.addViolation(workflowId, `failed after it was reset: ${view.reason?.type}`);
  const contradiction = isFenced ? fencedRecordMismatch(record) : recordMismatch(record, view);
  if (contradiction) findings.addViolation(workflowId, contradiction);
  try {
    const { lines, token } = purchase;
    const { verdict } = checkBalance(
      { orderId, products: log.products, lines, token },
      partnerRecords,
      evidence.heldQuantitiesOf(orderId),
    );
    if (!allowedVerdicts(view).includes(verdict))
      findings.addViolation(workflowId, `is ${outcome}, but its balance is ${verdict}`);
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof DuplicateEffectError) findings.addDuplicate(workflowId, message);
    else findings.addViolation(workflowId, message);
  }
}

/** A parcel with one of these statuses was picked up. */
const PICKED_UP_STATUSES: readonly string[] = ['in_transit', 'delivered', 'lost'];

/**
 * Describes how the order's row contradicts the final status of the workflow. Ignores a missing row, because the
 * balance check finds it.
 */
function recordMismatch(record: OrderRecord | undefined, { status }: OrderView): string | undefined {
  if (!record || record.status === status) return undefined;
  return `is ${status}, but is recorded as ${record.status}`;
}

/**
 * Describes how the row contradicts a run that stopped because its reservation was released. This run must leave the
 * row of the earlier, rolled back run unchanged.
 */
function fencedRecordMismatch(record: OrderRecord | undefined): string | undefined {
  if (record?.reservation === 'released' && record.status !== 'completed') return undefined;
  const recorded = record ? `${record.status} with its pieces ${record.reservation}` : 'nothing';
  return `ended after a reset because it had been rolled back, but is recorded as ${recorded}`;
}

/** The balances that are valid for each final status. */
const VERDICTS_BY_STATUS: Partial<Record<OrderView['status'], BalanceVerdict[]>> = {
  completed: ['sold'],
  rejected: ['rolled back'],
  cancelled: ['rolled back'],
  failed: ['rolled back'],
};

/**
 * Only goods that were lost in transit or written off by an operator may have the balance `written off`. A delivery
 * timeout never writes off a parcel that was picked up.
 */
const allowedVerdicts = ({ status, reason }: OrderView): BalanceVerdict[] =>
  ['ShipmentLost', 'WrittenOff'].includes(reason?.type ?? '') ? ['written off'] : (VERDICTS_BY_STATUS[status] ?? []);

const outcomeLabel = ({ status, reason }: OrderView): string =>
  status === 'rejected' || status === 'failed' ? `${status}: ${reason?.type ?? 'for no reason'}` : status;

const OUTCOME_BY_TOKEN: Record<string, string> = {
  tok_ok: 'completed',
  tok_declined: 'rejected: CardDeclined',
  tok_insufficient_funds: 'rejected: InsufficientFunds',
};

const OUTCOME_BY_APPROVAL_STATUS: Partial<Record<ApprovalView['status'], string>> = {
  rejected: 'rejected: ApprovalRejected',
  timed_out: 'rejected: ApprovalTimedOut',
};

/**
 * Describes how an order's outcome contradicts the requests and decisions. The status `failed` is always valid when it
 * has a reason.
 */
function outcomeMismatches(view: OrderView, purchase: IntendedOrder, approval: ApprovalView | undefined): string[] {
  const { lines, token, cancellation } = purchase;
  const outcome = outcomeLabel(view);
  const isCancelled = view.status === 'cancelled';
  const complaints: string[] = [];
  const expected = (approval && OUTCOME_BY_APPROVAL_STATUS[approval.status]) ?? OUTCOME_BY_TOKEN[token];
  if (view.status === 'failed' ? !view.reason?.type : !isCancelled && outcome !== expected)
    complaints.push(`is ${outcome}, not ${expected}`);
  if (isCancelled && (!cancellation || cancellation.outcome === 'rejected'))
    complaints.push('is cancelled, but no client that requested it got this result');
  if (cancellation?.outcome === 'accepted' && !isCancelled && !view.cancellation?.rejected)
    complaints.push(`is ${outcome}, although its cancellation was accepted`);
  if (view.approval && view.approval.status !== approval?.status)
    complaints.push(`shows its approval as ${view.approval.status}, but the approval is ${approval?.status}`);
  const bought = view.lines?.map(({ sku, quantity }) => ({ sku, quantity }));
  if (bought && !isDeepStrictEqual(bought, lines))
    complaints.push(`has the lines ${JSON.stringify(bought)}, not ${JSON.stringify(lines)}`);
  return complaints;
}
