import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { approvalIdOfOrder } from '../../../../src/schemas/approval.js';
import { approvalWorkflowId } from '../../../../src/workflows/approval/contract.js';
import { orderWorkflowId } from '../../../../src/workflows/order/contract.js';
import { COMPLETE } from '../../client-log.js';
import { decideApproval } from '../scenarios/approvals.js';
import { isClosed, placeOrder, pollOrder } from '../scenarios/order-steps.js';
import { cancelOrder, largeOrderLines } from '../scenarios/orders.js';
import { scheduleParcel, retryUntilDone } from '../fakes-control.js';
import type { DirectAccess, ClientSession } from '../client-session.js';

const { RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL: SIGNAL, RESET_REAPPLY_EXCLUDE_TYPE_UPDATE: UPDATE } =
  proto.temporal.api.enums.v1.ResetReapplyExcludeType;

/** Places an order. After its completion, an operator resets it to one of its workflow tasks. */
export async function buySmallAndReset(
  session: ClientSession,
  { client, setOrderId }: DirectAccess,
): Promise<string | undefined> {
  const orderId = await placeOrder(session);
  if (orderId === undefined) return undefined;
  setOrderId(orderId);
  const order = await pollOrder(session, orderId, isClosed);
  if (order && order.status !== 'completed') return `the order was ${order.status} before its reset`;
  await resetWorkflow(session, client, orderWorkflowId(orderId));
  return (await waitUntilClosed(session, client, orderWorkflowId(orderId))) && COMPLETE;
}

/**
 * Places an order that needs an approval. While the order waits, an operator resets it to its first workflow task.
 * After the order has joined its approval again, the operator resets the approval. Then a client decides the approval.
 */
export async function buyLargeAndReset(
  session: ClientSession,
  { client, setOrderId }: DirectAccess,
): Promise<string | undefined> {
  const orderId = await placeOrder(session, { lines: largeOrderLines(session) });
  if (orderId === undefined) return undefined;
  setOrderId(orderId);
  const approvalId = approvalIdOfOrder(orderId);
  const approval = { approvalId, source: { orderId }, decisions: [] };
  session.log.approvals.push(approval);
  const order = await pollOrder(session, orderId, (order) => order.approval !== undefined || isClosed(order));
  if (!order) return undefined;
  if (isClosed(order)) return `the order was ${order.status} before its reset`;
  await resetWorkflow(session, client, orderWorkflowId(orderId), { to: 'first' });
  const joined = await waitForApprovalJoin(session, client, orderWorkflowId(orderId));
  if (joined === false) return 'the order ended before it joined its approval again';
  await resetWorkflow(session, client, approvalWorkflowId(approvalId), { to: 'first' });
  await decideApproval(session, approval, { mode: 'once' });
  return (await waitUntilClosed(session, client, orderWorkflowId(orderId))) && COMPLETE;
}

/**
 * Places an order and cancels it before the carrier picks up the parcel. After the refund, an operator resets the order
 * to its first workflow task.
 */
export async function cancelAndReset(
  session: ClientSession,
  { client, setOrderId }: DirectAccess,
): Promise<string | undefined> {
  const orderId = randomUUID();
  await scheduleParcel(session, orderId, { autoDeliver: false });
  if ((await placeOrder(session, { orderId })) === undefined) return undefined;
  setOrderId(orderId);
  await pollOrder(session, orderId, (order) => order.shipment !== undefined || isClosed(order));
  await cancelOrder(session, orderId);
  const order = await pollOrder(session, orderId, isClosed);
  if (order && order.status !== 'cancelled') return `the order was ${order.status} before its reset`;
  await resetWorkflow(session, client, orderWorkflowId(orderId), { to: 'first', reapply: false });
  return (await waitUntilClosed(session, client, orderWorkflowId(orderId))) && COMPLETE;
}

/** Waits until the workflow is closed. @returns undefined when the session ended first. */
async function waitUntilClosed(session: ClientSession, client: Client, workflowId: string): Promise<true | undefined> {
  return await retryUntilDone(session, async (): Promise<true> => {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    if (status.name === 'RUNNING') throw new Error(`${workflowId} is still open`);
    return true;
  });
}

/** Waits until an order has joined its existing approval. @returns false when the order ended first. */
async function waitForApprovalJoin(
  session: ClientSession,
  client: Client,
  workflowId: string,
): Promise<boolean | undefined> {
  return await retryUntilDone(session, async () => {
    const { status, raw } = await client.workflow.getHandle(workflowId).describe();
    if (status.name !== 'RUNNING') return false;
    const joining = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'awaitExistingApproval');
    // The first heartbeat shows that the activity waits for the approval.
    if (!joining?.lastHeartbeatTime) throw new Error(`${workflowId} has not joined its approval yet`);
    return true;
  });
}

interface ResetOptions {
  /** The workflow task to reset to. */
  to?: 'first' | 'any';
  /** Whether the server reapplies the signals and updates after this workflow task. */
  reapply?: boolean;
}

/** Resets the current run of a workflow. */
async function resetWorkflow(
  session: ClientSession,
  client: Client,
  workflowId: string,
  { to = 'any', reapply = true }: ResetOptions = {},
): Promise<void> {
  session.log.resetWorkflowIds.push(workflowId);
  const handle = client.workflow.getHandle(workflowId);
  const runId = await retryUntilDone(session, async () => (await handle.describe()).runId);
  if (runId === undefined) return;
  await retryUntilDone(session, async () => {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const points = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes);
    const point = to === 'first' ? points[0]! : session.random.pick(points);
    await client.workflowService.resetWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId, runId },
      workflowTaskFinishEventId: point.eventId!,
      reason: 'an operator',
      requestId: `${session.id}-${workflowId}`,
      ...(!reapply && { resetReapplyExcludeTypes: [SIGNAL, UPDATE] }),
    });
  });
}
