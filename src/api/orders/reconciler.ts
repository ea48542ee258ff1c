import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import { orderStatus, type OrderStatus } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import type { Store } from '../../store/index.js';
import type { ListedOrder } from '../../store/orders/orders.js';
import type { OrderIdentity } from '../../store/orders/order-row.js';
import {
  ORDER_WORKFLOW_TYPE,
  orderIdOf,
  orderStatusAttribute,
  orderWorkflowId,
} from '../../workflows/order/contract.js';
import {
  findExecutions,
  isTerminatedOrTimedOut,
  VISIBILITY_LAG_MS,
  createTerminationScan,
} from '../executions/closed-executions.js';
import { toProblem } from '../problems/error-mapping.js';
import { describeWorkflow } from '../executions/worker-calls.js';
import type { Execution } from '../executions/listing.js';

/** Ends that workflow code never sees, so that no query, search attribute or store record shows them. */
const FORCED_CLOSE_REASONS: Partial<Record<WorkflowExecutionStatusName, Reason>> = {
  TERMINATED: { type: 'Terminated', message: 'the workflow was terminated, nothing was compensated' },
  TIMED_OUT: { type: 'TimedOut', message: 'the workflow timed out, nothing was compensated' },
};

/** The state of an order whose workflow the server ended; undefined for any other status. */
export function forcedCloseState({ status }: Pick<Execution, 'status'>) {
  const reason = FORCED_CLOSE_REASONS[status.name];
  return reason && { status: 'failed' as const, stage: 'done' as const, reason };
}

/** The status of an order, from what Temporal knows without a worker. */
export function statusOf({
  status,
  typedSearchAttributes,
}: Pick<Execution, 'status' | 'typedSearchAttributes'>): OrderStatus {
  const known = orderStatus.catch('processing').parse(typedSearchAttributes.get(orderStatusAttribute));
  return forcedCloseState({ status })?.status ?? known;
}

export interface OrderReconciler {
  /** Records all ends since the previous call. Lists of failed orders need this, because they filter in the store. */
  recordTerminated: () => Promise<void>;
  /** Compares orders with Temporal, in one call for all, and corrects the store. @returns all orders, corrected. */
  reconcile: (orders: readonly ListedOrder[]) => Promise<ListedOrder[]>;
}

/**
 * Records which orders the server ended, because a terminated workflow cannot record its own end. While Temporal is
 * unavailable, nothing is recorded, and lists show what the store knows.
 */
export function createOrderReconciler({ client, store }: { client: Client; store: Store }): OrderReconciler {
  const watch = createTerminationScan(client, ORDER_WORKFLOW_TYPE);

  /** @returns the time when the server ended the order; undefined if it did not. */
  async function recordIfEnded(order: OrderIdentity): Promise<Date | undefined> {
    const newest = await describeWorkflow(client, orderWorkflowId(order.orderId));
    // A reset also terminates a run, and continues in a new one.
    if (newest && !isTerminatedOrTimedOut(newest)) return undefined;
    const closedAt = newest?.closeTime ?? new Date();
    return (await store.closeOrderWithoutOutcome(order, closedAt)) ? closedAt : undefined;
  }

  async function corrected(order: ListedOrder, execution: Execution | undefined): Promise<ListedOrder> {
    // An outcome that the workflow itself recorded is correct.
    if (order.isClosedByWorkflow) return order;
    if (execution?.status.name === 'RUNNING') {
      if (!order.closedAt) return order;
      const { closedAt: _, ...open } = order;
      const status = statusOf(execution);
      return (await store.reopenOrder(order, status)) ? { ...open, status } : order;
    }
    const isNew = !execution && Date.now() - order.placedAt.getTime() < VISIBILITY_LAG_MS;
    if (order.closedAt || isNew) return order;
    const closedAt = await skipIfUnavailable(() => recordIfEnded(order));
    return closedAt ? { ...order, status: 'failed', closedAt } : order;
  }

  return {
    async recordTerminated() {
      const record = async (workflowIds: string[]) => {
        for (const order of await store.filterOpenOrders(workflowIds.map(orderIdOf))) await recordIfEnded(order);
      };
      await skipIfUnavailable(() => watch(record));
    },

    async reconcile(orders) {
      const uncertain = orders.filter(({ isClosedByWorkflow }) => !isClosedByWorkflow);
      const seen = await skipIfUnavailable(() => findExecutionsByOrderId(client, uncertain));
      if (!seen) return [...orders];
      return await Promise.all(orders.map((order) => corrected(order, seen.get(order.orderId))));
    },
  };
}

/**
 * Runs calls to Temporal. @returns undefined when it is unavailable or overloaded, or has another workflow under the
 * id.
 */
async function skipIfUnavailable<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (toProblem(error).kind === 'internal-error') throw error;
    return undefined;
  }
}

/** Executions by order id: the running one, or else one that the server ended. */
async function findExecutionsByOrderId(
  client: Client,
  orders: readonly ListedOrder[],
): Promise<Map<string, Execution>> {
  const found = new Map<string, Execution>();
  const workflowIds = orders.map(({ orderId }) => orderWorkflowId(orderId));
  for (const execution of await findExecutions(client, workflowIds, ['Running', 'Terminated', 'TimedOut'])) {
    const orderId = orderIdOf(execution.workflowId);
    if (found.get(orderId)?.status.name !== 'RUNNING') found.set(orderId, execution);
  }
  return found;
}
