import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import { approvalIdOfOrder } from '../schemas/approval.js';
import { reconcileInput } from '../schemas/reconciliation.js';
import type { Store } from '../store/index.js';
import type { OrderIdentity } from '../store/orders/order-row.js';
import type { OrderPosition } from '../store/orders/orders.js';
import type { HandClosing, UnreconciledOrder } from '../store/orders/reconciliation.js';
import { describeExecution } from '../temporal/client/describe-execution.js';
import { findRunningWorkflows } from '../temporal/client/running-workflows.js';
import { approvalWorkflowId } from '../workflows/approval/contract.js';
import { orderWorkflowId } from '../workflows/order/contract.js';
import { clientsOfShop } from './approval-namespace.js';
import { withHeartbeat } from './external/heartbeat.js';
import { invalidInputFailure, parseInput } from './failures.js';

/** The number of orders that one visibility query compares. */
const PAGE_SIZE = 100;

/** A call ends after this number of pages or ended orders, so that it is short and its result is small. */
const MAX_PAGES = 50;
const MAX_ENDED_ORDERS = 100;

/** An order whose workflow has ended without recording an outcome. */
export interface EndedOrder extends OrderIdentity {
  /** The status of the workflow in lower case, or `missing`. */
  workflow: string;
}

export interface EndedOrdersRequest {
  /** The input of the workflow. */
  input: unknown;
  /** Whether to check the orders that are in the list for a person, or the other ones. */
  isForPerson: boolean;
  after?: OrderPosition;
}

export interface EndedOrdersPage {
  orders: EndedOrder[];
  comparedCount: number;
  /** Where the next call continues. Missing after the last order. */
  next?: OrderPosition;
}

export interface ReconciliationSettings {
  store: Store;
  /** An order is left alone until its workflow has been closed for this time, so that an operator can reset it. */
  reconcileAfterMinutes: number;
  approvalNamespace?: string | undefined;
}

export function createReconciliationActivities({
  store,
  reconcileAfterMinutes,
  approvalNamespace,
}: ReconciliationSettings) {
  const closedBefore = () => new Date(Date.now() - reconcileAfterMinutes * 60_000);

  /**
   * Checks the workflow of an order. The description decides, because visibility lags.
   *
   * @returns the ended order; undefined if its workflow is open or closed only recently.
   */
  async function checkOrder({ orderId, firstRunId }: OrderIdentity): Promise<EndedOrder | undefined> {
    const execution = await describeExecution(Context.current().client, { workflowId: orderWorkflowId(orderId) });
    if (!execution) return { orderId, firstRunId, workflow: 'missing' };
    const { status, closeTime } = execution;
    if (!closeTime || closeTime > closedBefore()) return undefined;
    return { orderId, firstRunId, workflow: status.name.toLowerCase() };
  }

  return {
    /**
     * Finds orders whose workflow has ended without recording an outcome: it was terminated, timed out or deleted.
     * Orders that changed recently are skipped, unless they are in the list for a person. Removes orders from that list
     * whose workflow was reset and runs again. @throws `InvalidInput`.
     */
    async findEndedOrders({ input, isForPerson, after }: EndedOrdersRequest): Promise<EndedOrdersPage> {
      const isDryRun = parseInput(reconcileInput, input)?.dryRun;
      const { client } = Context.current();
      const unchangedSince = isForPerson ? undefined : closedBefore();
      const found: EndedOrder[] = [];
      let comparedCount = 0;
      let position = after;
      return await withHeartbeat(async (cancellation) => {
        for (let pages = 1; ; pages += 1) {
          cancellation.throwIfAborted();
          const page = { after: position, unchangedSince, isForPerson, limit: PAGE_SIZE };
          const orders = await store.listOrdersWithoutOutcome(page);
          const running = await findRunningWorkflows(
            client,
            orders.map(({ orderId }) => orderWorkflowId(orderId)),
          );
          const isRunning = ({ orderId }: OrderIdentity) => running.has(orderWorkflowId(orderId));
          for (const order of orders) {
            const ended = isRunning(order) ? undefined : await checkOrder(order);
            if (ended) found.push(ended);
          }
          if (isForPerson && !isDryRun)
            await store.removeUnreconciledOrders(orders.filter(isRunning).map(({ orderId }) => orderId));
          comparedCount += orders.length;
          position = orders.at(-1)?.position;
          if (orders.length < PAGE_SIZE || !position) return { orders: found, comparedCount };
          if (pages >= MAX_PAGES || found.length >= MAX_ENDED_ORDERS)
            return { orders: found, comparedCount, next: position };
        }
      });
    },

    /**
     * Finds an order that an operator closes. @throws `InvalidInput`, also if the order does not exist, has an outcome, or
     * if its workflow is open.
     */
    async findOrderToClose({ input }: { input: unknown }): Promise<EndedOrder> {
      const { orderId } = parseInput(reconcileInput, input)?.close ?? {};
      const order = orderId === undefined ? undefined : await store.findOrder(orderId);
      const invalid = (detail: string) => invalidInputFailure([{ pointer: '/close/orderId', detail }]);
      if (!order) throw invalid('must be the id of an order in the database');
      if (order.outcome || order.rolledBackAt) throw invalid(`the order is already closed as ${order.status}`);
      const ended = await checkOrder(order);
      if (!ended) throw invalid('the workflow of the order is open, or has just been closed');
      return ended;
    },

    /** Records the outcome that an operator chose. @returns false when the order is closed or holds no stock. */
    async recordClosing({ order, closing }: { order: OrderIdentity; closing: HandClosing }): Promise<boolean> {
      return await store.closeOrderByHand(order, closing);
    },

    /** Checks again whether the workflow of an order has ended, because an operator can reset it at any time. */
    async hasOrderEnded(order: OrderIdentity): Promise<boolean> {
      return (await checkOrder(order)) !== undefined;
    },

    /** Requests the cancellation of the approval of an order. Does nothing if no approval is open. */
    async withdrawOrderApproval({ orderId }: { orderId: string }): Promise<void> {
      const workflowId = approvalWorkflowId(approvalIdOfOrder(orderId));
      for (const { workflow } of clientsOfShop(approvalNamespace)) {
        try {
          await workflow.getHandle(workflowId).cancel();
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
        }
      }
    },

    /** Releases the stock of an order whose workflow has ended, and records that the order was rolled back. */
    async recordRollback(order: OrderIdentity): Promise<void> {
      await store.rollBackOrder(order);
    },

    /** Updates the list of orders about which a person must decide. */
    async recordUnreconciledOrders(orders: UnreconciledOrder[]): Promise<void> {
      await store.recordUnreconciledOrders(orders);
    },
  };
}
