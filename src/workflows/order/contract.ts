import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { CancelRequest, CompensationDecision, OrderView, ShipmentReport } from '../../schemas/order.js';

export const ORDER_TASK_QUEUE = 'orders';

/** The calls to the payment gateway: no workflows, so that its rate limit and its workers are its own. */
export const PAYMENT_TASK_QUEUE = 'payments';

/**
 * The workflow types of orders, the newest first. New orders are started as that one; the others are what orders are
 * that were open when it came, and go when there are none of them left.
 */
export const ORDER_WORKFLOW_TYPES = ['orderV2', 'order'] as const;
export const [NEWEST_ORDER_WORKFLOW_TYPE] = ORDER_WORKFLOW_TYPES;

/** Finds all orders in visibility. */
export const ORDERS_QUERY = `WorkflowType in (${ORDER_WORKFLOW_TYPES.map((type) => `'${type}'`).join(', ')})`;

export type OrderWorkflowType = (typeof ORDER_WORKFLOW_TYPES)[number];

/** How long the carrier may take when the input does not say: 14 days. */
export const DEFAULT_DELIVERY_TIMEOUT_SECONDS = 14 * 24 * 60 * 60;

/** How long nothing is heard of a parcel before the carrier is asked where it is: a day, as parcels are scanned daily. */
export const ASK_CARRIER_AFTER_SECONDS = 24 * 60 * 60;

/**
 * When a stuck compensation is tried again by itself: after an hour, then after twice as long each time, at last once a
 * day, for about a year; then only an operator can help. An outage over a weekend heals within a day of its end. Every try
 * costs some 15 events of a history's 51,200 (docs/limits.md).
 */
export const FIRST_RETRY_OF_STUCK_SECONDS = 60 * 60;
export const LONGEST_RETRY_OF_STUCK_SECONDS = 24 * 60 * 60;
export const MAX_RETRIES_OF_STUCK = 365;

/** The workflow id of an order. One order, one execution: the id is the idempotency key of the start. */
export const orderWorkflowId = (orderId: string): string => `order:${orderId}`;

/** The order id in a workflow id. */
export const orderIdOf = (workflowId: string): string => workflowId.replace(/^order:/, '');

/** The carrier says where the parcel is. Duplicates, late and out-of-order reports change nothing. */
export const shipmentReportedSignal = defineSignal<[ShipmentReport]>('shipmentReported');

export const orderStatusQuery = defineQuery<OrderView>('orderStatus');

/** Cancels the order and undoes what was done. Refused with `ParcelLeft` once the carrier has the parcel. */
export const cancelOrderUpdate = defineUpdate<OrderView, [CancelRequest]>('cancelOrder');

/** An operator's word on a stuck compensation, which counts at once. Refused with `NotStuck` when none is. */
export const resolveCompensationUpdate = defineUpdate<OrderView, [CompensationDecision]>('resolveCompensation');

export const orderStatusAttribute = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
export const customerIdAttribute = defineSearchAttributeKey('CustomerId', 'KEYWORD');
