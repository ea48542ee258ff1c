import { z } from 'zod';
import { approvalStatus } from './approval.js';
import { money } from './money.js';
import { reason, retrying } from './reason.js';
import { id, sku, text } from './text.js';

/** At most 100 lines of at most 1,000 pieces: far below a payload limit, and a total that stays an exact integer. */
export const MAX_ORDER_LINES = 100;
export const MAX_LINE_QUANTITY = 1_000;

export const orderLine = z.strictObject({
  sku,
  quantity: z.int().min(1).max(MAX_LINE_QUANTITY),
});

/** What a client may say of an order. Prices are not in it: the catalogue sets them. */
export const orderRequest = z.strictObject({
  orderId: id.optional(),
  customerId: id,
  lines: z.array(orderLine).min(1).max(MAX_ORDER_LINES),
  payment: z.strictObject({ token: text(200) }),
  /** How long each stage of approvers may take, if the order needs an approval; at most what the shop configured. */
  approvalTimeoutSeconds: z.int().min(1).max(31_536_000).optional(),
});

/** The input of the `order` workflow: the request with its id, and how long the carrier may take. */
export const orderInput = orderRequest.extend({
  orderId: id,
  deliveryTimeoutSeconds: z.int().min(1).max(31_536_000).optional(),
});

/** What the carrier reports of a parcel. */
export const shipmentReport = z.strictObject({
  orderId: id,
  shipmentId: text(100),
  status: z.enum(['accepted', 'in_transit', 'delivered', 'lost']),
});

/** What an operator decides about a compensation that is stuck. */
export const compensationDecision = z.strictObject({
  action: z.enum(['retry', 'skip']),
});

export const cancelRequest = z.strictObject({ reason: text(500).optional() });

/**
 * Where an order stands, also as the Search Attribute `OrderStatus`. The first two are open (`compensation_stuck` waits
 * for an operator), the others are final.
 */
export const orderStatus = z.enum(['processing', 'compensation_stuck', 'completed', 'rejected', 'cancelled', 'failed']);

/** What an open order is busy with; `done` when it is closed. */
export const orderStage = z.enum([
  'quoting',
  'reserving_stock',
  'awaiting_approval',
  'charging_payment',
  'requesting_shipment',
  'awaiting_pickup',
  'in_transit',
  'compensating',
  'done',
]);

export const stepStatus = z.enum(['started', 'completed', 'failed', 'cancelled']);

/** `stuck` waits for an operator; `refused` means that the step can no longer be undone. */
export const compensationStatus = z.enum(['started', 'completed', 'stuck', 'skipped', 'refused']);

const timelineEntry = <T extends z.ZodType>(status: T) =>
  z.object({
    name: z.string(),
    status,
    startedAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
    reason: reason.optional(),
  });

/** What is told of an order: by the `orderStatus` query, as the workflow's result, and over HTTP. */
export const orderView = z.object({
  orderId: z.string(),
  customerId: z.string().optional(),
  status: orderStatus,
  stage: orderStage,
  lines: z.array(z.object({ sku: z.string(), name: z.string(), quantity: z.int(), unitPrice: money })).optional(),
  total: money.optional(),
  approval: z.object({ approvalId: z.string(), status: approvalStatus }).optional(),
  shipment: z
    .object({ shipmentId: z.string(), status: z.enum(['requested', 'accepted', 'in_transit', 'delivered', 'lost']) })
    .optional(),
  cancellation: z
    .object({ requestedAt: z.iso.datetime(), reason: z.string().optional(), refused: z.boolean().optional() })
    .optional(),
  reason: reason.optional(),
  steps: z.array(timelineEntry(stepStatus)),
  compensations: z.array(timelineEntry(compensationStatus)),
});

/** An order over HTTP: its view, what is being retried just now, and the execution behind it. */
export const orderResource = orderView.extend({
  retrying: retrying.optional(),
  workflow: z.object({ workflowId: z.string(), runId: z.string() }),
});

/** An order in a list: what the server's visibility knows of it. */
export const orderSummary = z.object({
  orderId: z.string(),
  customerId: z.string().optional(),
  status: orderStatus,
  startedAt: z.iso.datetime(),
  closedAt: z.iso.datetime().optional(),
});

export type OrderLine = z.infer<typeof orderLine>;
export type OrderInput = z.infer<typeof orderInput>;
export type ShipmentReport = z.infer<typeof shipmentReport>;
export type CompensationDecision = z.infer<typeof compensationDecision>;
export type CancelRequest = z.infer<typeof cancelRequest>;
export type OrderStatus = z.infer<typeof orderStatus>;
export type OrderStage = z.infer<typeof orderStage>;
export type StepStatus = z.infer<typeof stepStatus>;
export type TimelineEntry<Status extends string> = Omit<OrderView['steps'][number], 'status'> & { status: Status };
export type OrderView = z.infer<typeof orderView>;
export type PricedLine = NonNullable<OrderView['lines']>[number];
export type OrderResource = z.infer<typeof orderResource>;
export type OrderSummary = z.infer<typeof orderSummary>;
