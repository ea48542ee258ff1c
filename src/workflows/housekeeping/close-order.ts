import { TemporalFailure } from '@temporalio/common';
import { isCancellation } from '@temporalio/workflow';
import type { EndedOrder } from '../../activities/reconciliation.js';
import type { ShipmentReport } from '../../schemas/order.js';
import type { ClosingAction, ReconciledOrder, ReconcileInput, ReconcileResult } from '../../schemas/reconciliation.js';
import { reasonOf } from '../shared/failures.js';
import {
  findOrderToClose,
  hasOrderEnded,
  recordClosing,
  recordUnreconciledOrders,
  refundPayment,
  trackShipment,
} from './activities.js';

/** How a delivery ended, by the status that the carrier reports. */
const ACTIONS: Partial<Record<ShipmentReport['status'], ClosingAction>> = {
  delivered: 'delivered',
  lost: 'write_off',
};

/** Statuses of a parcel that has not left. The reconciliation rolls such an order back. */
const NOT_LEFT: readonly string[] = ['accepted', 'cancelled'] satisfies ShipmentReport['status'][];

/**
 * Closes one order whose workflow has ended and whose parcel has left: as completed, or as written off with a refund.
 * The report of the carrier decides. If the carrier has no final report, the operator decides.
 */
export async function closeOrder(input: NonNullable<ReconcileInput>): Promise<ReconcileResult> {
  const order = await findOrderToClose({ input });
  const { orderId, workflow } = order;
  const resultOf = (result: Omit<ReconciledOrder, 'orderId' | 'workflow'>): ReconcileResult => ({
    comparedCount: 1,
    orders: [{ orderId, workflow, ...result }],
    hasMore: false,
  });
  const chosen = await chooseAction(orderId, input.close?.as);
  if ('problem' in chosen) return resultOf({ result: 'needs_person', problem: chosen.problem });
  return resultOf(input.dryRun ? { result: 'planned' } : await close(order, chosen));
}

interface Action {
  as: ClosingAction;
  report: ShipmentReport | undefined;
}

async function chooseAction(orderId: string, as: ClosingAction | undefined): Promise<Action | { problem: string }> {
  const report = await pollCarrier(orderId, as);
  if (report === 'unknown') return { as: as!, report: undefined };
  if (!report || NOT_LEFT.includes(report.status))
    return { problem: 'the parcel has not left; run the reconciliation, which rolls the order back' };
  const reported = ACTIONS[report.status];
  if (!reported && !as)
    return { problem: `the carrier reports ${report.status}; set "as" to "delivered" or "write_off"` };
  if (reported && as && reported !== as)
    return { problem: `the carrier reports ${report.status}, which contradicts "as":"${as}"` };
  return { as: reported ?? as!, report };
}

/** @returns `unknown` when the operator has decided and the carrier reports a status that the shop does not know. */
async function pollCarrier(orderId: string, as?: ClosingAction): Promise<ShipmentReport | undefined | 'unknown'> {
  try {
    return await trackShipment({ orderId });
  } catch (error) {
    if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
    if (as && reasonOf(error).type === 'UnknownShipmentStatus') return 'unknown';
    throw error;
  }
}

async function close(order: EndedOrder, { as, report }: Action): Promise<Pick<ReconciledOrder, 'result' | 'problem'>> {
  const { orderId, firstRunId } = order;
  if (!(await hasOrderEnded({ orderId, firstRunId }))) return { result: 'skipped' };
  const isLost = as === 'write_off';
  if (isLost) await refundPayment({ orderId });
  const status = isLost ? 'lost' : 'delivered';
  const isClosed = await recordClosing({
    order: { orderId, firstRunId },
    closing: {
      status: isLost ? 'failed' : 'completed',
      reservation: isLost ? 'written_off' : 'sold',
      ...(report && { shipment: { shipmentId: report.shipmentId, status } }),
      ...(isLost && { reason: { type: 'WrittenOff', message: 'an operator wrote the parcel off' } }),
    },
  });
  if (!isClosed) return { result: 'needs_person', problem: 'the order is closed, or its stock is no longer reserved' };
  // Removes the order from the list for a person.
  await recordUnreconciledOrders([]);
  return { result: isLost ? 'written_off' : 'completed' };
}
