import { isDeepStrictEqual } from 'node:util';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowExecutionStatusName,
  type WorkflowHandle,
} from '@temporalio/client';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers.js';
import { TypedSearchAttributes } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { tsToMs } from '@temporalio/common/lib/time.js';
import {
  orderStatus,
  type CancelRequest,
  type CompensationDecision,
  type OrderInput,
  type OrderResource,
  type OrderStatus,
  type OrderSummary,
  type OrderView,
  type Reason,
} from '../schemas/order.js';
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
import { askWorker, describeOr404, refusalOf, SERVER_DEADLINE_MS, withDeadline } from './executions.js';

/**
 * Starts an order. The order id is the idempotency key: the same input again starts nothing and answers the same order.
 *
 * @throws 409 when the id belongs to an order with another input.
 */
export async function startOrder(client: Client, input: OrderInput): Promise<OrderStatus> {
  const workflowId = orderWorkflowId(input.orderId);
  try {
    await withDeadline(client, SERVER_DEADLINE_MS, () =>
      client.workflow.start<typeof workflows.order>('order' satisfies keyof typeof workflows, {
        workflowId,
        taskQueue: ORDER_TASK_QUEUE,
        args: [input],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
        typedSearchAttributes: new TypedSearchAttributes([
          { key: customerIdAttribute, value: input.customerId },
          { key: orderStatusAttribute, value: 'processing' },
        ]),
        staticSummary: `${input.lines.length} line(s) for ${input.customerId}`,
      }),
    );
    return 'processing';
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    if (isDeepStrictEqual(await firstInput(client, workflowId), input)) {
      return summaryOf(await describeOr404(client, workflowId, `order ${input.orderId}`)).status;
    }
    throw conflict('order-id-taken', `order ${input.orderId} exists with another content`, { orderId: input.orderId });
  }
}

/** An order with its timeline. @throws 404, or 503 with the status that Temporal itself knows when no worker answers. */
export async function getOrder(client: Client, orderId: string): Promise<OrderResource> {
  const workflowId = orderWorkflowId(orderId);
  const description = await describeOr404(client, workflowId, `order ${orderId}`);
  const handle = client.workflow.getHandle(workflowId, description.runId);
  const view = await askWorker(client, ORDER_TASK_QUEUE, () => handle.query(orderStatusQuery), {
    order: summaryOf(description),
  });
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
  const retrying = (description.raw.pendingActivities ?? [])
    .filter(({ attempt }) => (attempt ?? 1) > 1)
    .map(({ activityType, attempt, scheduledTime, lastFailure }) => ({
      step: activityType?.name ?? '',
      attempt: attempt ?? 1,
      ...(scheduledTime && { nextAttemptAt: new Date(tsToMs(scheduledTime)).toISOString() }),
      ...(lastFailure?.message && { lastFailure: lastFailure.message }),
    }));
  return {
    ...view,
    ...endedFromOutside(description),
    ...(retrying.length && { retrying }),
    workflow: { workflowId: description.workflowId, runId: description.runId },
  };
}

/** A page of orders, newest first, from visibility; a new order appears within about a second. */
export async function listOrders(
  client: Client,
  filter: { status?: OrderStatus | undefined; customerId?: string | undefined },
  { limit, place }: { limit: number; place?: Uint8Array },
): Promise<{ items: OrderSummary[]; nextPlace?: Uint8Array }> {
  const { namespace } = client.options;
  const response = await withDeadline(client, SERVER_DEADLINE_MS, () =>
    client.workflowService.listWorkflowExecutions({
      namespace,
      query: visibilityQuery(filter),
      pageSize: limit,
      ...(place && { nextPageToken: place }),
    }),
  );
  const items = await Promise.all(
    (response.executions ?? []).map(async (raw) =>
      summaryOf(await executionInfoFromRaw(raw, client.options.loadedDataConverter, raw, namespace)),
    ),
  );
  return { items, ...(response.nextPageToken?.length && { nextPlace: response.nextPageToken }) };
}

type Execution = Pick<
  WorkflowExecutionDescription,
  'workflowId' | 'status' | 'startTime' | 'closeTime' | 'typedSearchAttributes'
>;

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

/** What the execution was started with, also by others than this API. */
async function firstInput(client: Client, workflowId: string): Promise<unknown> {
  const { history } = await withDeadline(client, SERVER_DEADLINE_MS, () =>
    client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: { workflowId },
      maximumPageSize: 1,
    }),
  );
  const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads;
  const [input] = await decodeArrayFromPayloads(client.options.loadedDataConverter, payloads);
  return input;
}
