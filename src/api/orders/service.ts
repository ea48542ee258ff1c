import { isDeepStrictEqual } from 'node:util';
import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { hashContent } from '../../store/content-hash.js';
import { formatMoney, type Money } from '../../schemas/shared/money.js';
import type {
  CancelRequest,
  CompensationDecision,
  DeliveryDecision,
  OrderInput,
  OrderResource,
  OrderStatus,
  OrderView,
} from '../../schemas/order.js';
import type { Store } from '../../store/index.js';
import { calculateTotal } from '../../store/products.js';
import type { OrderRecord } from '../../store/orders/orders.js';
import type * as workflows from '../../workflows/index.js';
import {
  cancelOrderUpdate,
  customerIdAttribute,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
  orderStatusAttribute,
  orderQuery,
  orderWorkflowId,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
} from '../../workflows/order/contract.js';
import { updateOptionsOf, type RequestContext } from '../http/request-context.js';
import { forcedCloseState, statusOf } from './reconciler.js';
import { httpProblem, HttpProblem, notFound } from '../problems/http-problem.js';
import { toProblem } from '../problems/error-mapping.js';
import {
  callWorker,
  describeWorkflow,
  isUpdateLimitProblem,
  readView,
  updateRejectionOf,
  SERVER_DEADLINE_MS,
  withDeadline,
} from '../executions/worker-calls.js';
import { assertOwnedBy, customerIdOf } from '../http/ownership.js';
import { kindOfFailureType, type ProblemKind } from '../problems/problem-kinds.js';
import { pendingActivity, workflowField } from '../executions/pending-activities.js';
import { startOnce } from '../executions/start-once.js';

export interface OrderDependencies {
  client: Client;
  store: Store;
}

/**
 * Starts an order. The order id is the idempotency key and never expires: a repetition with the same input starts
 * nothing and returns the status of the existing order.
 *
 * @throws 409 when the id belongs to an order with another input, or when the total differs from the expected total.
 */
export async function startOrder(deps: OrderDependencies, input: OrderInput): Promise<OrderStatus> {
  const { client, store } = deps;
  const { orderId, customerId, expectedTotal } = input;
  const taken = () => httpProblem('order-id-taken', `order ${orderId} exists with another content`, { orderId });
  // If the store is unavailable, Temporal still knows the orders within its retention period. The stock reservation
  // compares the content again.
  const record = await catchProblem('store-unavailable', () => store.findOrder(orderId));
  if (record && !(record instanceof HttpProblem)) {
    if (record.contentHash !== hashContent(input)) throw taken();
    return await statusOfRecord(client, record);
  }
  if (expectedTotal && !(await describeWorkflow(client, orderWorkflowId(orderId)))) {
    await assertTotal(store, input.lines, expectedTotal);
  }
  const type = ORDER_WORKFLOW_TYPE satisfies keyof typeof workflows;
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
  if (existing === 'other') throw taken();
  return statusOf(existing);
}

/**
 * The status of a recorded order. The store does not learn that the server ended a workflow, so this asks Temporal
 * about an open order. If Temporal does not answer, the recorded status counts.
 */
async function statusOfRecord(client: Client, record: OrderRecord): Promise<OrderStatus> {
  if (record.outcome) return record.status;
  const execution = await catchProblem('temporal-unavailable', () =>
    describeWorkflow(client, orderWorkflowId(record.orderId)),
  );
  if (execution instanceof HttpProblem) return record.status;
  return execution ? statusOf(execution) : 'failed';
}

/** Returns the result of `read`, or the problem if `read` fails with a problem of this kind. Throws any other error. */
async function catchProblem<T>(kind: ProblemKind, read: () => Promise<T>): Promise<T | HttpProblem> {
  try {
    return await read();
  } catch (error) {
    const problem = toProblem(error);
    if (problem.kind === kind) return problem;
    throw error;
  }
}

/**
 * Checks the expected total early, so that the customer gets the 409 in the response. The stock reservation compares
 * again, and its result counts.
 *
 * @throws 409 with both totals when the catalogue gives another total than the expected one. Lines that cannot be
 * priced are left to the order workflow.
 */
export async function assertTotal(store: Store, lines: OrderInput['lines'], expectedTotal: Money): Promise<void> {
  const products = await store.findProducts(lines.map(({ sku }) => sku)).catch((error: unknown) => {
    if (toProblem(error).kind === 'store-unavailable') return undefined;
    throw error;
  });
  const found = products && calculateTotal(lines, products);
  if (found?.status !== 'priced') return;
  const { total } = found;
  if (isDeepStrictEqual(total, expectedTotal)) return;
  const detail = `the total is ${formatMoney(total)}, not ${formatMoney(expectedTotal)}`;
  throw httpProblem('price-changed', detail, { total, expectedTotal });
}

/**
 * Returns an order with its timeline: an open order from its workflow, a closed order from the store.
 *
 * @throws 404, or 503 with the last known status when no worker answers.
 */
export async function getOrder(
  { client, store }: OrderDependencies,
  orderId: string,
  { restrictedToId }: RequestContext = {},
): Promise<OrderResource> {
  const missing = () => notFound(`there is no order ${orderId}`);
  const assertReadable = (customerId: string | undefined) => {
    if (restrictedToId !== undefined && customerId !== restrictedToId) throw missing();
  };
  const [stored, described] = await Promise.all([
    catchProblem('store-unavailable', () => store.findOrder(orderId)),
    describeWorkflow(client, orderWorkflowId(orderId)).catch((error: unknown) => ({ error })),
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
    throw stored instanceof HttpProblem ? stored : missing();
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
  return toResource(view, execution, restrictedToId);
}

/**
 * Whether the execution belongs to the recorded order. An order id can be started again once Temporal no longer keeps
 * its first workflow.
 */
function isExecutionOf({ raw }: WorkflowExecutionDescription, record: OrderRecord | undefined): boolean {
  const firstRunId = raw.workflowExecutionInfo?.firstRunId;
  return !record || !firstRunId || firstRunId === record.firstRunId;
}

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
  workflow: { workflowId: orderWorkflowId(orderId), runId },
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
    workflow: { workflowId: orderWorkflowId(orderId), runId: firstRunId },
  };
}

/**
 * Requests the cancellation of an order. Compensations run after the response; `GET` shows their progress. If the
 * cancellation was already requested or is complete, the order is returned unchanged.
 *
 * @throws 409 once the carrier has the parcel, or when the order has ended otherwise.
 */
export async function cancelOrder(
  deps: OrderDependencies,
  orderId: string,
  request: CancelRequest,
  asking: RequestContext,
): Promise<OrderResource> {
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(cancelOrderUpdate, { args: [request], ...updateId }),
    isAlreadyApplied: ({ status, stage, cancellation }) =>
      status === 'cancelled' || (stage !== 'done' && cancellation !== undefined && !cancellation.rejected),
  });
}

/**
 * Retries or skips a stuck compensation. Sends the decision as a signal when the run accepts no further updates.
 *
 * @throws 409 when this attempt of the compensation is not stuck.
 */
export async function resolveCompensation(
  deps: OrderDependencies,
  orderId: string,
  decision: CompensationDecision,
  asking: RequestContext,
): Promise<OrderResource> {
  const { compensation, attempt } = decision;
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(resolveCompensationUpdate, { args: [decision], ...updateId }),
    signal: (handle) => handle.signal(resolveCompensationSignal, decision),
    signalProblem: ({ compensations }) =>
      compensations.some(
        (entry) => entry.name === compensation && entry.status === 'stuck' && entry.attempt === attempt,
      )
        ? undefined
        : httpProblem('compensation-not-stuck', `attempt ${attempt} of ${compensation} does not wait for a decision`, {
            orderId,
          }),
  });
}

/** Decides about an overdue delivery. @throws 409 when this attempt of the delivery is not overdue. */
export async function resolveDelivery(
  deps: OrderDependencies,
  orderId: string,
  decision: DeliveryDecision,
  asking: RequestContext,
): Promise<OrderResource> {
  const { attempt } = decision;
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(resolveDeliveryUpdate, { args: [decision], ...updateId }),
    signal: (handle) => handle.signal(resolveDeliverySignal, decision),
    signalProblem: ({ delivery }) =>
      delivery?.overdueSince !== undefined && delivery.attempt === attempt
        ? undefined
        : httpProblem('delivery-not-overdue', `attempt ${attempt} of the delivery does not wait for a decision`, {
            orderId,
          }),
  });
}

interface OrderChange {
  update: (handle: WorkflowHandle, updateId: { updateId?: string }) => Promise<OrderView>;
  /** Sends the same change as a signal, for a run that accepts no further updates. */
  signal?: (handle: WorkflowHandle) => Promise<void>;
  /** Why the workflow would ignore the signal. Checked before sending, because a signal returns no result. */
  signalProblem?: (order: OrderResource) => HttpProblem | undefined;
  /** Whether the order already has the state that the change asks for. */
  isAlreadyApplied?: (order: OrderResource) => boolean;
}

async function updateOrder(
  deps: OrderDependencies,
  orderId: string,
  asking: RequestContext,
  { update, signal, signalProblem, isAlreadyApplied }: OrderChange,
): Promise<OrderResource> {
  const { client } = deps;
  const workflowId = orderWorkflowId(orderId);
  const current = () => getOrder(deps, orderId, asking);
  const description = await describeWorkflow(client, workflowId);
  // Temporal no longer has this workflow, so the order is closed.
  if (!description) return unchanged(await current());
  assertOwnedBy(description, `order ${orderId}`, asking.restrictedToId);
  // Addresses the newest run of the execution chain, so that a reset in the meantime makes no difference.
  const firstExecutionRunId = description.raw.workflowExecutionInfo?.firstRunId ?? description.runId;
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId });
  try {
    const view = await callWorker(client, { workflowId }, () => update(handle, updateOptionsOf(asking)));
    return toResource(view, description, asking.restrictedToId);
  } catch (error) {
    const refusal = updateRejectionOf(error);
    if (refusal) return unchanged(await current(), kindOfFailureType(refusal.type, 'conflict'), refusal.message);
    if (isUpdateLimitProblem(error)) return await withoutUpdate(error);
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return unchanged(await current());
  }

  /** Returns the order if it already has the requested state. @throws 409 otherwise. */
  function unchanged(
    order: OrderResource,
    kind: ProblemKind = 'order-closed',
    why = `order ${orderId} is ${order.status}`,
  ): OrderResource {
    if (isAlreadyApplied?.(order)) return order;
    throw httpProblem(kind, why, { orderId });
  }

  async function withoutUpdate({ message }: HttpProblem): Promise<OrderResource> {
    const order = await current();
    if (!signal) return unchanged(order, 'update-limit', message);
    const problem = signalProblem?.(order);
    if (problem) throw problem;
    await withDeadline(client, SERVER_DEADLINE_MS, () => signal(handle));
    return await current();
  }
}

/**
 * The view of an order plus what only the server knows: the customer before the stock is reserved, activities that are
 * being retried, and an end that the workflow did not see.
 */
export function toResource(view: OrderView, description: WorkflowExecutionDescription, only?: string): OrderResource {
  const heldUp = pendingActivity(description, { includeFailures: only === undefined });
  const customerId = customerIdOf(description);
  return {
    ...(customerId && { customerId }),
    ...view,
    ...forcedCloseState(description),
    ...heldUp,
    ...workflowField(description),
  };
}
