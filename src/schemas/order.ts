import { z } from 'zod';
import { approvalStatus } from './approval.js';
import { execution, retrying, waiting } from './shared/execution.js';
import { money } from './shared/money.js';
import { pageOf, pageQuery } from './shared/page.js';
import { reason } from './shared/reason.js';
import { callerId, businessId, sku, text, time, durationSeconds } from './shared/primitives.js';

/**
 * An order has at most 100 lines of at most 1,000 units each. So it is far below the payload limit, and its total is an
 * exact integer.
 */
export const MAX_ORDER_LINES = 100;
export const MAX_LINE_QUANTITY = 1_000;

/** 365 days. */
const seconds = durationSeconds(365 * 24 * 60 * 60);

export const orderId = businessId.meta({ description: 'The id of an order.', examples: ['order-1001'] });
export const customerId = callerId.meta({ description: 'The customer.', examples: ['ada'] });

export const orderLine = z
  .strictObject({ sku, quantity: z.int().min(1).max(MAX_LINE_QUANTITY) })
  .meta({ id: 'OrderLine', description: 'A product and its quantity.' });

export const payment = z
  .strictObject({
    token: text(200).meta({ description: 'The card token from the payment gateway.', examples: ['tok_ok'] }),
  })
  .meta({ id: 'Payment', description: 'The payment method.' });

export const orderRequest = z
  .strictObject({
    orderId: orderId
      .optional()
      .describe('A repeated request with the same id and content returns the existing order. Defaults to a new id.'),
    customerId,
    lines: z.array(orderLine).min(1).max(MAX_ORDER_LINES),
    payment,
    approvalTimeoutSeconds: seconds
      .optional()
      .describe('Time limit of each approval stage, if the order needs an approval. At most the configured limit.'),
    expectedTotal: money
      .optional()
      .describe('The total that the customer saw. If the actual total differs, nothing is reserved or charged.'),
  })
  .meta({
    id: 'OrderRequest',
    description: 'A new order. The catalogue sets the prices.',
  });

/** The input of the order workflow: the request with its order id, and the time limit for the delivery. */
export const orderInput = orderRequest.extend({ orderId: businessId, deliveryTimeoutSeconds: seconds.optional() });

export const shipmentId = text(100).meta({
  description: 'The id of a parcel, assigned by the carrier.',
  examples: ['ship-1001'],
});

/** The status of a parcel at the carrier. `delivered`, `lost` and `cancelled` (by the carrier) are final. */
export const shipmentStatus = z.enum(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled']);

/** A carrier report in the form that the order workflow receives. */
export const shipmentReport = z.object({ orderId, shipmentId, status: shipmentStatus });

/** How often the step has become stuck, counted from 1. An operator's decision contains this number. */
const attempt = z.int().min(1);

export const compensationDecision = z
  .strictObject({
    compensation: z
      .string()
      .max(100)
      .meta({ examples: ['refundPayment'] }),
    attempt: attempt.describe('The `attempt` of the compensation to which this decision applies.'),
    action: z.enum(['retry', 'skip']),
  })
  .meta({ id: 'CompensationDecision', description: 'The decision of an operator about a stuck compensation.' });

export const deliveryDecision = z
  .strictObject({
    attempt: attempt.describe('The `delivery.attempt` of the order to which this decision applies.'),
    action: z
      .enum(['wait', 'write_off', 'delivered'])
      .describe(
        '`wait`: the carrier gets more time. `write_off`: the parcel is lost and the customer gets a refund. `delivered`: the customer has received the parcel.',
      ),
    extendBySeconds: seconds
      .optional()
      .describe('The extra time for `wait`. Defaults to the delivery timeout of the order.'),
  })
  .meta({ id: 'DeliveryDecision', description: 'The decision of an operator about an overdue delivery.' });

export const cancelRequest = z
  .strictObject({ reason: text(500).optional() })
  .meta({ id: 'CancelRequest', description: 'The reason why an order is cancelled.' });

/** The status is also the search attribute `OrderStatus`. */
export const orderStatus = z
  .enum(['processing', 'compensation_stuck', 'delivery_overdue', 'completed', 'rejected', 'cancelled', 'failed'])
  .meta({
    id: 'OrderStatus',
    description:
      'The status of an order. `processing`, `compensation_stuck` and `delivery_overdue` are open; the other statuses are final. `compensation_stuck` waits for an operator or the next retry. `delivery_overdue` waits for an operator or a report of the carrier.',
  });

export const orderStage = z
  .enum([
    'reserving_stock',
    'awaiting_approval',
    'charging_payment',
    'requesting_shipment',
    'awaiting_pickup',
    'in_transit',
    'compensating',
    'done',
  ])
  .meta({ id: 'OrderStage', description: 'The current stage of an open order, or `done` for a closed order.' });

export const stepStatus = z.enum(['started', 'completed', 'failed', 'cancelled']);

export const compensationStatus = z
  .enum(['started', 'completed', 'stuck', 'skipped', 'rejected'])
  .describe(
    '`stuck`: the compensation waits for an operator or for its next retry. `rejected`: the step can no longer be compensated.',
  );

const timelineEntry = <T extends z.ZodType>(status: T) =>
  z.object({
    name: z.string(),
    status,
    startedAt: time,
    endedAt: time.optional(),
    reason: reason.optional(),
  });

const step = timelineEntry(stepStatus).meta({ id: 'OrderStep', description: 'A step of an order.' });
const compensation = timelineEntry(compensationStatus)
  .extend({
    attempt: attempt.describe(
      'The number of times that the compensation ran. A decision about a stuck compensation must contain this number.',
    ),
    nextAttemptAt: time.optional().describe('When a stuck compensation is retried unless an operator decides earlier.'),
  })
  .meta({ id: 'OrderCompensation', description: 'The compensation of a step.' });

const pricedLine = z
  .object({ sku: z.string(), name: z.string(), quantity: z.int(), unitPrice: money })
  .meta({ id: 'PricedLine', description: 'A line of an order with its fixed price.' });

/** The result of the `order` query and of the workflow. Also returned over HTTP. */
export const orderView = z.object({
  orderId: z.string(),
  customerId: z.string().optional(),
  status: orderStatus,
  stage: orderStage,
  lines: z.array(pricedLine).optional(),
  total: money.optional(),
  approval: z
    .object({ approvalId: z.string(), status: approvalStatus })
    .optional()
    .describe('The approval that the order needs.'),
  shipment: z.object({ shipmentId: z.string(), status: z.enum(['requested', ...shipmentStatus.options]) }).optional(),
  delivery: z
    .object({
      dueAt: time.describe('When the order queries the carrier for the last time.'),
      attempt: attempt
        .optional()
        .describe('The number of times that the delivery became overdue. A decision must contain this number.'),
      overdueSince: time
        .optional()
        .describe('When the delivery became overdue. Since then the order waits for an operator.'),
    })
    .optional()
    .describe('The deadline of the delivery.'),
  ignoredReportCount: z
    .int()
    .optional()
    .describe('The number of carrier reports that were ignored because they name another parcel.'),
  cancellation: z
    .object({
      requestedAt: time,
      reason: z.string().optional(),
      rejected: z.boolean().optional().describe('Whether the cancellation was requested too late.'),
    })
    .optional(),
  reason: reason.optional().describe('Why the order was not completed.'),
  steps: z.array(step),
  compensations: z.array(compensation),
});

export const orderResource = orderView
  .extend({
    retrying: retrying.optional(),
    waiting: waiting.optional(),
    rolledBackAt: time
      .optional()
      .describe('When the reconciliation rolled the order back, because its workflow had ended without an outcome.'),
    workflow: execution,
  })
  .meta({
    id: 'Order',
    description: 'An order with its progress, its pending retries and its workflow execution.',
  });

export const orderAccepted = z
  .object({ orderId: z.string(), status: orderStatus })
  .meta({ id: 'OrderAccepted', description: 'The order was accepted. The `location` header is the URL of the order.' });

export const orderSummary = z
  .object({
    orderId: z.string(),
    customerId: z.string().optional(),
    status: orderStatus,
    total: money.optional(),
    lineCount: z.int().optional().describe('Number of lines.'),
    placedAt: time,
    closedAt: time.optional(),
  })
  .meta({ id: 'OrderSummary', description: 'An order in a list.' });

export const orderListQuery = pageQuery.extend({
  status: orderStatus.optional(),
  customerId: customerId.optional(),
  orderIdPrefix: orderId
    .optional()
    .meta({ description: 'Only orders whose id starts with this text.', examples: ['order-10'] }),
  placedFrom: time.optional().describe('Only orders placed at this time or later.'),
  placedBefore: time.optional().describe('Only orders placed before this time.'),
});

export const orderList = pageOf(orderSummary).meta({
  id: 'OrderList',
  description: 'A page of orders, newest first. A new order appears once a worker has reserved its stock.',
});

export type OrderLine = z.infer<typeof orderLine>;
export type OrderInput = z.infer<typeof orderInput>;
export type ShipmentReport = z.infer<typeof shipmentReport>;
export type CompensationDecision = z.infer<typeof compensationDecision>;
export type DeliveryDecision = z.infer<typeof deliveryDecision>;
export type CancelRequest = z.infer<typeof cancelRequest>;
export type OrderStatus = z.infer<typeof orderStatus>;
export type OrderStage = z.infer<typeof orderStage>;
export type OrderView = z.infer<typeof orderView>;
export type PricedLine = NonNullable<OrderView['lines']>[number];
export type OrderResource = z.infer<typeof orderResource>;
export type OrderListQuery = z.infer<typeof orderListQuery>;
export type OrderList = z.infer<typeof orderList>;
export type OrderSummary = z.infer<typeof orderSummary>;
