import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { OrderResource, OrderView } from '../../schemas/order.js';
import type { OrderRecord } from '../../store/orders/orders.js';
import { firstRunIdOf } from '../../temporal/client/describe-execution.js';
import { pendingActivityFields, workflowField } from '../../temporal/client/pending-activities.js';
import type * as workflows from '../../workflows/index.js';
import { orderQuery, orderWorkflowId } from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { catchProblem } from '../problems/error-mapping.js';
import { HttpProblem, notFound } from '../problems/http-problem.js';
import type { RequestContext } from '../http/request-context.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { customerIdOf } from '../temporal/ownership.js';
import { readView } from '../temporal/worker-calls.js';
import { forcedCloseState, statusOf } from './status.js';

/**
 * Returns an order with its timeline: an open order from its workflow, a closed order from the store.
 *
 * @throws 404, or 503 with the last known status when no worker answers.
 */
export async function getOrder(
  { client, store }: Backends,
  orderId: string,
  { restrictedToId }: RequestContext = {},
): Promise<OrderResource> {
  const notFoundProblem = () => notFound(`there is no order ${orderId}`);
  const assertReadable = (customerId: string | undefined) => {
    if (restrictedToId !== undefined && customerId !== restrictedToId) throw notFoundProblem();
  };
  const [stored, described] = await Promise.all([
    catchProblem('store-unavailable', () => store.findOrder(orderId)),
    describeWorkflow(client, { workflowId: orderWorkflowId(orderId) }).catch((error: unknown) => ({ error })),
  ]);
  const record = stored instanceof HttpProblem ? undefined : stored;
  if (record) assertReadable(record.customerId);
  const execution = described && !('error' in described) && isExecutionOf(described, record) ? described : undefined;
  // The recorded order is closed but another run of its workflow is open: the workflow was reset.
  const isReset = execution?.status.name === 'RUNNING' && execution.runId !== record?.outcome?.runId;
  if (record?.outcome && !isReset) return closedOrderResource(record.outcome, record);
  if (described && 'error' in described) throw described.error;
  if (!execution) {
    if (record) return missingWorkflowResource(record);
    throw stored instanceof HttpProblem ? stored : notFoundProblem();
  }
  const customerId = record?.customerId ?? customerIdOf(execution);
  assertReadable(customerId);
  if (record && execution.status.name !== 'RUNNING' && !forcedCloseState(execution)) {
    // The order closed after the store was read. Now the store has the outcome, which needs no worker.
    const { outcome } = (await store.findOrder(orderId)) ?? record;
    if (outcome) return closedOrderResource(outcome, record);
  }
  const view = await readView<typeof workflows.order>(client, execution, orderQuery, {
    order: {
      orderId,
      ...(customerId && { customerId }),
      status: statusOf(execution),
      placedAt: execution.startTime.toISOString(),
      ...(execution.closeTime && { closedAt: execution.closeTime.toISOString() }),
    },
  });
  return toResource(view, execution, { restrictedToId });
}

/**
 * Whether the execution belongs to the recorded order. An order id can be started again once Temporal no longer keeps
 * its first workflow.
 */
const isExecutionOf = (execution: WorkflowExecutionDescription, record: OrderRecord | undefined): boolean =>
  !record || firstRunIdOf(execution) === record.firstRunId;

/**
 * The customer id comes from the record, because the view lacks it when the order was rejected before the workflow knew
 * the customer.
 */
const closedOrderResource = (
  { view, runId }: NonNullable<OrderRecord['outcome']>,
  { orderId, customerId }: OrderRecord,
): OrderResource => ({
  customerId,
  ...view,
  ...workflowField({ workflowId: orderWorkflowId(orderId), runId }),
});

/**
 * An order that is open in the store but unknown to Temporal: its workflow was deleted, or was terminated and is past
 * its retention period.
 */
function missingWorkflowResource({ orderId, firstRunId, customerId, lines, total }: OrderRecord): OrderResource {
  return {
    orderId,
    customerId,
    status: 'failed',
    stage: 'done',
    ...(lines && { lines }),
    ...(total && { total }),
    reason: { type: 'WorkflowMissing', message: 'Temporal no longer has the workflow, nothing was compensated' },
    steps: [],
    compensations: [],
    ...workflowField({ workflowId: orderWorkflowId(orderId), runId: firstRunId }),
  };
}

/**
 * The view of an order plus what only the server knows: the customer before the stock is reserved, activities that are
 * being retried, and an end that the workflow did not see. Customers do not see the failures of activities.
 */
export function toResource(
  view: OrderView,
  description: WorkflowExecutionDescription,
  { restrictedToId }: Pick<RequestContext, 'restrictedToId'>,
): OrderResource {
  const customerId = customerIdOf(description);
  return {
    ...(customerId && { customerId }),
    ...view,
    ...forcedCloseState(description),
    ...pendingActivityFields(description, { includeFailures: restrictedToId === undefined }),
    ...workflowField(description),
  };
}
