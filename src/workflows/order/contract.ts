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
 * Task queue of the calls to the payment gateway. Runs no workflows, so that its rate limit and workers are separate.
 */
export const PAYMENT_TASK_QUEUE = 'payments';

export const ORDER_WORKFLOW_TYPE = 'order';

/** Visibility query for all orders. */
export const ORDERS_VISIBILITY_QUERY = `WorkflowType = '${ORDER_WORKFLOW_TYPE}'`;

/** Default time limit for the carrier to pick a parcel up, and again to deliver it: 14 days. */
export const DEFAULT_DELIVERY_TIMEOUT_SECONDS = 14 * 24 * 60 * 60;

/** Polls the carrier after a day without reports, because parcels are scanned daily. */
export const CARRIER_POLL_INTERVAL_SECONDS = 24 * 60 * 60;

/**
 * If the carrier does not respond when a delivery is due, it is polled every hour for a day. Then an operator decides.
 */
export const CARRIER_POLL_RETRY_SECONDS = 60 * 60;
export const MAX_UNANSWERED_POLLS = 24;

/**
 * Delays between retries of a stuck compensation: an hour, doubled each time, up to a day, for about a year. After that
 * only an operator can retry it. Each retry adds up to 27 events to a history's limit of 51,200 (docs/limits.md).
 */
export const STUCK_RETRY_INITIAL_SECONDS = 60 * 60;
export const STUCK_RETRY_MAXIMUM_SECONDS = 24 * 60 * 60;
export const MAX_STUCK_RETRIES = 365;

const PREFIX = 'order:';

/** The workflow id of an order. The id is the idempotency key of the start: one order, one execution. */
export const orderWorkflowId = (orderId: string): string => `${PREFIX}${orderId}`;

/** The order id in a workflow id. */
export const orderIdOf = (workflowId: string): string =>
  workflowId.startsWith(PREFIX) ? workflowId.slice(PREFIX.length) : workflowId;

/** A status report from the carrier. Duplicates, late and out-of-order reports have no effect. */
export const shipmentReportedSignal = defineSignal<[ShipmentReport]>('shipmentReported');

export const orderQuery = defineQuery<OrderView>('order');

/**
 * Cancels and compensates the order. Rejected with `AlreadyPickedUp` once the carrier has the parcel, with
 * `AlreadyCancelling` when a cancellation is already in progress, and with `OrderClosed`.
 */
export const cancelOrderUpdate = defineUpdate<OrderView, [CancelRequest]>('cancelOrder');

/**
 * An operator's decision about a stuck compensation, by its name and attempt. Rejected with `CompensationNotStuck` when that
 * attempt does not wait for a decision. Returns the order after the decision took effect. The signal is for orders
 * whose run accepts no further updates.
 */
export const resolveCompensationUpdate = defineUpdate<OrderView, [CompensationDecision]>('resolveCompensation');
export const resolveCompensationSignal = defineSignal<[CompensationDecision]>('resolveCompensation');

/** An operator's decision about an overdue delivery, by its attempt. Rejected with `DeliveryNotOverdue`. */
export const resolveDeliveryUpdate = defineUpdate<OrderView, [DeliveryDecision]>('resolveDelivery');
export const resolveDeliverySignal = defineSignal<[DeliveryDecision]>('resolveDelivery');

export const orderStatusAttribute = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
export const customerIdAttribute = defineSearchAttributeKey('CustomerId', 'KEYWORD');
