import { TemporalFailure } from '@temporalio/common';
import { isCancellation } from '@temporalio/workflow';
import type { EndedOrder, EndedOrdersPage } from '../../activities/reconciliation.js';
import type { ReconciledOrder, ReconcileInput, ReconcileResult } from '../../schemas/reconciliation.js';
import { reasonOf } from '../shared/failures.js';
import {
  cancelShipment,
  findEndedOrders,
  hasOrderEnded,
  recordRollback,
  recordUnreconciledOrders,
  refundPayment,
  withdrawOrderApproval,
} from './activities.js';
import { closeOrder } from './close-order.js';

/** A run ends after this number of orders, so that its history and its result stay small. */
const MAX_ORDERS = 500;

const CONCURRENT_ORDERS = 10;

/**
 * Rolls back orders whose workflow has ended without recording an outcome, because it was terminated or timed out:
 * cancels the shipment, refunds or voids the charge, withdraws the approval and releases the stock. The steps have the
 * idempotency keys of the order's own compensations, so they are safe to repeat, and also safe when the order never
 * reached them. Lists an order that cannot be rolled back for a person, and tries it again in the next run, after all
 * other orders.
 *
 * With `close`, only closes one order whose parcel has left.
 */
export async function reconcile(input: ReconcileInput): Promise<ReconcileResult> {
  if (input?.close) return await closeOrder(input);
  const result: ReconcileResult = { comparedCount: 0, orders: [], hasMore: false };
  for (const isForPerson of [false, true]) {
    let page: EndedOrdersPage | undefined;
    do {
      page = await findEndedOrders({ input, isForPerson, ...(page?.next && { after: page.next }) });
      result.comparedCount += page.comparedCount;
      // This run has just added orders to the list for a person, and does not try them again.
      const tried = new Set(result.orders.map(({ orderId }) => orderId));
      const untried = page.orders.filter(({ orderId }) => !tried.has(orderId));
      const orders = await reconcilePage(untried, input);
      result.orders.push(...orders);
      const isPartnerDown = orders.length < untried.length;
      result.hasMore = page.next !== undefined || isPartnerDown;
      if (isPartnerDown) return result;
    } while (page.next && result.orders.length < MAX_ORDERS);
    if (result.hasMore) return result;
  }
  return result;
}

/** @returns the results. Fewer than `orders`, if a partner failed for all orders that were tried at once. */
async function reconcilePage(orders: EndedOrder[], input: ReconcileInput): Promise<ReconciledOrder[]> {
  if (input?.dryRun) return orders.map(({ orderId, workflow }) => ({ orderId, workflow, result: 'planned' }));
  const results: ReconciledOrder[] = [];
  let isPartnerDown = false;
  for (let start = 0; start < orders.length && !isPartnerDown; start += CONCURRENT_ORDERS) {
    const tried = await Promise.all(
      orders.slice(start, start + CONCURRENT_ORDERS).map((order) => reconcileOrder(order, input)),
    );
    results.push(...tried.map(({ isFailure: _, ...order }) => order));
    isPartnerDown = tried.length === CONCURRENT_ORDERS && tried.every(({ isFailure }) => isFailure);
  }
  await recordUnreconciledOrders(
    results.flatMap(({ orderId, problem }) => (problem === undefined ? [] : [{ orderId, problem }])),
  );
  return results;
}

type Attempt = ReconciledOrder & { isFailure?: true };

async function reconcileOrder(order: EndedOrder, input: ReconcileInput): Promise<Attempt> {
  const { orderId, workflow } = order;
  const needsPerson = (problem: string) => ({ orderId, workflow, result: 'needs_person' as const, problem });
  // If the namespace is wrong or was lost, all workflows are missing.
  if (workflow === 'missing' && !input?.includeMissing) return needsPerson('Temporal has no workflow of this order');
  try {
    return { orderId, workflow, ...(await rollBack(order)) };
  } catch (error) {
    if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
    const { type, message } = reasonOf(error);
    return { ...needsPerson(message ? `${type}: ${message}` : type), isFailure: true };
  }
}

async function rollBack({ orderId, firstRunId }: EndedOrder): Promise<Pick<ReconciledOrder, 'result' | 'problem'>> {
  if (!(await hasOrderEnded({ orderId, firstRunId }))) return { result: 'skipped' };
  const { status } = await cancelShipment({ orderId });
  if (status === 'already_picked_up')
    return { result: 'needs_person', problem: 'the carrier has picked up the parcel' };
  await refundPayment({ orderId });
  await withdrawOrderApproval({ orderId });
  await recordRollback({ orderId, firstRunId });
  return { result: 'rolled_back' };
}
