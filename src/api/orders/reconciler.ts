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
   * Records the orders whose workflow was terminated or timed out since the previous call. A list of failed orders
   * needs this, because the store filters by status.
   */
  recordTerminated: () => Promise<void>;
  /**
   * Compares all orders with Temporal in one call, and corrects the store. @returns all orders with their corrected
   * status.
   */
  reconcile: (orders: readonly ListedOrder[]) => Promise<ListedOrder[]>;
}

/**
 * Records in the store that the workflow of an order was terminated or timed out. Such a workflow cannot update the
 * store itself. While Temporal is unavailable, nothing is recorded, and lists show the current content of the store.
 */
export function createOrderReconciler({ client, store }: Backends): OrderReconciler {
  const scanTerminated = createTerminationScan(client, ORDER_WORKFLOW_TYPE);

  /** @returns the time when the workflow was terminated or timed out; undefined for every other order. */
  async function recordIfTerminated(order: OrderIdentity): Promise<Date | undefined> {
    const newest = await describeWorkflow(client, { workflowId: orderWorkflowId(order.orderId) });
    // A reset also terminates a run, but continues the workflow in a new run.
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

/** Returns one execution per order id: the running execution, or otherwise a terminated or timed-out execution. */
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
