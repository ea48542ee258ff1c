import { Context } from '@temporalio/activity';
import { rejectionFailure } from '../failures/rejections.js';
import { hashContent } from '../store/content-hash.js';
import {
  approvalIdOfOrder,
  hasEligibleApprover,
  MAX_DESCRIPTION_LENGTH,
  type ApprovalInput,
  type Stage,
} from '../schemas/approval.js';
import { totalMismatchText, type Money } from '../schemas/shared/money.js';
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
import type { NewOrder } from '../store/orders/order-row.js';
import type { FinalReservation, ReservationOutcome } from '../store/orders/reservations.js';
import { endpointOf } from '../temporal/nexus-endpoints.js';
import { truncateText } from '../text/well-formed-text.js';
import { orderWorkflowId } from '../workflows/order/contract.js';
import { assertWorkflowId, parseInput } from './failures.js';

export interface ReservationKey extends OrderKey {
  workflowId: string;
  /**
   * Whether the workflow can request its approval over Nexus. Without this flag, the result contains no
   * `approvalEndpoint`. In a rolling deployment, a worker of an earlier version may run the workflow: it would start a
   * child workflow, and a replay by this version would then find another command in the history.
   */
  supportsNexus?: true;
}

/** An order with reserved stock. It has one line per SKU, with catalogue prices. */
export interface ReservedOrder {
  customerId: string;
  lines: PricedLine[];
  total: Money;
  deliveryTimeoutSeconds?: number;
  /** The approval that the order needs before the charge. */
  approval?: ApprovalInput;
  /** The Nexus endpoint of the approval. If missing, the approval is a child workflow of the order. */
  approvalEndpoint?: string;
  /** Set when the order needs an approval but its customer is the only approver. */
  hasNoEligibleApprover?: true;
}

/** Determines which orders need an approval, and who approves them. */
export interface OrderApprovalPolicy {
  /** Orders with at least this total, in minor units, need an approval. The same number applies to all currencies. */
  threshold: number;
  stages: Stage[];
}

export interface OrderKey {
  orderId: string;
  /** The first run id of the order's execution. A reset keeps it. */
  firstRunId: string;
  /** The start time of the order's workflow. A reset keeps it. */
  placedAt: string;
  /** The raw input of the workflow. */
  input: unknown;
}

export function createOrderActivities({
  store,
  orderApprovalPolicy,
  approvalNamespace,
}: {
  store: Store;
  orderApprovalPolicy?: OrderApprovalPolicy;
  approvalNamespace?: string | undefined;
}) {
  return {
    /**
     * Parses the input of an order and prices its lines. Reserves the stock and records the order in one transaction.
     * Repeated calls return the first result. The workflow id must match the order id, because carrier reports and
     * other messages are sent to the workflow id.
     *
     * @throws `InvalidInput` with the list of problems; `UnknownSku`, `MixedCurrencies`, `OutOfStock` and
     * `PriceChanged` with details; `OrderIdTaken` when another execution owns the order id; `ReservationReleased` when
     * this order was already rolled back.
     */
    async reserveStock(key: ReservationKey): Promise<ReservedOrder> {
      const order = parseInput(orderInput, key.input);
      assertWorkflowId('/orderId', orderWorkflowId(order.orderId), key.workflowId);
      const outcome = await store.reserveStock(toNewOrder(key, order), mergeLines(order.lines), order.expectedTotal);
      if (outcome.status !== 'reserved') throw reservationFailure(outcome, order);
      const { lines, total } = outcome;
      const approval =
        orderApprovalPolicy && total.value >= orderApprovalPolicy.threshold
          ? buildApprovalInput(order, lines, total, orderApprovalPolicy.stages)
          : undefined;
      return {
        customerId: order.customerId,
        lines,
        total,
        ...(approval && (hasEligibleApprover(approval) ? { approval } : { hasNoEligibleApprover: true as const })),
        ...(approval &&
          key.supportsNexus &&
          approvalNamespace !== undefined && { approvalEndpoint: endpointOf(approvalNamespace) }),
        ...(order.deliveryTimeoutSeconds && { deliveryTimeoutSeconds: order.deliveryTimeoutSeconds }),
      };
    },

    /**
     * Returns the reserved stock of an order. If nothing is reserved, records the release, so that a late reservation
     * is rejected.
     */
    async releaseStock(key: OrderKey): Promise<void> {
      await store.releaseStock(toNewOrder(key, parseInput(orderInput, key.input)));
    },

    /** Records the status of an open order when the order starts or stops waiting for an operator. */
    async recordOrderStatus({
      status,
      stage,
      ...order
    }: Pick<OrderKey, 'orderId' | 'firstRunId'> & { status: OrderStatus; stage: OrderStage }): Promise<void> {
      await store.recordOrderStatus(order, { status, stage });
    },

    /** Records a carrier report that contradicts the final status of the parcel. Idempotent. */
    async recordContradictingReport({ orderId, shipmentId, status }: ShipmentReport): Promise<void> {
      const webhookId = `${orderWorkflowId(orderId)}:${status}`;
      await store.recordUnhandledReport({ webhookId, orderId, shipmentId, status, reason: 'contradicts_outcome' });
    },

    /** Records the final view of an order and the final state of its stock. Idempotent. */
    async closeOrder(key: OrderKey & { view: OrderView; reservation: FinalReservation }): Promise<void> {
      const { view, reservation } = key;
      const { runId } = Context.current().info.workflowExecution!;
      await store.closeOrder(toNewOrder(key, parseInput(orderInput, key.input)), { view, runId, reservation });
    },
  };
}

const toNewOrder = ({ orderId, firstRunId, placedAt }: OrderKey, order: OrderInput): NewOrder => ({
  orderId,
  firstRunId,
  placedAt: new Date(placedAt),
  customerId: order.customerId,
  contentHash: hashContent(order),
});

function reservationFailure(
  outcome: Exclude<ReservationOutcome, { status: 'reserved' }>,
  { orderId, expectedTotal }: OrderInput,
) {
  switch (outcome.status) {
    case 'taken':
      return rejectionFailure('OrderIdTaken', `order id ${orderId} belongs to another order`);
    case 'released':
      return reservationReleased(orderId);
    case 'unknown_sku':
      return rejectionFailure('UnknownSku', `not in the catalogue: ${outcome.skus.join(', ')}`, outcome.skus);
    case 'mixed_currencies':
      return rejectionFailure('MixedCurrencies', `an order has one currency, not ${outcome.currencies.join(', ')}`);
    case 'out_of_stock': {
      const missing = outcome.missing.map(
        ({ sku, requested, available }) => `${sku}: ${requested} requested, ${available} available`,
      );
      return rejectionFailure('OutOfStock', missing.join('; '), outcome.missing);
    }
    case 'price_changed': {
      const message = totalMismatchText(outcome.total, expectedTotal!);
      return rejectionFailure('PriceChanged', message, { total: outcome.total, expectedTotal });
    }
  }
}

/**
 * Checks that the order still holds its stock. Called before the charge and before the shipment request.
 *
 * @returns when the order was placed. A reset does not change this time.
 * @throws `ReservationReleased` when an earlier run rolled the order back before the reset.
 */
export async function assertStockHeld(
  store: Pick<Store, 'recordStageIfStockHeld'>,
  order: Pick<OrderKey, 'orderId' | 'firstRunId'>,
  stage: OrderStage,
): Promise<Date> {
  const since = await store.recordStageIfStockHeld(order, stage);
  if (!since) throw reservationReleased(order.orderId);
  return since;
}

const reservationReleased = (orderId: string) =>
  rejectionFailure('ReservationReleased', `the stock of order ${orderId} was released: the order was rolled back`);

/** Builds the input of an order's approval. The customer can shorten the approval timeout but not extend it. */
function buildApprovalInput(order: OrderInput, lines: PricedLine[], amount: Money, stages: Stage[]): ApprovalInput {
  const { orderId, customerId, approvalTimeoutSeconds = Infinity } = order;
  return {
    approvalId: approvalIdOfOrder(orderId),
    title: `Order ${orderId} of ${customerId}`,
    description: truncateText(
      lines.map(({ quantity, name }) => `${quantity} x ${name}`).join('\n'),
      MAX_DESCRIPTION_LENGTH,
    ),
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
