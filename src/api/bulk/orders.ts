import type { BulkResult, OrderBulkAction, OrderBulkRequest } from '../../schemas/bulk.js';
import type { OrderStatus } from '../../schemas/order.js';
import type { Backends } from '../dependencies.js';
import type { RequestContext } from '../http/request-context.js';
import { cancelOrder, resolveCompensation } from '../orders/commands.js';
import { orderFilterOf } from '../orders/list.js';
import { getOrder } from '../orders/read.js';
import { httpProblem } from '../problems/http-problem.js';
import { runBulk, selectFirst, selectIds, type BulkOptions } from './run.js';

/** The status of the orders to which an action applies. */
const STATUS_BY_ACTION = {
  cancel: 'processing',
  retry_compensations: 'compensation_stuck',
} as const satisfies Record<OrderBulkAction, OrderStatus>;

/**
 * Cancels many orders, or retries their stuck compensations. With an operation id, a repeated call has no further effect
 * on an order.
 */
export async function changeManyOrders(
  deps: Backends,
  { action, filter, orderIds, limit, dryRun, reason }: OrderBulkRequest,
  { log, stop, onItem, ...context }: RequestContext & BulkOptions,
): Promise<BulkResult> {
  const selection = orderIds ? selectIds(orderIds) : await selectFirst(limit, readIds);
  return await runBulk(selection, {
    dryRun,
    action,
    idField: 'orderId',
    log,
    stop,
    onItem,
    apply: (orderId) =>
      action === 'cancel'
        ? cancelOrder(deps, orderId, reason === undefined ? {} : { reason }, context)
        : retryCompensations(deps, orderId, context),
  });

  async function readIds(limit: number): Promise<string[]> {
    const orders = await deps.store.listOrders(orderFilterOf({ ...filter, status: STATUS_BY_ACTION[action] }), {
      limit,
    });
    return orders.map(({ order }) => order.orderId);
  }
}

/** Retries the stuck compensations of an order. @throws 409 when no compensation is stuck. */
async function retryCompensations(deps: Backends, orderId: string, context: RequestContext): Promise<void> {
  const { compensations } = await getOrder(deps, orderId, context);
  const stuck = compensations.filter(({ status }) => status === 'stuck');
  if (stuck.length === 0)
    throw httpProblem('compensation-not-stuck', `no compensation of order ${orderId} is stuck`, { orderId });
  const { operationId } = context;
  for (const { name, attempt } of stuck) {
    const decision = { compensation: name, attempt, action: 'retry' } as const;
    await resolveCompensation(deps, orderId, decision, {
      ...context,
      ...(operationId !== undefined && { operationId: `${operationId}-${name}` }),
    });
  }
}
