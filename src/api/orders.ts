import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowExecutionStatusName,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import {
  orderStatus,
  type CancelRequest,
  type CompensationDecision,
  type OrderInput,
  type OrderResource,
  type OrderStatus,
  type OrderSummary,
  type OrderView,
} from '../schemas/order.js';
import type { Reason } from '../schemas/reason.js';
import type * as workflows from '../workflows/index.js';
import {
  cancelOrderUpdate,
  customerIdAttribute,
  NEWEST_ORDER_WORKFLOW_TYPE,
  orderIdOf,
  orderStatusAttribute,
  orderStatusQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
  ORDERS_QUERY,
  resolveCompensationUpdate,
} from '../workflows/order/contract.js';
import { updateIdOf, type Asking } from './asking.js';
import { httpProblem } from './errors.js';
import { askWorker, readView, refusalOf } from './executions.js';
import { listExecutions, quoted, type Execution, type Page, type PageRequest } from './listing.js';
import { describeOwn, ownerOf } from './ownership.js';
import { kindOf } from './problems.js';
import { heldUpBy, workflowOf } from './resources.js';
import { startOnce } from './starting.js';

/**
 * Starts an order. The order id is the idempotency key: the same input again starts nothing and answers the same order.
 *
 * @throws 409 when the id belongs to an order with another input.
 */
export async function startOrder(client: Client, input: OrderInput): Promise<OrderStatus> {
  const { orderId, customerId } = input;
  const type = NEWEST_ORDER_WORKFLOW_TYPE satisfies keyof typeof workflows;
  const existing = await startOnce<(typeof workflows)[typeof type]>(client, type, input, {
    workflowId: orderWorkflowId(orderId),
    taskQueue: ORDER_TASK_QUEUE,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: customerIdAttribute, value: customerId },
      { key: orderStatusAttribute, value: 'processing' },
    ]),
    staticSummary: `${input.lines.length} line(s) for ${customerId}`,
  });
  if (existing === undefined) return 'processing';
  if (existing === 'other') {
    throw httpProblem('order-id-taken', `order ${orderId} exists with another content`, { orderId });
  }
  return summaryOf(existing).status;
}

/** An order with its timeline. @throws 404, or 503 with the status that Temporal itself knows when no worker answers. */
export async function getOrder(client: Client, orderId: string, { only }: Asking = {}): Promise<OrderResource> {
  const description = await describeOwn(client, orderWorkflowId(orderId), `order ${orderId}`, only);
  const known = { order: summaryOf(description) };
  const view = await readView<typeof workflows.order>(client, description, orderStatusQuery, known);
  return toResource(view, description, only);
}

/**
 * Asks for the cancellation of an order. What was done is undone after the answer; `GET` shows how far it is. An order
 * that is already cancelled answers the same again.
 *
 * @throws 409 once the carrier has the parcel, or when the order has ended otherwise.
 */
export async function cancelOrder(
  client: Client,
  orderId: string,
  request: CancelRequest,
  asking: Asking,
): Promise<OrderResource> {
  return await updateOrder(
    client,
    orderId,
    asking,
    (handle, updateId) => handle.executeUpdate(cancelOrderUpdate, { args: [request], ...updateId }),
    (order) => order.status === 'cancelled',
  );
}

/** Retries or skips the compensation that an order is stuck in. @throws 409 when it is not stuck. */
export async function resolveCompensation(
  client: Client,
  orderId: string,
  decision: CompensationDecision,
  asking: Asking,
): Promise<OrderResource> {
  return await updateOrder(
    client,
    orderId,
    asking,
    (handle, updateId) => handle.executeUpdate(resolveCompensationUpdate, { args: [decision], ...updateId }),
    () => false,
  );
}

async function updateOrder(
  client: Client,
  orderId: string,
  asking: Asking,
  update: (handle: WorkflowHandle, updateId: { updateId?: string }) => Promise<OrderView>,
  isAlreadySo: (order: OrderResource) => boolean,
): Promise<OrderResource> {
  const description = await describeOwn(client, orderWorkflowId(orderId), `order ${orderId}`, asking.only);
  const handle = client.workflow.getHandle(description.workflowId, description.runId);
  const run = () => update(handle, updateIdOf(asking));
  try {
    return toResource(await askWorker(client, description, run), description, asking.only);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal) throw httpProblem(kindOf(refusal.type, 'conflict'), refusal.message, { orderId });
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const order = await getOrder(client, orderId, asking);
    if (isAlreadySo(order)) return order;
    throw httpProblem('order-closed', `order ${orderId} is ${order.status}`, { orderId });
  }
}

/** The order as a view plus what the server knows: retries that are going on, and an end that the workflow did not see. */
export function toResource(view: OrderView, description: WorkflowExecutionDescription, only?: string): OrderResource {
  const heldUp = heldUpBy(description, { withReasons: only === undefined });
  return { ...view, ...endedFromOutside(description), ...heldUp, ...workflowOf(description) };
}

/** A page of orders, newest first, from visibility; a new order appears within about a second. */
export async function listOrders(
  client: Client,
  filter: { status?: OrderStatus | undefined; customerId?: string | undefined },
  page: PageRequest,
): Promise<Page<OrderSummary>> {
  return await listExecutions(client, visibilityQuery(filter), page, summaryOf);
}

function summaryOf(execution: Execution): OrderSummary {
  const { workflowId, status, startTime, closeTime, typedSearchAttributes } = execution;
  const customerId = ownerOf(execution);
  const ended = endedFromOutside({ status });
  return {
    orderId: orderIdOf(workflowId),
    ...(customerId && { customerId }),
    status: ended?.status ?? orderStatus.catch('processing').parse(typedSearchAttributes.get(orderStatusAttribute)),
    startedAt: startTime.toISOString(),
    ...(closeTime && { closedAt: closeTime.toISOString() }),
  };
}

/** Ends that workflow code never sees, so that neither query nor Search Attribute tells of them. */
const ENDS_FROM_OUTSIDE: Partial<Record<WorkflowExecutionStatusName, Reason>> = {
  TERMINATED: { type: 'Terminated', message: 'the workflow was terminated, nothing was undone' },
  TIMED_OUT: { type: 'TimedOut', message: 'the workflow timed out, nothing was undone' },
};

function endedFromOutside({ status }: Pick<Execution, 'status'>) {
  const reason = ENDS_FROM_OUTSIDE[status.name];
  return reason && { status: 'failed' as const, stage: 'done' as const, reason };
}

function visibilityQuery({
  status,
  customerId,
}: {
  status?: OrderStatus | undefined;
  customerId?: string | undefined;
}) {
  const clauses = [ORDERS_QUERY];
  if (customerId) clauses.push(`CustomerId = ${quoted(customerId)}`);
  if (status === 'failed') clauses.push(`(OrderStatus = 'failed' or ExecutionStatus in ('Terminated', 'TimedOut'))`);
  else if (status) clauses.push(`OrderStatus = '${status}'`);
  if (status === 'processing' || status === 'compensation_stuck') clauses.push(`ExecutionStatus = 'Running'`);
  return clauses.join(' and ');
}
