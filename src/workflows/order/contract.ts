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

/** Calls to the payment gateway: no workflows, so that the gateway's rate limit and workers are its own. */
export const PAYMENT_TASK_QUEUE = 'payments';

export const ORDER_WORKFLOW_TYPE = 'order';

/** Finds all orders in visibility. */
export const ORDERS_QUERY = `WorkflowType = '${ORDER_WORKFLOW_TYPE}'`;

/** How long the carrier may take to pick a parcel up, and then to deliver it, unless the input says otherwise: 14 days. */
export const DEFAULT_DELIVERY_TIMEOUT_SECONDS = 14 * 24 * 60 * 60;

/** After how long a silence the carrier is asked where a parcel is: a day, because parcels are scanned daily. */
export const ASK_CARRIER_AFTER_SECONDS = 24 * 60 * 60;

/** A carrier that does not answer at the end of its time is asked again every hour, for a day. Then an operator decides. */
export const ASK_AGAIN_AFTER_SECONDS = 60 * 60;
export const MAX_UNANSWERED_QUESTIONS = 24;

/**
 * When a stuck compensation is retried: after an hour, then after twice as long each time, up to once a day, for about a
 * year. After that only an operator can retry it. Each retry adds up to 27 events to a history's 51,200 (docs/limits.md).
 */
export const FIRST_RETRY_OF_STUCK_SECONDS = 60 * 60;
export const LONGEST_RETRY_OF_STUCK_SECONDS = 24 * 60 * 60;
export const MAX_RETRIES_OF_STUCK = 365;

const PREFIX = 'order:';

/** The workflow id of an order. One order, one execution: the id is the idempotency key of the start. */
export const orderWorkflowId = (orderId: string): string => `${PREFIX}${orderId}`;

/** The order id in a workflow id. */
export const orderIdOf = (workflowId: string): string =>
  workflowId.startsWith(PREFIX) ? workflowId.slice(PREFIX.length) : workflowId;

/** The carrier reports where a parcel is. Duplicates, late and out-of-order reports change nothing. */
export const shipmentReportedSignal = defineSignal<[ShipmentReport]>('shipmentReported');

export const orderStatusQuery = defineQuery<OrderView>('orderStatus');

/**
 * Cancels the order and compensates what was done. Rejected with `ParcelLeft` once the carrier has the parcel, with
 * `AlreadyCancelling` when the cancellation was requested before, and with `OrderClosed`.
 */
export const cancelOrderUpdate = defineUpdate<OrderView, [CancelRequest]>('cancelOrder');

/**
 * An operator decides about a stuck compensation, by its name and attempt. Rejected with `NotStuck` when that attempt does
 * not wait for a decision. Returns the order after the decision took effect. The signal is for orders whose run accepts no
 * further updates.
 */
export const resolveCompensationUpdate = defineUpdate<OrderView, [CompensationDecision]>('resolveCompensation');
export const resolveCompensationSignal = defineSignal<[CompensationDecision]>('resolveCompensation');

/** An operator decides about an overdue delivery, by its attempt. Rejected with `NotOverdue`. */
export const resolveDeliveryUpdate = defineUpdate<OrderView, [DeliveryDecision]>('resolveDelivery');
export const resolveDeliverySignal = defineSignal<[DeliveryDecision]>('resolveDelivery');

export const orderStatusAttribute = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
export const customerIdAttribute = defineSearchAttributeKey('CustomerId', 'KEYWORD');
