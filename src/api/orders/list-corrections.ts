import type { OrderIdentity } from '../../store/orders/order-row.js';
import type { ListedOrder } from '../../store/orders/orders.js';
import { isOpen, VISIBILITY_LAG_MS } from '../../temporal/client/closed-executions.js';
import type { Execution } from '../../temporal/client/visibility.js';
import { ORDER_WORKFLOW_TYPE, orderIdOf, orderWorkflowId } from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { createTerminationRecorder, correctRows, skipIfUnavailable } from '../temporal/list-corrections.js';
import { statusOf } from './status.js';

export interface OrderCorrections {
  /** Records the orders whose workflow was terminated or timed out since the previous call. */
  recordTerminated: () => Promise<void>;
  /** Corrects rows of the order list, and the store. */
  correct: <Row extends { order: ListedOrder }>(rows: readonly Row[]) => Promise<Row[]>;
}

/**
 * Records in the store that the workflow of an order was terminated or timed out. While Temporal is unavailable, nothing
 * is recorded, and lists show the current content of the store.
 */
export function createOrderCorrections({ client, store }: Backends): OrderCorrections {
  const terminations = createTerminationRecorder<OrderIdentity>(client, {
    workflowType: ORDER_WORKFLOW_TYPE,
    workflowIdOf: ({ orderId }) => orderWorkflowId(orderId),
    filterOpen: (workflowIds) => store.filterOpenOrders(workflowIds.map(orderIdOf)),
    close: (order, closedAt) => store.closeOrderWithoutOutcome(order, closedAt),
  });

  async function correctOrder(order: ListedOrder, execution: Execution | undefined): Promise<ListedOrder> {
    if (execution && isOpen(execution)) {
      if (!order.closedAt) return order;
      const { closedAt: _, ...open } = order;
      const status = statusOf(execution);
      return (await store.reopenOrder(order, status)) ? { ...open, status } : order;
    }
    const isNew = !execution && Date.now() - order.placedAt.getTime() < VISIBILITY_LAG_MS;
    if (order.closedAt || isNew) return order;
    const closedAt = await skipIfUnavailable(() => terminations.recordOne(order));
    return closedAt ? { ...order, status: 'failed', closedAt } : order;
  }

  return {
    async recordTerminated() {
      await skipIfUnavailable(terminations.recordAll);
    },
    correct: (rows) =>
      correctRows(client, rows, {
        // An outcome that the workflow itself recorded is correct.
        workflowOf: ({ order: { isClosedByWorkflow, orderId, placedAt } }) =>
          isClosedByWorkflow ? undefined : { workflowId: orderWorkflowId(orderId), openSince: placedAt },
        correct: async (row, execution) => ({ ...row, order: await correctOrder(row.order, execution) }),
      }),
  };
}
