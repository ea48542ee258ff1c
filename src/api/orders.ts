import { isDeepStrictEqual } from 'node:util';
import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowExecutionStatusName,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import proto from '@temporalio/proto';
import { shownMoney, type Money } from '../schemas/money.js';
import {
  orderStatus,
  type CancelRequest,
  type CompensationDecision,
  type DeliveryDecision,
  type OrderInput,
  type OrderResource,
  type OrderStatus,
  type OrderSummary,
  type OrderView,
} from '../schemas/order.js';
import type { Reason } from '../schemas/reason.js';
import type { Store } from '../store/index.js';
import { contentHashOf, type OrderFilter, type OrderPlace, type OrderRecord } from '../store/orders.js';
import type * as workflows from '../workflows/index.js';
import {
  cancelOrderUpdate,
  customerIdAttribute,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
  orderIdOf,
  orderStatusAttribute,
  orderStatusQuery,
  orderWorkflowId,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
} from '../workflows/order/contract.js';
import { updateIdOf, type Asking } from './asking.js';
import { httpProblem, notFound, toProblem } from './errors.js';
import {
  askWorker,
  describe,
  isUpdateLimit,
  readView,
  refusalOf,
  SERVER_DEADLINE_MS,
  withDeadline,
} from './executions.js';
import type { Execution, Page, PageRequest } from './listing.js';
import { describeOwn, ownerOf } from './ownership.js';
import { kindOf } from './problems.js';
import { heldUpBy, workflowOf } from './resources.js';
import { startOnce } from './starting.js';

const RUNNING = proto.temporal.api.enums.v1.WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING;

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
  const { client } = deps;
  const { orderId, customerId, expectedTotal } = input;
  const taken = () => httpProblem('order-id-taken', `order ${orderId} exists with another content`, { orderId });
  const record = await recordOf(deps, orderId);
  if (record) {
    if (!record.contentHash.equals(contentHashOf(input))) throw taken();
    return record.status;
  }
  if (expectedTotal && !(await describe(client, orderWorkflowId(orderId)))) {
    await assertTotal(deps.store, input.lines, expectedTotal);
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

/** The order in the store; undefined when there is none, or when the store is away: Temporal knows open orders, too. */
async function recordOf(
  { store }: Pick<OrderDependencies, 'store'>,
  orderId: string,
): Promise<OrderRecord | undefined> {
  try {
    return await store.findOrder(orderId);
  } catch (error) {
    if (toProblem(error).kind === 'store-unavailable') return undefined;
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
  const prices = lines.map(({ sku }) => products?.get(sku)?.price);
  const [currency, ...others] = new Set(prices.map((price) => price?.currency));
  if (currency === undefined || others.length > 0) return;
  const value = lines.reduce((sum, { quantity }, index) => sum + quantity * prices[index]!.value, 0);
  const total = { value, currency };
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
  deps: OrderDependencies,
  orderId: string,
  { only }: Asking = {},
): Promise<OrderResource> {
  const { client } = deps;
  const [record, description] = await Promise.all([
    recordOf(deps, orderId),
    describe(client, orderWorkflowId(orderId)).catch((error: unknown) => error as Error),
  ]);
  const closed = record?.closed;
  if (description instanceof Error && !closed) throw description;
  const known = description instanceof Error ? undefined : description;
  const owner = record?.customerId ?? (known && ownerOf(known));
  if ((!record && !known) || (only !== undefined && owner !== only)) throw notFound(`there is no order ${orderId}`);
  if (closed && known?.status.name !== 'RUNNING') {
    return { ...closed.view, workflow: { workflowId: orderWorkflowId(orderId), runId: closed.runId } };
  }
  if (!known) return lostOrder(record!);
  const summary = { orderId, ...(owner && { customerId: owner }), status: statusOf(known) };
  const view = await readView<typeof workflows.order>(client, known, orderStatusQuery, {
    order: { ...summary, placedAt: known.startTime.toISOString() },
  });
  return toResource(view, known, only);
}

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
    isAlreadySo: (order) => order.status === 'cancelled',
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
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(resolveCompensationUpdate, { args: [decision], ...updateId }),
    signal: (handle) => handle.signal(resolveCompensationSignal, decision),
  });
}

/** Decides about an overdue delivery. @throws 409 when this attempt of the delivery is not overdue. */
export async function resolveDelivery(
  deps: OrderDependencies,
  orderId: string,
  decision: DeliveryDecision,
  asking: Asking,
): Promise<OrderResource> {
  return await updateOrder(deps, orderId, asking, {
    update: (handle, updateId) => handle.executeUpdate(resolveDeliveryUpdate, { args: [decision], ...updateId }),
    signal: (handle) => handle.signal(resolveDeliverySignal, decision),
  });
}

interface OrderChange {
  update: (handle: WorkflowHandle, updateId: { updateId?: string }) => Promise<OrderView>;
  /** Sends the same to a run that accepts no further updates. */
  signal?: (handle: WorkflowHandle) => Promise<void>;
  /** Whether a closed order is already what the change would make of it. */
  isAlreadySo?: (order: OrderResource) => boolean;
}

async function updateOrder(
  deps: OrderDependencies,
  orderId: string,
  asking: Asking,
  { update, signal, isAlreadySo }: OrderChange,
): Promise<OrderResource> {
  const { client } = deps;
  // An order whose workflow Temporal no longer has is closed.
  if (!(await describe(client, orderWorkflowId(orderId)))) return afterTheEnd(await getOrder(deps, orderId, asking));
  const description = await describeOwn(client, orderWorkflowId(orderId), `order ${orderId}`, asking.only);
  const handle = client.workflow.getHandle(description.workflowId, description.runId);
  try {
    const view = await askWorker(client, description, () => update(handle, updateIdOf(asking)));
    return toResource(view, description, asking.only);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal?.type === 'AlreadyCancelling') return await getOrder(deps, orderId, asking);
    if (refusal) throw httpProblem(kindOf(refusal.type, 'conflict'), refusal.message, { orderId });
    if (isUpdateLimit(error)) {
      if (!signal) throw httpProblem('update-limit', `the run of order ${orderId} accepts no further updates`);
      await withDeadline(client, SERVER_DEADLINE_MS, () => signal(handle));
      return await getOrder(deps, orderId, asking);
    }
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return afterTheEnd(await getOrder(deps, orderId, asking));
  }

  function afterTheEnd(order: OrderResource): OrderResource {
    if (isAlreadySo?.(order)) return order;
    throw httpProblem('order-closed', `order ${orderId} is ${order.status}`, { orderId });
  }
}

/** The order as a view plus what the server knows: retries that are under way, and an end that the workflow did not see. */
export function toResource(view: OrderView, description: WorkflowExecutionDescription, only?: string): OrderResource {
  const heldUp = heldUpBy(description, { withReasons: only === undefined });
  return { ...view, ...endedByServer(description), ...heldUp, ...workflowOf(description) };
}

/** A page of orders from the store, newest first. */
export async function listOrders(
  { client, store }: OrderDependencies,
  filter: OrderFilter,
  { limit, place }: PageRequest,
): Promise<Page<OrderSummary>> {
  const after = place && (JSON.parse(Buffer.from(place).toString()) as OrderPlace);
  const rows = await store.listOrders(filter, { after, limit });
  const ended = await endedByServerAmong(
    client,
    rows.filter(({ record }) => !record.closedAt).map(({ record }) => record.orderId),
  );
  const items = rows
    .map(({ record }) => summaryOf(record, ended.has(record.orderId)))
    .filter(({ status }) => filter.status === undefined || status === filter.status);
  const last = rows.length === limit ? rows.at(-1)?.place : undefined;
  return { items, ...(last && { nextPlace: Buffer.from(JSON.stringify(last)) }) };
}

function summaryOf(record: OrderRecord, isEndedByServer: boolean): OrderSummary {
  const { orderId, customerId, status, total, lines, placedAt, closedAt } = record;
  return {
    orderId,
    customerId,
    status: isEndedByServer ? 'failed' : status,
    ...(total && { total }),
    ...(lines && { lineCount: lines.length }),
    placedAt: placedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}

/**
 * Which of these orders, open in the store, the server ended: no workflow code records that. One call for the page; when
 * Temporal does not answer, the page says what the store knows.
 */
async function endedByServerAmong(client: Client, orderIds: string[]): Promise<Set<string>> {
  if (orderIds.length === 0) return new Set();
  // Ids of our own form need no escaping.
  const ids = orderIds.map((orderId) => `'${orderWorkflowId(orderId)}'`).join(', ');
  const query = `WorkflowId in (${ids}) and ExecutionStatus in ('Running', 'Terminated', 'TimedOut')`;
  const { namespace } = client.options;
  const { executions } = await withDeadline(client, SERVER_DEADLINE_MS, () =>
    client.workflowService.listWorkflowExecutions({ namespace, query, pageSize: 1_000 }),
  ).catch(() => ({ executions: [] }));
  const ended = new Set<string>();
  const running = new Set<string>();
  for (const { execution, status } of executions ?? []) {
    // A reset terminates a run and begins another.
    (status === RUNNING ? running : ended).add(orderIdOf(execution?.workflowId ?? ''));
  }
  return new Set([...ended].filter((orderId) => !running.has(orderId)));
}

/** The status of an order by what Temporal knows without a worker. */
function statusOf({ status, typedSearchAttributes }: Pick<Execution, 'status' | 'typedSearchAttributes'>): OrderStatus {
  const known = orderStatus.catch('processing').parse(typedSearchAttributes.get(orderStatusAttribute));
  return endedByServer({ status })?.status ?? known;
}

/** Ends that workflow code never sees, so that neither query nor Search Attribute tells them. */
const ENDS_BY_SERVER: Partial<Record<WorkflowExecutionStatusName, Reason>> = {
  TERMINATED: { type: 'Terminated', message: 'the workflow was terminated, nothing was compensated' },
  TIMED_OUT: { type: 'TimedOut', message: 'the workflow timed out, nothing was compensated' },
};

function endedByServer({ status }: Pick<Execution, 'status'>) {
  const reason = ENDS_BY_SERVER[status.name];
  return reason && { status: 'failed' as const, stage: 'done' as const, reason };
}
