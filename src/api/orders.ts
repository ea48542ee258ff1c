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
  orderIdOf,
  orderStatusAttribute,
  orderStatusQuery,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
  resolveCompensationUpdate,
} from '../workflows/order/contract.js';
import { conflict, kindOf } from './errors.js';
import { askWorker, describeOr404, readView, refusalOf } from './executions.js';
import { listExecutions, type Execution, type Page, type PageRequest } from './listing.js';
import { retryingIn, workflowOf } from './resources.js';
import { startOnce } from './starting.js';

/**
 * Starts an order. The order id is the idempotency key: the same input again starts nothing and answers the same order.
 *
 * @throws 409 when the id belongs to an order with another input.
 */
export async function startOrder(client: Client, input: OrderInput): Promise<OrderStatus> {
  const { orderId, customerId } = input;
  const existing = await startOnce<typeof workflows.order>(client, 'order' satisfies keyof typeof workflows, input, {
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
    throw conflict('order-id-taken', `order ${orderId} exists with another content`, { orderId });
  }
  return summaryOf(existing).status;
}

/** An order with its timeline. @throws 404, or 503 with the status that Temporal itself knows when no worker answers. */
export async function getOrder(client: Client, orderId: string): Promise<OrderResource> {
  const workflowId = orderWorkflowId(orderId);
  const description = await describeOr404(client, workflowId, `order ${orderId}`);
  const known = { order: summaryOf(description) };
  const view = await readView<typeof workflows.order>(client, ORDER_TASK_QUEUE, description, orderStatusQuery, known);
  return toResource(view, description);
}

/**
 * Asks for the cancellation of an order. What was done is undone after the answer; `GET` shows how far it is. An order
 * that is already cancelled answers the same again.
 *
 * @throws 409 once the carrier has the parcel, or when the order has ended otherwise.
 */
export async function cancelOrder(client: Client, orderId: string, request: CancelRequest): Promise<OrderResource> {
  return await updateOrder(
    client,
    orderId,
    (handle) => handle.executeUpdate(cancelOrderUpdate, { args: [request] }),
    (order) => order.status === 'cancelled',
  );
}

/** Retries or skips the compensation that an order is stuck in. @throws 409 when it is not stuck. */
export async function resolveCompensation(
  client: Client,
  orderId: string,
  decision: CompensationDecision,
): Promise<OrderResource> {
  return await updateOrder(
    client,
    orderId,
    (handle) => handle.executeUpdate(resolveCompensationUpdate, { args: [decision] }),
    () => false,
  );
}

async function updateOrder(
  client: Client,
  orderId: string,
  update: (handle: WorkflowHandle) => Promise<OrderView>,
  isAlreadySo: (order: OrderResource) => boolean,
): Promise<OrderResource> {
  const description = await describeOr404(client, orderWorkflowId(orderId), `order ${orderId}`);
  const run = () => update(client.workflow.getHandle(description.workflowId, description.runId));
  try {
    return toResource(await askWorker(client, ORDER_TASK_QUEUE, run), description);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal) throw conflict(kindOf(refusal.type), refusal.message, { orderId });
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const order = await getOrder(client, orderId);
    if (isAlreadySo(order)) return order;
    throw conflict('order-closed', `order ${orderId} is ${order.status}`, { orderId });
  }
}

/** The order as a view plus what the server knows: retries that are going on, and an end that the workflow did not see. */
export function toResource(view: OrderView, description: WorkflowExecutionDescription): OrderResource {
  return { ...view, ...endedFromOutside(description), ...retryingIn(description), ...workflowOf(description) };
}

/** A page of orders, newest first, from visibility; a new order appears within about a second. */
export async function listOrders(
  client: Client,
  filter: { status?: OrderStatus | undefined; customerId?: string | undefined },
  page: PageRequest,
): Promise<Page<OrderSummary>> {
  return await listExecutions(client, visibilityQuery(filter), page, summaryOf);
}

function summaryOf({ workflowId, status, startTime, closeTime, typedSearchAttributes }: Execution): OrderSummary {
  const customerId = typedSearchAttributes.get(customerIdAttribute);
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

/** Values come from an enum and the id alphabet, so nothing has to be escaped. */
function visibilityQuery({
  status,
  customerId,
}: {
  status?: OrderStatus | undefined;
  customerId?: string | undefined;
}) {
  const clauses = [`WorkflowType = 'order'`];
  if (customerId) clauses.push(`CustomerId = '${customerId}'`);
  if (status === 'failed') clauses.push(`(OrderStatus = 'failed' or ExecutionStatus in ('Terminated', 'TimedOut'))`);
  else if (status) clauses.push(`OrderStatus = '${status}'`);
  if (status === 'processing' || status === 'compensation_stuck') clauses.push(`ExecutionStatus = 'Running'`);
  return clauses.join(' and ');
}
