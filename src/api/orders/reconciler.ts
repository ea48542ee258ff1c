import type { Client } from '@temporalio/client';
import type { ListedOrder } from '../../store/orders/orders.js';
import type { OrderIdentity } from '../../store/orders/order-row.js';
import {
  createTerminationScan,
  findExecutions,
  isTerminatedOrTimedOut,
  VISIBILITY_LAG_MS,
} from '../../temporal/client/closed-executions.js';
import type { Execution } from '../../temporal/client/visibility.js';
import { ORDER_WORKFLOW_TYPE, orderIdOf, orderWorkflowId } from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { toProblem } from '../problems/error-mapping.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { statusOf } from './status.js';

export interface OrderReconciler {
  /**
   * Records the orders that the server ended since the previous call. Lists of failed orders need this, because they
   * filter in the store.
   */
  recordTerminated: () => Promise<void>;
  /** Compares orders with Temporal, in one call for all, and corrects the store. @returns all orders as corrected. */
  reconcile: (orders: readonly ListedOrder[]) => Promise<ListedOrder[]>;
}

/**
 * Records which orders the server ended, because a terminated workflow cannot record its own end. While Temporal is
 * unavailable, nothing is recorded, and lists show what the store knows.
 */
export function createOrderReconciler({ client, store }: Backends): OrderReconciler {
  const scanTerminated = createTerminationScan(client, ORDER_WORKFLOW_TYPE);

  /** @returns the time when the server ended the order; undefined if it did not. */
  async function recordIfTerminated(order: OrderIdentity): Promise<Date | undefined> {
    const newest = await describeWorkflow(client, { workflowId: orderWorkflowId(order.orderId) });
    // A reset also terminates a run, and continues in a new one.
    if (newest && !isTerminatedOrTimedOut(newest)) return undefined;
    const closedAt = newest?.closeTime ?? new Date();
    return (await store.closeOrderWithoutOutcome(order, closedAt)) ? closedAt : undefined;
  }

  async function correctOrder(order: ListedOrder, execution: Execution | undefined): Promise<ListedOrder> {
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
    const closedAt = await skipIfUnavailable(() => recordIfTerminated(order));
    return closedAt ? { ...order, status: 'failed', closedAt } : order;
  }

  return {
    async recordTerminated() {
      const record = async (workflowIds: string[]) => {
        for (const order of await store.filterOpenOrders(workflowIds.map(orderIdOf))) await recordIfTerminated(order);
      };
      await skipIfUnavailable(() => scanTerminated(record));
    },

    async reconcile(orders) {
      const uncertain = orders.filter(({ isClosedByWorkflow }) => !isClosedByWorkflow);
      const executions = await skipIfUnavailable(() => findExecutionsByOrderId(client, uncertain));
      if (!executions) return [...orders];
      return await Promise.all(orders.map((order) => correctOrder(order, executions.get(order.orderId))));
    },
  };
}

/**
 * Runs calls to Temporal.
 *
 * @returns undefined when Temporal is unavailable or overloaded, or when a workflow of another type has the id.
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
