import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type {
  CancelRequest,
  CompensationDecision,
  DeliveryDecision,
  OrderView,
  ShipmentReport,
} from '../../schemas/order.js';

export const ORDER_TASK_QUEUE = 'orders';

/**
 * Task queue for calls to the payment gateway. It has no workflows, so that its workers and its rate limit are
 * separate.
 */
export const PAYMENT_TASK_QUEUE = 'payments';

export const ORDER_WORKFLOW_TYPE = 'order';

/**
 * The time after which the server gives a workflow task of a killed worker to another worker. Half of the default,
 * because the history of an order is short and replays in milliseconds.
 */
export const ORDER_WORKFLOW_TASK_TIMEOUT = '5 seconds';

/** Visibility query for all orders. */
export const ORDERS_VISIBILITY_QUERY = `WorkflowType = '${ORDER_WORKFLOW_TYPE}'`;

/** Returns the workflow id of an order. The id makes the start idempotent: each order has one execution. */
export const orderWorkflowId = (orderId: string): string => `order:${orderId}`;

/** Returns the order id that a workflow id contains. */
export const orderIdOf = (workflowId: string): string => workflowId.replace(/^order:/, '');

/** Reports a shipment status to the order. Duplicate, late and out-of-order reports have no effect. */
export const shipmentReportedSignal = defineSignal<[ShipmentReport]>('shipmentReported');

export const orderQuery = defineQuery<OrderView>('order');

/**
 * Cancels and compensates the order. Rejected with `AlreadyPickedUp` once the carrier has the parcel, with
 * `AlreadyCancelling` when a cancellation is already in progress, and with `OrderClosed` when the order has ended or is
 * being rolled back.
 */
export const cancelOrderUpdate = defineUpdate<OrderView, [CancelRequest]>('cancelOrder');

/**
 * Submits an operator's decision about an attempt of a stuck compensation. Returns the order after the decision took
 * effect. Rejected with `CompensationNotStuck` when this attempt does not wait for a decision. The signal is for orders
 * whose run accepts no further updates.
 */
export const resolveCompensationUpdate = defineUpdate<OrderView, [CompensationDecision]>('resolveCompensation');
export const resolveCompensationSignal = defineSignal<[CompensationDecision]>('resolveCompensation');

/**
 * Submits an operator's decision about an attempt of an overdue delivery. Rejected with `DeliveryNotOverdue` when this
 * attempt does not wait for a decision.
 */
export const resolveDeliveryUpdate = defineUpdate<OrderView, [DeliveryDecision]>('resolveDelivery');
export const resolveDeliverySignal = defineSignal<[DeliveryDecision]>('resolveDelivery');

export const orderStatusAttribute = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
export const customerIdAttribute = defineSearchAttributeKey('CustomerId', 'KEYWORD');
