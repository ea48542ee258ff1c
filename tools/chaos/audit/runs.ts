import { WorkflowNotFoundError, type Client, type WorkflowExecutionStatusName } from '@temporalio/client';
import { approvalIdOfOrder } from '../../../src/schemas/approval.js';
import { approvalDueAtAttribute, approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import { cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import {
  customerIdAttribute,
  orderIdOf,
  orderStatusAttribute,
  orderWorkflowId,
  ORDER_WORKFLOW_TYPE,
} from '../../../src/workflows/order/contract.js';
import { iterateExecutions } from '../../../src/temporal/client/visibility.js';
import { waitUntil } from '../../processes/wait.js';
import type { ClientLog } from '../client-log.js';
import { isAnyAccepted, acceptedResults } from './findings.js';

/** A workflow run as visibility lists it. */
export interface WorkflowRun {
  workflowId: string;
  runId: string;
  type: string;
  status: WorkflowExecutionStatusName;
  customerId: string | undefined;
  orderStatus: string | undefined;
  approvalDueAt: Date | undefined;
}

/** The auditor does not wait for a pending approval that is due later than this. */
const DUE_SOON_MS = 60_000;

export const isOrderRun = ({ type }: WorkflowRun): boolean => type === ORDER_WORKFLOW_TYPE;

/** The runs of a namespace, and the ids of open workflows that the shop itself reports. */
interface SettledRuns {
  runs: WorkflowRun[];
  reportedOpen: Set<string>;
}

/**
 * Waits until visibility lists every accepted workflow and every open run has a reason to be open. Returns all runs of
 * the namespace. After the deadline, returns the runs in their current state.
 */
export async function waitUntilSettled(client: Client, log: ClientLog, deadlineMs: number): Promise<SettledRuns> {
  const promised = requiredWorkflowIds(log);
  const allEnded = async () => {
    const open = await listRuns(client, `ExecutionStatus = 'Running'`);
    const reportedOpen = findReportedOpen(open, log);
    if (!open.every((run) => reportedOpen.has(run.workflowId) || isOpenByDesign(run, log))) return undefined;
    const runs = await listRuns(client, '');
    const known = new Set(runs.map(({ workflowId }) => workflowId));
    const missing = promised.filter((workflowId) => !known.has(workflowId));
    // Waits only for workflows that exist in Temporal, because no other workflow will appear in visibility later.
    const late = await Promise.all(missing.map((workflowId) => workflowExists(client, workflowId)));
    return late.includes(true) ? undefined : { runs, reportedOpen };
  };
  const wait = { description: 'the end of all accepted work', timeoutMs: deadlineMs, intervalMs: 250 };
  return await waitUntil(allEnded, wait).catch(async () => {
    const runs = await listRuns(client, '');
    const open = runs.filter(({ status }) => status === 'RUNNING');
    return { runs, reportedOpen: findReportedOpen(open, log) };
  });
}

/** The statuses of open orders that wait for an operator. */
const OPERATOR_STATUSES: readonly unknown[] = ['compensation_stuck', 'delivery_overdue'];

/**
 * Returns the open workflows that the shop itself reports: orders with a stuck compensation or an overdue delivery,
 * approvals whose deadline is far away and that no client has decided, and the orders that wait for these approvals.
 */
function findReportedOpen(open: WorkflowRun[], log: ClientLog): Set<string> {
  const decided = new Set(
    log.approvals
      .filter(({ decisions }) => isAnyAccepted(decisions))
      .map(({ approvalId }) => approvalWorkflowId(approvalId)),
  );
  const isPendingForLong = ({ workflowId, type, approvalDueAt }: WorkflowRun) =>
    type === 'approval' &&
    !decided.has(workflowId) &&
    approvalDueAt !== undefined &&
    approvalDueAt.getTime() > Date.now() + DUE_SOON_MS;
  const pendingApprovals = new Set(open.filter(isPendingForLong).map(({ workflowId }) => workflowId));
  const orders = open.filter(
    (run) =>
      isOrderRun(run) &&
      (OPERATOR_STATUSES.includes(run.orderStatus) ||
        pendingApprovals.has(approvalWorkflowId(approvalIdOfOrder(orderIdOf(run.workflowId))))),
  );
  return new Set([...pendingApprovals, ...orders.map(({ workflowId }) => workflowId)]);
}

/** Whether the run is a cart without an accepted closing request. */
export function isOpenByDesign({ workflowId }: WorkflowRun, { carts }: ClientLog): boolean {
  const cart = carts.find(({ cartId }) => cartWorkflowId(cartId) === workflowId);
  return cart !== undefined && !isAnyAccepted(cart.closingRequests);
}

/** Returns the ids of all workflows that a response has confirmed. */
function requiredWorkflowIds({ orders, carts, approvals, batches }: ClientLog): string[] {
  return [
    ...acceptedResults(orders).map(orderWorkflowId),
    ...carts
      .filter(({ changes, closingRequests }) => isAnyAccepted([...changes, ...closingRequests]))
      .map(({ cartId }) => cartWorkflowId(cartId)),
    ...approvals
      .filter(({ source, decisions }) =>
        isAnyAccepted('request' in source ? [source.request, ...decisions] : decisions),
      )
      .map(({ approvalId }) => approvalWorkflowId(approvalId)),
    ...batches.filter((batch) => isAnyAccepted([batch])).map(({ batchId }) => batchWorkflowId(batchId)),
  ];
}

async function listRuns(client: Client, query: string): Promise<WorkflowRun[]> {
  const runs: WorkflowRun[] = [];
  for await (const execution of iterateExecutions(client, query)) {
    const { workflowId, runId, type, status, typedSearchAttributes } = execution;
    runs.push({
      workflowId,
      runId,
      type,
      status: status.name,
      customerId: typedSearchAttributes.get(customerIdAttribute),
      orderStatus: typedSearchAttributes.get(orderStatusAttribute),
      approvalDueAt: typedSearchAttributes.get(approvalDueAtAttribute),
    });
  }
  return runs;
}

async function workflowExists(client: Client, workflowId: string): Promise<boolean> {
  try {
    await client.workflow.getHandle(workflowId).describe();
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
