import { Context } from '@temporalio/activity';
import { contentHashOf } from '../store/content-hash.js';
import {
  approvalIdOfOrder,
  isDecidable,
  MAX_DESCRIPTION,
  type ApprovalInput,
  type Stage,
} from '../schemas/approval.js';
import { shownMoney, type Money } from '../schemas/money.js';
import {
  orderInput,
  type OrderInput,
  type OrderLine,
  type OrderStage,
  type OrderStatus,
  type OrderView,
  type PricedLine,
  type ShipmentReport,
} from '../schemas/order.js';
import type { Store } from '../store/index.js';
import type { FinalReservation, NewOrder, ReserveOutcome } from '../store/orders.js';
import { bounded } from '../temporal/payloads/text.js';
import { assertWorkflowId, parseInput, refused } from './failures.js';

/** An order with reserved stock: catalogue prices, one line per SKU. */
export interface Quote {
  customerId: string;
  lines: PricedLine[];
  total: Money;
  deliveryTimeoutSeconds?: number;
  /** The approval required before the charge. */
  approval?: ApprovalInput;
  /** The order needs an approval, but the customer is the only approver. */
  hasNoApprover?: true;
}

/** Which orders need an approval, and who approves them. */
export interface OrderApproval {
  /** Orders with at least this total need an approval. In minor units, whatever the currency. */
  threshold: number;
  stages: Stage[];
}

export interface OrderKey {
  orderId: string;
  /** The first run id of the order's execution. A reset keeps it. */
  owner: string;
  /** When the order was placed: the start time of its workflow, which a reset keeps. */
  placedAt: string;
  /** The raw input of the workflow. */
  order: unknown;
}

export function createOrderActivities({ store, orderApproval }: { store: Store; orderApproval?: OrderApproval }) {
  return {
    /**
     * Parses the input of an order, prices its lines, reserves its stock and records the order, in one transaction and
     * once. The workflow id must match the order id, because later messages, such as carrier reports, are addressed by
     * it.
     *
     * @throws `InvalidInput` with the list of problems; `UnknownSku`, `MixedCurrencies`, `OutOfStock` and
     * `PriceChanged` with details; `OrderIdTaken` when another execution owns the order id; `ReservationReleased` when
     * this order was already rolled back.
     */
    async reserveStock(key: OrderKey & { workflowId: string }): Promise<Quote> {
      const order = parseInput(orderInput, key.order);
      assertWorkflowId('/orderId', `order:${order.orderId}`, key.workflowId);
      const outcome = await store.reserveOrder(newOrder(key, order), mergeLines(order.lines), order.expectedTotal);
      if (outcome.status !== 'reserved') throw rejectionOf(outcome, order);
      const { lines, total } = outcome;
      const approval =
        orderApproval && total.value >= orderApproval.threshold
          ? questionOf(order, lines, total, orderApproval.stages)
          : undefined;
      return {
        customerId: order.customerId,
        lines,
        total,
        ...(approval && (isDecidable(approval) ? { approval } : { hasNoApprover: true as const })),
        ...(order.deliveryTimeoutSeconds && { deliveryTimeoutSeconds: order.deliveryTimeoutSeconds }),
      };
    },

    /** Returns the reserved stock of an order. If the order has no reservation, a late reservation is rejected. */
    async releaseStock(key: OrderKey): Promise<void> {
      await store.releaseOrder(newOrder(key, parseInput(orderInput, key.order)));
    },

    /** Records that an open order is parked or has resumed. */
    async recordOrderStatus({
      status,
      stage,
      ...order
    }: Pick<OrderKey, 'orderId' | 'owner'> & { status: OrderStatus; stage: OrderStage }): Promise<void> {
      await store.recordStatus(order, { status, stage });
    },

    /** Records a carrier report that contradicts the outcome the order acts on. Idempotent. */
    async recordContradiction({ orderId, shipmentId, status }: ShipmentReport): Promise<void> {
      const webhookId = `order:${orderId}:${status}`;
      await store.recordUnhandledReport({ webhookId, orderId, shipmentId, status, reason: 'contradicts_outcome' });
    },

    /** Records how the order ended and what became of its stock. Idempotent. */
    async closeOrder(key: OrderKey & { view: OrderView; reservation: FinalReservation }): Promise<void> {
      const { view, reservation } = key;
      const { runId } = Context.current().info.workflowExecution!;
      await store.closeOrder(newOrder(key, parseInput(orderInput, key.order)), { view, runId, reservation });
    },
  };
}

const newOrder = ({ orderId, owner, placedAt }: OrderKey, order: OrderInput): NewOrder => ({
  orderId,
  owner,
  placedAt: new Date(placedAt),
  customerId: order.customerId,
  contentHash: contentHashOf(order),
});

function rejectionOf(outcome: Exclude<ReserveOutcome, { status: 'reserved' }>, { orderId, expectedTotal }: OrderInput) {
  switch (outcome.status) {
    case 'taken':
      return refused('OrderIdTaken', `order id ${orderId} belongs to another order`);
    case 'released':
      return reservationReleased(orderId);
    case 'unknown_sku':
      return refused('UnknownSku', `not in the catalogue: ${outcome.skus.join(', ')}`, outcome.skus);
    case 'mixed_currencies':
      return refused('MixedCurrencies', `an order has one currency, not ${outcome.currencies.join(', ')}`);
    case 'out_of_stock': {
      const missing = outcome.missing.map(
        ({ sku, wanted, available }) => `${sku}: ${wanted} wanted, ${available} available`,
      );
      return refused('OutOfStock', missing.join('; '), outcome.missing);
    }
    case 'price_changed': {
      const message = `the total is ${shownMoney(outcome.total)}, not ${shownMoney(expectedTotal!)}`;
      return refused('PriceChanged', message, { total: outcome.total, expectedTotal });
    }
  }
}

/**
 * Guards the charge and the shipment: the order's stock must still be reserved.
 *
 * @returns when the order was placed, which a reset does not change.
 * @throws `ReservationReleased` when an earlier run rolled the order back before the reset.
 */
export async function assertStockHeld(
  store: Pick<Store, 'stockHeldSince'>,
  order: Pick<OrderKey, 'orderId' | 'owner'>,
  stage: OrderStage,
): Promise<Date> {
  const since = await store.stockHeldSince(order, stage);
  if (!since) throw reservationReleased(order.orderId);
  return since;
}

const reservationReleased = (orderId: string) =>
  refused('ReservationReleased', `the stock of order ${orderId} is not reserved any more: the order was rolled back`);

/** A customer can shorten the approval timeout but not extend it. */
function questionOf(order: OrderInput, lines: PricedLine[], amount: Money, stages: Stage[]): ApprovalInput {
  const { orderId, customerId, approvalTimeoutSeconds = Infinity } = order;
  return {
    approvalId: approvalIdOfOrder(orderId),
    title: `Order ${orderId} of ${customerId}`,
    description: bounded(lines.map(({ quantity, name }) => `${quantity} x ${name}`).join('\n'), MAX_DESCRIPTION),
    requestedBy: customerId,
    amount,
    stages: stages.map((stage) => {
      const timeoutSeconds = Math.min(stage.timeoutSeconds, approvalTimeoutSeconds);
      return { ...stage, timeoutSeconds };
    }),
  };
}

function mergeLines(lines: OrderLine[]): OrderLine[] {
  const merged = new Map<string, number>();
  for (const { sku, quantity } of lines) merged.set(sku, (merged.get(sku) ?? 0) + quantity);
  return [...merged].map(([sku, quantity]) => ({ sku, quantity }));
}
