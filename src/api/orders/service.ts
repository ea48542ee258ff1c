import { isDeepStrictEqual } from 'node:util';
import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { contentHashOf } from '../../store/content-hash.js';
import { shownMoney, type Money } from '../../schemas/money.js';
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
import { totalOf } from '../../store/catalogue.js';
import type { OrderRecord } from '../../store/orders.js';
import type * as workflows from '../../workflows/index.js';
import {
  cancelOrderUpdate,
  customerIdAttribute,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
  orderStatusAttribute,
  orderStatusQuery,
  orderWorkflowId,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
} from '../../workflows/order/contract.js';
import { updateIdOf, type Asking } from '../plugins/asking.js';
import { endedByServer, statusOf } from './ended.js';
import { httpProblem, HttpProblem, notFound, toProblem } from '../plugins/errors.js';
import {
  askWorker,
  describe,
  isUpdateLimit,
  readView,
  refusalOf,
  SERVER_DEADLINE_MS,
  withDeadline,
} from '../executions/executions.js';
import { assertOwn, ownerOf } from '../plugins/ownership.js';
import { kindOf, type ProblemKind } from '../plugins/problems.js';
import { heldUpBy, workflowOf } from '../executions/resources.js';
import { startOnce } from '../executions/starting.js';

export interface OrderDependencies {
  client: Client;
  store: Store;
}

/**
 * Starts an order. The order id is the idempotency key, for ever: the same input again starts nothing and returns the
 * status of the same order.
 *
 * @throws 409 when the id belongs to an order with another input, or when the total is not the expected one.
 */
export async function startOrder(deps: OrderDependencies, input: OrderInput): Promise<OrderStatus> {
  const { client, store } = deps;
  const { orderId, customerId, expectedTotal } = input;
  const taken = () => httpProblem('order-id-taken', `order ${orderId} exists with another content`, { orderId });
  // Without the store, Temporal still knows the orders of its retention time. The reservation checks again.
  const record = await unlessAway('store-unavailable', () => store.findOrder(orderId));
  if (record && !(record instanceof HttpProblem)) {
    if (record.contentHash !== contentHashOf(input)) throw taken();
    return await statusOfRecorded(client, record);
  }
  if (expectedTotal && !(await describe(client, orderWorkflowId(orderId)))) {
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

/** The store does not learn that the server ended a workflow; Temporal, if it answers, knows. */
async function statusOfRecorded(client: Client, record: OrderRecord): Promise<OrderStatus> {
  if (record.closed) return record.status;
  const execution = await unlessAway('temporal-unavailable', () => describe(client, orderWorkflowId(record.orderId)));
  if (execution instanceof HttpProblem) return record.status;
  return execution ? statusOf(execution) : 'failed';
}

/** What `read` returns, or the problem when what it reads from is away. */
async function unlessAway<T>(kind: ProblemKind, read: () => Promise<T>): Promise<T | HttpProblem> {
  try {
    return await read();
  } catch (error) {
    const problem = toProblem(error);
    if (problem.kind === kind) return problem;
    throw error;
  }
}

/**
 * An early answer for the customer. The reservation compares again, and its word counts.
 *
 * @throws 409 with both totals when the catalogue gives another total than the expected one. Lines that cannot be priced
 * are left to the order.
 */
export async function assertTotal(store: Store, lines: OrderInput['lines'], expectedTotal: Money): Promise<void> {
  const products = await store.findProducts(lines.map(({ sku }) => sku)).catch((error: unknown) => {
    if (toProblem(error).kind === 'store-unavailable') return undefined;
    throw error;
  });
  const found = products && totalOf(lines, products);
  if (found?.status !== 'priced') return;
  const { total } = found;
  if (isDeepStrictEqual(total, expectedTotal)) return;
  const detail = `the total is ${shownMoney(total)}, not ${shownMoney(expectedTotal)}`;
  throw httpProblem('price-changed', detail, { total, expectedTotal });
}

/**
 * An order with its timeline. The workflow knows an open order, the store a closed one.
 *
 * @throws 404, or 503 with the status that is known when no worker answers.
 */
export async function getOrder(
  { client, store }: OrderDependencies,
  orderId: string,
  { only }: Asking = {},
): Promise<OrderResource> {
  const missing = () => notFound(`there is no order ${orderId}`);
  const assertReadable = (customerId: string | undefined) => {
    if (only !== undefined && customerId !== only) throw missing();
  };
  const [stored, described] = await Promise.all([
    unlessAway('store-unavailable', () => store.findOrder(orderId)),
    describe(client, orderWorkflowId(orderId)).catch((error: unknown) => ({ error })),
  ]);
  const record = stored instanceof HttpProblem ? undefined : stored;
  if (record) assertReadable(record.customerId);
  const execution = described && !('error' in described) && isOf(described, record) ? described : undefined;
  // A closed order whose workflow runs in another run was reset.
  const isReset = execution?.status.name === 'RUNNING' && execution.runId !== record?.closed?.runId;
  if (record?.closed && !isReset) return closedOrder(record.closed, record);
  if (described && 'error' in described) throw described.error;
  if (!execution) {
    if (record) return lostOrder(record);
    throw stored instanceof HttpProblem ? stored : missing();
  }
  const customerId = record?.customerId ?? ownerOf(execution);
  assertReadable(customerId);
  if (record && execution.status.name !== 'RUNNING' && !endedByServer(execution)) {
    // It closed after the store was read. The store knows its end, which needs no worker.
    const { closed } = (await store.findOrder(orderId)) ?? record;
    if (closed) return closedOrder(closed, record);
  }
  const view = await readView<typeof workflows.order>(client, execution, orderStatusQuery, {
    order: {
      orderId,
      ...(customerId && { customerId }),
      status: statusOf(execution),
      placedAt: execution.startTime.toISOString(),
      ...(execution.closeTime && { closedAt: execution.closeTime.toISOString() }),
    },
  });
  return toResource(view, execution, only);
}

/** Whether it is the execution of the recorded order. An id that Temporal has forgotten can be started again. */
function isOf({ raw }: WorkflowExecutionDescription, record: OrderRecord | undefined): boolean {
  const firstRunId = raw.workflowExecutionInfo?.firstRunId;
  return !record || !firstRunId || firstRunId === record.owner;
}

/** @param record names the customer also when the order was rejected before the workflow knew. */
const closedOrder = (
  { view, runId }: NonNullable<OrderRecord['closed']>,
  { orderId, customerId }: OrderRecord,
): OrderResource => ({
  customerId,
  ...view,
  workflow: { workflowId: orderWorkflowId(orderId), runId },
});

/** An order that is open in the store and unknown to Temporal: its workflow was deleted, or terminated long ago. */
function lostOrder({ orderId, owner, customerId, lines, total }: OrderRecord): OrderResource {
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
    workflow: { workflowId: orderWorkflowId(orderId), runId: owner },
  };
}

/**
 * Requests the cancellation of an order. Compensations run after the response; `GET` shows their progress. An order whose
 * cancellation was requested before, or is done, is returned as it is.
 *
 * @throws 409 once the carrier has the parcel, or when the order has ended otherwise.
 */
export async function cancelOrder(
  deps: OrderDependencies,
  orderId: string,
  request: CancelRequest,
  asking: Asking,
): Promise<OrderResource> {
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(cancelOrderUpdate, { args: [request], ...updateId }),
    isAlreadySo: ({ status, stage, cancellation }) =>
      status === 'cancelled' || (stage !== 'done' && cancellation !== undefined && !cancellation.refused),
  });
}

/**
 * Retries or skips a stuck compensation. A run that accepts no further updates gets the decision as a signal.
 *
 * @throws 409 when this attempt of the compensation is not stuck.
 */
export async function resolveCompensation(
  deps: OrderDependencies,
  orderId: string,
  decision: CompensationDecision,
  asking: Asking,
): Promise<OrderResource> {
  const { compensation, attempt } = decision;
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(resolveCompensationUpdate, { args: [decision], ...updateId }),
    signal: (handle) => handle.signal(resolveCompensationSignal, decision),
    whyNot: ({ compensations }) =>
      compensations.some(
        (entry) => entry.name === compensation && entry.status === 'stuck' && entry.attempt === attempt,
      )
        ? undefined
        : httpProblem('not-stuck', `attempt ${attempt} of ${compensation} does not wait for a decision`, { orderId }),
  });
}

/** Decides about an overdue delivery. @throws 409 when this attempt of the delivery is not overdue. */
export async function resolveDelivery(
  deps: OrderDependencies,
  orderId: string,
  decision: DeliveryDecision,
  asking: Asking,
): Promise<OrderResource> {
  const { attempt } = decision;
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(resolveDeliveryUpdate, { args: [decision], ...updateId }),
    signal: (handle) => handle.signal(resolveDeliverySignal, decision),
    whyNot: ({ delivery }) =>
      delivery?.overdueSince !== undefined && delivery.attempt === attempt
        ? undefined
        : httpProblem('not-overdue', `attempt ${attempt} of the delivery does not wait for a decision`, { orderId }),
  });
}

interface OrderChange {
  update: (handle: WorkflowHandle, updateId: { updateId?: string }) => Promise<OrderView>;
  /** Sends the same to a run that accepts no further updates. */
  signal?: (handle: WorkflowHandle) => Promise<void>;
  /** What a signal, which is not answered, would be ignored for. */
  whyNot?: (order: OrderResource) => HttpProblem | undefined;
  /** Whether the order is already what the change would make of it. */
  isAlreadySo?: (order: OrderResource) => boolean;
}

async function updateOrder(
  deps: OrderDependencies,
  orderId: string,
  asking: Asking,
  { update, signal, whyNot, isAlreadySo }: OrderChange,
): Promise<OrderResource> {
  const { client } = deps;
  const workflowId = orderWorkflowId(orderId);
  const current = () => getOrder(deps, orderId, asking);
  const description = await describe(client, workflowId);
  // An order whose workflow Temporal no longer has is closed.
  if (!description) return unchanged(await current());
  assertOwn(description, `order ${orderId}`, asking.only);
  // The newest run of this execution: it may be reset meanwhile.
  const firstExecutionRunId = description.raw.workflowExecutionInfo?.firstRunId ?? description.runId;
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId });
  try {
    const view = await askWorker(client, { workflowId }, () => update(handle, updateIdOf(asking)));
    return toResource(view, description, asking.only);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal) return unchanged(await current(), kindOf(refusal.type, 'conflict'), refusal.message);
    if (isUpdateLimit(error)) return await withoutUpdate(error);
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return unchanged(await current());
  }

  /** @throws 409 unless there is nothing to change. */
  function unchanged(
    order: OrderResource,
    kind: ProblemKind = 'order-closed',
    why = `order ${orderId} is ${order.status}`,
  ): OrderResource {
    if (isAlreadySo?.(order)) return order;
    throw httpProblem(kind, why, { orderId });
  }

  async function withoutUpdate({ message }: HttpProblem): Promise<OrderResource> {
    const order = await current();
    if (!signal) return unchanged(order, 'update-limit', message);
    const problem = whyNot?.(order);
    if (problem) throw problem;
    await withDeadline(client, SERVER_DEADLINE_MS, () => signal(handle));
    return await current();
  }
}

/**
 * The order as a view plus what the server knows: its customer, also before the stock is reserved, retries that are under
 * way, and an end that the workflow did not see.
 */
export function toResource(view: OrderView, description: WorkflowExecutionDescription, only?: string): OrderResource {
  const heldUp = heldUpBy(description, { withReasons: only === undefined });
  const customerId = ownerOf(description);
  return {
    ...(customerId && { customerId }),
    ...view,
    ...endedByServer(description),
    ...heldUp,
    ...workflowOf(description),
  };
}
