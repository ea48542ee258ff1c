import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ParentClosePolicy, startChild, WorkflowIdReusePolicy } from '@temporalio/workflow';
import type { CheckoutInput } from '../../schemas/cart.js';
import type { OrderInput, OrderView } from '../../schemas/order.js';
import {
  customerIdAttribute,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TASK_TIMEOUT,
  ORDER_WORKFLOW_TYPE,
  orderStatusAttribute,
  orderWorkflowId,
} from '../order/contract.js';
import { runStoreActivity } from './activities.js';
import type { CartState } from './state.js';

/**
 * Starts the order of the cart. An execution of a cart becomes at most one order. The store keeps the id and the
 * content of that order. After a reset to a point before the checkout, the cart can join that order only with the same
 * content. The order continues after the cart has closed.
 *
 * @returns the order id.
 * @throws `PriceChanged`, `AlreadyOrdered`, `UnknownSku`, `MixedCurrencies`, or `StoreUnavailable`.
 */
export async function checkOut(state: CartState, request: CheckoutInput, deadline: number): Promise<string> {
  const { payment, expectedTotal, customerId = state.settings.customerId ?? state.cartId } = request;
  const order: OrderInput = {
    orderId: state.firstRunId,
    customerId,
    lines: state.content.lines,
    payment,
    ...(expectedTotal && { expectedTotal }),
  };
  await runStoreActivity('Check the total and claim the order', deadline, ({ claimCartOrder }) =>
    claimCartOrder({ cart: state.key, order }),
  );
  await startChild<(input: OrderInput) => Promise<OrderView>>(ORDER_WORKFLOW_TYPE, {
    workflowId: orderWorkflowId(order.orderId),
    taskQueue: ORDER_TASK_QUEUE,
    workflowTaskTimeout: ORDER_WORKFLOW_TASK_TIMEOUT,
    args: [order],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
    typedSearchAttributes: [
      { key: customerIdAttribute, value: customerId },
      { key: orderStatusAttribute, value: 'processing' },
    ],
    staticSummary: `${order.lines.length} line(s) from cart ${state.cartId}`,
  }).catch((error: unknown) => {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  });
  return order.orderId;
}
