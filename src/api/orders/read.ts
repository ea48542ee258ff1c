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
  // If the store has a closed order but another run of its workflow is open, the workflow was reset.
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
    // The order closed after the first read of the store. Now the store has the outcome, so no worker is needed.
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
 * Whether the execution belongs to the recorded order. After Temporal has deleted the first workflow of an order id, a
 * second workflow can start with this id.
 */
const isExecutionOf = (execution: WorkflowExecutionDescription, record: OrderRecord | undefined): boolean =>
  !record || firstRunIdOf(execution) === record.firstRunId;

/**
 * Takes the customer id from the record. The view has no customer id if the order was rejected before the workflow knew
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
 * Returns an order that is open in the store but unknown to Temporal. Its workflow was deleted, or was terminated and
 * its retention period has ended.
 */
function missingWorkflowResource({ orderId, firstRunId, customerId, lines, total }: OrderRecord): OrderResource {
  return {
    orderId,
    customerId,
    status: 'failed',
    stage: 'done',
    ...(lines && { lines }),
    ...(total && { total }),
    reason: { type: 'WorkflowMissing', message: 'Temporal no longer has the workflow; nothing was compensated' },
    steps: [],
    compensations: [],
    ...workflowField({ workflowId: orderWorkflowId(orderId), runId: firstRunId }),
  };
}

/**
 * Adds facts that only the Temporal server knows to the view of an order: the customer before the stock is reserved,
 * pending activities, and a termination or timeout of the workflow. Customers do not see the failures of activities.
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
