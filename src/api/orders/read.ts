import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { OrderResource, OrderView } from '../../schemas/order.js';
import type { OrderRecord } from '../../store/orders/orders.js';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { firstRunIdOf } from '../../temporal/client/describe-execution.js';
import { pendingActivityFields, workflowField } from '../../temporal/client/pending-activities.js';
import type * as workflows from '../../workflows/index.js';
import { orderQuery, orderWorkflowId } from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { formatUtcMinute } from '../../text/utc-minute.js';
import { catchProblem, toProblem } from '../problems/error-mapping.js';
import { httpProblem, HttpProblem, notFound } from '../problems/http-problem.js';
import type { RequestContext } from '../http/request-context.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { customerIdOf } from '../temporal/ownership.js';
import { readView } from '../temporal/worker-calls.js';
import { knownOrderOf, type KnownOrder } from './known.js';
import { forcedCloseState } from './status.js';

/**
 * Returns an order with its timeline: an open order from its workflow, a closed order from the store.
 *
 * @throws 404, or 503 with the known facts when no worker answers or Temporal is unavailable.
 */
export async function getOrder(deps: Backends, orderId: string, context: RequestContext = {}): Promise<OrderResource> {
  const { client, store } = deps;
  const { record, execution, order, storeProblem, temporalError } = await readSources(deps, orderId, context);
  // If the store has a closed order but another run of its workflow is open, the workflow was reset.
  const isReset = execution && isOpen(execution) && execution.runId !== record?.outcome?.runId;
  if (record?.outcome && !isReset) return closedOrderResource(record.outcome, record);
  if (temporalError !== undefined) rethrowWithKnownOrder(temporalError, order);
  if (!execution) {
    if (record) return withRollback(missingWorkflowResource(record), record);
    throw storeProblem ?? notFoundProblem(orderId);
  }
  if (record && !isOpen(execution) && !forcedCloseState(execution)) {
    // The order closed after the first read of the store. Now the store has the outcome, so no worker is needed.
    const { outcome } = (await store.findOrder(orderId)) ?? record;
    if (outcome) return closedOrderResource(outcome, record);
  }
  const view = await readView<typeof workflows.order>(client, execution, orderQuery, { order });
  const resource = toResource(view, execution, context);
  return record && forcedCloseState(execution) ? withRollback(resource, record) : resource;
}

/** Adds whether an order was rolled back after its workflow had ended without an outcome. */
function withRollback(order: OrderResource, { rolledBackAt }: OrderRecord): OrderResource {
  const { type, message } = order.reason!;
  if (!rolledBackAt) return { ...order, reason: { type, message: `${message}; the order was not rolled back yet` } };
  const time = rolledBackAt.toISOString();
  const reason = { type, message: `${message}; the order was rolled back at ${formatUtcMinute(time)}` };
  return { ...order, reason, rolledBackAt: time };
}

/**
 * Returns the facts about an order that Temporal and the store know without a worker.
 *
 * @throws 404, or 503 when neither Temporal nor the store answers.
 */
export async function getKnownOrder(
  deps: Backends,
  orderId: string,
  context: RequestContext = {},
): Promise<KnownOrder> {
  const { order, storeProblem, temporalError } = await readSources(deps, orderId, context);
  if (order && (temporalError === undefined || isUnavailable(temporalError))) return order;
  if (temporalError !== undefined) rethrowWithKnownOrder(temporalError, undefined);
  throw storeProblem ?? notFoundProblem(orderId);
}

const isUnavailable = (error: unknown): boolean => toProblem(error).kind === 'temporal-unavailable';

/** Adds the known facts to the 503 of an unavailable Temporal server. @throws every other error unchanged. */
function rethrowWithKnownOrder(error: unknown, order: KnownOrder | undefined): never {
  if (order && isUnavailable(error)) throw httpProblem('temporal-unavailable', toProblem(error).message, { order });
  throw error;
}

/**
 * Returns what the caller may see of an order. Customers do not see the failures of activities, because they reveal
 * internals. @throws 404 if the order belongs to another customer.
 *
 * @param restrictedToId The customer id of the caller. Undefined for operators, who may see all orders.
 */
export function restrictOrder<Order extends KnownOrder | OrderResource>(
  order: Order,
  restrictedToId: string | undefined,
): Order {
  if (restrictedToId === undefined) return order;
  if (order.customerId !== restrictedToId) throw notFoundProblem(order.orderId);
  if (!order.retrying) return order;
  return { ...order, retrying: order.retrying.map(({ lastFailure: _, ...activity }) => activity) };
}

const notFoundProblem = (orderId: string) => notFound(`there is no order ${orderId}`);

interface OrderSources {
  record: OrderRecord | undefined;
  execution: WorkflowExecutionDescription | undefined;
  /** What both know about the order. Undefined if neither knows the order. */
  order: KnownOrder | undefined;
  storeProblem: HttpProblem | undefined;
  /** Why the workflow could not be described. */
  temporalError: unknown;
}

/** Reads an order from the store and from Temporal. @throws 404 if the order belongs to another customer. */
async function readSources(
  { client, store }: Backends,
  orderId: string,
  { restrictedToId }: RequestContext,
): Promise<OrderSources> {
  const [stored, described] = await Promise.all([
    catchProblem('store-unavailable', () => store.findOrder(orderId)),
    describeWorkflow(client, { workflowId: orderWorkflowId(orderId) }).catch((error: unknown) => ({ error })),
  ]);
  const record = stored instanceof HttpProblem ? undefined : stored;
  const description = described && 'error' in described ? undefined : described;
  const execution = description && isExecutionOf(description, record) ? description : undefined;
  const storeProblem = stored instanceof HttpProblem ? stored : undefined;
  const order = knownOrderOf({ orderId, record, execution, storeProblem });
  return {
    record,
    execution,
    order: order && restrictOrder(order, restrictedToId),
    storeProblem,
    temporalError: described && 'error' in described ? described.error : undefined,
  };
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
  ...(customerId !== undefined && { customerId }),
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
    ...(customerId !== undefined && { customerId }),
    status: 'failed',
    stage: 'done',
    ...(lines && { lines }),
    ...(total && { total }),
    reason: { type: 'WorkflowMissing', message: 'Temporal no longer has the workflow' },
    steps: [],
    compensations: [],
    ...workflowField({ workflowId: orderWorkflowId(orderId), runId: firstRunId }),
  };
}

/**
 * Adds facts that only the Temporal server knows to the view of an order: the customer before the stock is reserved,
 * pending activities, and a termination or timeout of the workflow.
 */
export function toResource(
  view: OrderView,
  description: WorkflowExecutionDescription,
  { restrictedToId }: Pick<RequestContext, 'restrictedToId'>,
): OrderResource {
  const customerId = customerIdOf(description);
  const order: OrderResource = {
    ...(customerId && { customerId }),
    ...view,
    ...forcedCloseState(description),
    ...pendingActivityFields(description),
    ...workflowField(description),
  };
  return restrictOrder(order, restrictedToId);
}
