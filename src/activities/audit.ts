import { Context } from '@temporalio/activity';
import { runConcurrently } from '../async/concurrency.js';
import { auditInput, type AuditFinding } from '../schemas/audit.js';
import type { OrderStatus } from '../schemas/order.js';
import { formatMoney } from '../schemas/shared/money.js';
import type { Store } from '../store/index.js';
import type { OrderState } from '../store/orders/reconciliation.js';
import type { UnexpectedPayment } from '../store/payment-events.js';
import { isOpen, OPEN_EXECUTIONS } from '../temporal/client/closed-executions.js';
import { describeExecution } from '../temporal/client/describe-execution.js';
import { listExecutions } from '../temporal/client/visibility.js';
import { orderIdOf, orderQuery, orderWorkflowId, ORDER_WORKFLOW_TYPE } from '../workflows/order/contract.js';
import { withHeartbeat } from './external/heartbeat.js';
import { parseInput } from './failures.js';
import type { ListedCharge, PaymentGateway } from './payment-gateway.js';

const PAGE_SIZE = 100;

/** A call ends after this number of pages or findings, so that it is short and its result is small. */
const MAX_PAGES = 50;
const MAX_FINDINGS = 100;

/** The findings that one run looks up again. Each needs a call to the gateway. */
const MAX_RECHECKED_ORDERS = 500;
const MAX_CONCURRENT_LOOKUPS = 10;

/** The payment events that one run checks. Each needs a call to the gateway. */
const MAX_CHECKED_EVENTS = 500;

/** A daily run compares the charges of three days, so that two runs can fail. */
const COMPARED_DAYS = 3;
const DAY_MS = 24 * 60 * 60_000;

export interface AuditRequest {
  /** The input of the workflow. */
  input?: unknown;
  /** The `next` of the previous call. */
  after?: string | undefined;
}

export interface AuditPage {
  comparedCount: number;
  findings: AuditFinding[];
  /** Where the next call continues. Missing at the end. */
  next?: string;
}

/** The orders that earlier audits listed and that were looked up again. */
export interface Recheck {
  orderIds: string[];
  /** The findings that still hold. */
  findings: AuditFinding[];
  /** False if earlier audits listed more orders than one run looks up. */
  isComplete: boolean;
}

export interface ChargePage extends AuditPage {
  /** Only the first call looks up listed orders. */
  recheck?: Recheck;
  /** Only the first call checks events. False if more events do not fit than one run checks. */
  areEventsComplete?: boolean;
}

interface ChargeOfOrder {
  orderId: string;
  /** Undefined if the database does not have the order. */
  status: OrderStatus | undefined;
  /** The charge that the provider reported. Defaults to the newest charge of the order. */
  chargeId?: string;
}

export interface RecordRequest {
  findings: AuditFinding[];
  /** Whether all charges, events and workflows were compared. */
  isComplete: boolean;
  /** Set if some listed orders were not looked up. The earlier findings of these other orders stay. */
  recheckedOrderIds?: string[] | undefined;
}

export interface AuditSettings {
  store: Store;
  payments: Pick<PaymentGateway, 'findOrderId' | 'findPayment' | 'listCharges'>;
  /** Younger charges, workflows and outcomes are not compared, because their orders are in progress. */
  reconcileAfterMinutes: number;
}

export function createAuditActivities({ store, payments, reconcileAfterMinutes }: AuditSettings) {
  const comparedBefore = () => new Date(Date.now() - reconcileAfterMinutes * 60_000);

  function comparedPeriod() {
    const before = comparedBefore();
    return { from: new Date(before.getTime() - COMPARED_DAYS * DAY_MS), before };
  }

  /** @returns undefined if the charge fits the order. */
  async function problemOfCharge(charge: ListedCharge, order: OrderState | undefined): Promise<string | undefined> {
    const amount = formatMoney(charge.amount);
    if (!order) return notRecorded(amount);
    if (order.total && formatMoney(order.total) !== amount)
      return `the gateway charged ${amount}, and the total is ${formatMoney(order.total)}`;
    if (!order.isClosed || order.status === 'completed') return undefined;
    // Looked up again, because the refund can be newer than the list. The refund belongs to the newest charge.
    const { charge: newest, refund } = await payments.findPayment(charge.orderId);
    const isRefunded = refund?.status === 'refunded' && newest?.chargeId === charge.chargeId;
    return isRefunded ? undefined : notRefunded(order, amount);
  }

  /**
   * Looks up the charges of the orders that earlier audits listed, because the list of charges covers only a few days.
   * The lookup shows only the newest charge and whether it was refunded, so it cannot find a second charge or a wrong
   * amount.
   */
  async function recheckListedOrders(cancellation: AbortSignal): Promise<Recheck> {
    const listed = await store.listAuditedOrderIds(MAX_RECHECKED_ORDERS + 1);
    const orderIds = listed.slice(0, MAX_RECHECKED_ORDERS);
    const orders = await store.findOrderStates(orderIds);
    const findings: AuditFinding[] = [];
    await runConcurrently(orderIds.length, MAX_CONCURRENT_LOOKUPS, async (n) => {
      cancellation.throwIfAborted();
      const orderId = orderIds[n]!;
      const order = orders.get(orderId);
      if (order && (!order.isClosed || order.status === 'completed')) return;
      const problem = await problemOfPayment({ orderId, status: order?.status });
      if (problem) findings.push({ orderId, problem });
    });
    return { orderIds, findings, isComplete: listed.length <= MAX_RECHECKED_ORDERS };
  }

  /** @returns undefined if the charge of an order without success is refunded. */
  async function problemOfPayment({ orderId, status, chargeId }: ChargeOfOrder): Promise<string | undefined> {
    const { charge, refund } = await payments.findPayment(orderId);
    // The refund belongs to the newest charge.
    if (charge && chargeId !== undefined && charge.chargeId !== chargeId) {
      return status
        ? `the order is ${status}, and its charge ${chargeId} is not refunded`
        : `the gateway reported the charge ${chargeId}, and the database has no record of the order`;
    }
    if (charge?.status !== 'succeeded' || refund?.status === 'refunded') return undefined;
    const amount = formatMoney(charge.amount);
    return status ? notRefunded({ status }, amount) : notRecorded(amount);
  }

  /**
   * Checks the payments that the provider has reported and that do not fit their orders. The events only say where to
   * look: the gateway decides what was charged and refunded.
   */
  async function checkPaymentEvents(cancellation: AbortSignal): Promise<Omit<Recheck, 'orderIds'>> {
    const { from: receivedFrom, before: receivedBefore } = comparedPeriod();
    const period = { receivedFrom, receivedBefore, limit: MAX_CHECKED_EVENTS + 1 };
    const listed = await store.listUnexpectedPayments(period);
    const events = listed.slice(0, MAX_CHECKED_EVENTS);
    const findings: AuditFinding[] = [];
    await runConcurrently(events.length, MAX_CONCURRENT_LOOKUPS, async (n) => {
      cancellation.throwIfAborted();
      const event = events[n]!;
      const orderId = event.orderId ?? (await payments.findOrderId?.(event.chargeId));
      if (orderId === undefined) return;
      const problem = await problemOfEvent(event, orderId);
      if (problem) findings.push({ orderId, problem });
    });
    return { findings, isComplete: listed.length <= MAX_CHECKED_EVENTS };
  }

  async function problemOfEvent(
    { type, chargeId, orderStatus: status }: UnexpectedPayment,
    orderId: string,
  ): Promise<string | undefined> {
    if (type === 'dispute_opened') {
      const problem = `the customer disputes the charge ${chargeId}`;
      const isRecorded = status !== undefined || (await store.findOrderStates([orderId])).has(orderId);
      return isRecorded ? problem : `${problem}, and the database has no record of the order`;
    }
    if (type === 'charged') return await problemOfPayment({ orderId, status, chargeId });
    const { refund } = await payments.findPayment(orderId);
    if (refund?.status !== 'refunded') return undefined;
    return `the order is ${status}, and its charge was refunded at the gateway`;
  }

  async function compareChargePage(charges: ListedCharge[], chargeIds: Map<string, string>): Promise<AuditFinding[]> {
    const effective = charges.filter(({ status, refunded }) => status === 'succeeded' && !refunded);
    const orders = await store.findOrderStates(effective.map(({ orderId }) => orderId));
    const findings: AuditFinding[] = [];
    for (const charge of effective) {
      const { orderId, chargeId } = charge;
      const other = chargeIds.get(orderId);
      chargeIds.set(orderId, chargeId);
      const problem = other
        ? `the gateway charged the order twice: ${other} and ${chargeId}`
        : await problemOfCharge(charge, orders.get(orderId));
      if (problem) findings.push({ orderId, problem });
    }
    return findings;
  }

  /** @returns undefined if the workflow fits the order, or waits for its first activity, which records the order. */
  async function problemOfWorkflow(orderId: string, order: OrderState | undefined): Promise<string | undefined> {
    // The workflow of an order that has just closed ends a moment later.
    if (order && (!order.isClosed || order.changedAt > comparedBefore())) return undefined;
    const { client } = Context.current();
    const workflowId = orderWorkflowId(orderId);
    const execution = await describeExecution(client, { workflowId });
    if (!execution || !isOpen(execution)) return undefined;
    if (order) return `the order is ${order.status} in the database, and its workflow is running`;
    const view = await client.workflow
      .getHandle(workflowId)
      .query(orderQuery)
      .catch(() => undefined);
    // Without a response, nothing shows that the order has no effect yet, so a person must check.
    if (!view) return 'its workflow is open and does not respond, and the database has no record of the order';
    if (view.stage === 'reserving_stock') return undefined;
    return 'its workflow is running, and the database has no record of the order';
  }

  return {
    /**
     * Compares the charges of the last three days with the orders in the database. The first call also looks up the
     * charges of the orders that earlier audits listed, and checks the events of the payment provider.
     *
     * @throws `InvalidInput`, and the failures of `PaymentGateway`.
     */
    async compareCharges({ input, after }: AuditRequest): Promise<ChargePage> {
      parseInput(auditInput, input);
      const { from: createdFrom, before: createdBefore } = comparedPeriod();
      const chargeIds = new Map<string, string>();
      const recheck = after === undefined ? await withHeartbeat(recheckListedOrders) : undefined;
      const reported = after === undefined ? await withHeartbeat(checkPaymentEvents) : undefined;
      const compared = await comparePages(after, async (position) => {
        const page = await payments.listCharges({ createdFrom, createdBefore, limit: PAGE_SIZE, after: position });
        const findings = await compareChargePage(page.charges, chargeIds);
        return { comparedCount: page.charges.length, findings, ...(page.next !== null && { next: page.next }) };
      });
      return {
        ...compared,
        findings: [...compared.findings, ...(reported?.findings ?? [])],
        ...(recheck && { recheck }),
        ...(reported && { areEventsComplete: reported.isComplete }),
      };
    },

    /** Compares the open workflows of orders with the database. */
    async compareWorkflows({ after }: AuditRequest): Promise<AuditPage> {
      const { client } = Context.current();
      const query =
        `WorkflowType = '${ORDER_WORKFLOW_TYPE}' and ${OPEN_EXECUTIONS} ` +
        `and StartTime < '${comparedBefore().toISOString()}'`;
      return await comparePages(after, async (position) => {
        const pageToken = position === undefined ? undefined : Buffer.from(position, 'base64');
        const { executions, nextPageToken } = await listExecutions(client, { query, pageSize: PAGE_SIZE, pageToken });
        const orderIds = executions.map(({ workflowId }) => orderIdOf(workflowId));
        const orders = await store.findOrderStates(orderIds);
        const findings: AuditFinding[] = [];
        for (const orderId of orderIds) {
          const problem = await problemOfWorkflow(orderId, orders.get(orderId));
          if (problem) findings.push({ orderId, problem });
        }
        const next = nextPageToken && Buffer.from(nextPageToken).toString('base64');
        return { comparedCount: executions.length, findings, ...(next && { next }) };
      });
    },

    /**
     * Updates the list of orders about which a person must decide. A complete run removes the findings of earlier runs
     * that it did not find again.
     */
    async recordAuditFindings(request: RecordRequest): Promise<void> {
      const { runId } = Context.current().info.workflowExecution!;
      await store.recordAuditFindings({ ...request, runId });
    },
  };
}

const notRecorded = (amount: string) => `the gateway charged ${amount}, and the database has no record of the order`;

const notRefunded = ({ status }: Pick<OrderState, 'status'>, amount: string) =>
  `the order is ${status}, and its charge of ${amount} is not refunded`;

async function comparePages(
  after: string | undefined,
  comparePage: (after: string | undefined) => Promise<AuditPage>,
): Promise<AuditPage> {
  const compared: AuditPage = { comparedCount: 0, findings: [] };
  return await withHeartbeat(async (cancellation) => {
    let next = after;
    for (let pages = 1; ; pages += 1) {
      cancellation.throwIfAborted();
      const page = await comparePage(next);
      compared.comparedCount += page.comparedCount;
      compared.findings.push(...page.findings);
      next = page.next;
      if (next === undefined) return compared;
      if (pages >= MAX_PAGES || compared.findings.length >= MAX_FINDINGS) return { ...compared, next };
    }
  });
}
