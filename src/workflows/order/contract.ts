import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { CancelRequest, CompensationDecision, OrderView, ShipmentReport } from '../../schemas/order.js';

export const ORDER_TASK_QUEUE = 'orders';

/** The calls to the payment gateway: no workflows, so that its rate limit and its workers are its own. */
export const PAYMENT_TASK_QUEUE = 'payments';

/** How long the carrier may take when the input does not say: 14 days. */
export const DEFAULT_DELIVERY_TIMEOUT_SECONDS = 14 * 24 * 60 * 60;

/** The workflow id of an order. One order, one execution: the id is the idempotency key of the start. */
export const orderWorkflowId = (orderId: string): string => `order:${orderId}`;

/** The order id in a workflow id. */
export const orderIdOf = (workflowId: string): string => workflowId.replace(/^order:/, '');

/** The carrier says where the parcel is. Duplicates, late and out-of-order reports change nothing. */
export const shipmentReportedSignal = defineSignal<[ShipmentReport]>('shipmentReported');

export const orderStatusQuery = defineQuery<OrderView>('orderStatus');

/** Cancels the order and undoes what was done. Refused with `ParcelLeft` once the carrier has the parcel. */
export const cancelOrderUpdate = defineUpdate<OrderView, [CancelRequest]>('cancelOrder');

/** An operator's word on a stuck compensation. Refused with `NotStuck` when none is. */
export const resolveCompensationUpdate = defineUpdate<OrderView, [CompensationDecision]>('resolveCompensation');

export const orderStatusAttribute = defineSearchAttributeKey('OrderStatus', 'KEYWORD');
export const customerIdAttribute = defineSearchAttributeKey('CustomerId', 'KEYWORD');
