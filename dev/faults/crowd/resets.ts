import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { approvalIdOfOrder } from '../../../src/schemas/approval.js';
import { approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { decide } from './approvals.js';
import { isClosed, place, seen } from './order-steps.js';
import { cancel, many } from './orders.js';
import { untilDone } from './partners.js';
import type { Visit } from './visit.js';

const { RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL: SIGNAL, RESET_REAPPLY_EXCLUDE_TYPE_UPDATE: UPDATE } =
  proto.temporal.api.enums.v1.ResetReapplyExcludeType;

/** Buys something, and an operator resets the completed order to one of its workflow tasks. */
export async function buyAndReset(visit: Visit, client: Client): Promise<void> {
  const orderId = await place(visit);
  if (orderId === undefined) return;
  const order = await seen(visit, orderId, isClosed);
  if (order?.status === 'completed') await reset(visit, client, orderWorkflowId(orderId));
}

/**
 * Buys so much that it needs an approval. While the order waits, an operator resets it to its first workflow task, and its
 * approval too. Then the approval is decided.
 */
export async function buyMuchAndReset(visit: Visit, client: Client): Promise<void> {
  const orderId = await place(visit, { lines: many(visit) });
  if (orderId === undefined) return;
  const approvalId = approvalIdOfOrder(orderId);
  const asked = { approvalId, of: { orderId }, decisions: [] };
  visit.ledger.approvals.push(asked);
  const order = await seen(visit, orderId, (order) => order.approval !== undefined || isClosed(order));
  if (!order || isClosed(order)) return;
  await reset(visit, client, orderWorkflowId(orderId), { to: 'first' });
  await reset(visit, client, approvalWorkflowId(approvalId), { to: 'first' });
  await decide(visit, asked, { manner: 'once' });
}

/** Buys something and cancels it. After the refund, an operator resets the order to its first workflow task. */
export async function cancelAndReset(visit: Visit, client: Client): Promise<void> {
  const orderId = await place(visit);
  if (orderId === undefined) return;
  const order = await seen(visit, orderId, ({ shipment, stage }) => shipment !== undefined || stage === 'done');
  if (!order || isClosed(order)) return;
  await cancel(visit, orderId);
  if ((await seen(visit, orderId, isClosed))?.status !== 'cancelled') return;
  await reset(visit, client, orderWorkflowId(orderId), { to: 'first', reapply: false });
}

interface ResetOptions {
  /** To which workflow task. */
  to?: 'first' | 'any';
  /** Whether signals and updates that came after that task arrive again. */
  reapply?: boolean;
}

/** Resets the current run of a workflow. */
async function reset(
  visit: Visit,
  client: Client,
  workflowId: string,
  { to = 'any', reapply = true }: ResetOptions = {},
): Promise<void> {
  visit.ledger.resets.push(workflowId);
  const handle = client.workflow.getHandle(workflowId);
  const runId = await untilDone(visit, async () => (await handle.describe()).runId);
  if (runId === undefined) return;
  await untilDone(visit, async () => {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const points = (events ?? []).filter((event) => event.workflowTaskCompletedEventAttributes);
    const point = to === 'first' ? points[0]! : visit.random.of(points);
    await client.workflowService.resetWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId, runId },
      workflowTaskFinishEventId: point.eventId!,
      reason: 'an operator',
      requestId: `${visit.id}-${workflowId}`,
      ...(!reapply && { resetReapplyExcludeTypes: [SIGNAL, UPDATE] }),
    });
  });
}
