import { z } from 'zod';
import { deliveryDecision, orderId } from './order.js';

export const closingAction = deliveryDecision.shape.action.exclude(['wait']);

export const reconcileInput = z
  .strictObject({
    /** Only reports the orders, and changes nothing. */
    dryRun: z.boolean().optional(),
    /** Also rolls back orders whose workflow is missing in Temporal. By default, a person must decide about them. */
    includeMissing: z.boolean().optional(),
    /**
     * Only closes this order, whose workflow has ended and whose parcel has left. By default, the carrier must report
     * how the delivery ended. If the carrier does not know, `as` decides like an operator's decision about an overdue
     * delivery.
     */
    close: z.strictObject({ orderId, as: closingAction.optional() }).optional(),
  })
  .optional();
export type ClosingAction = z.infer<typeof closingAction>;
export type ReconcileInput = z.infer<typeof reconcileInput>;

/** How the reconciliation of one order ended, or would end in a dry run. */
export interface ReconciledOrder {
  orderId: string;
  /** The status of the order's workflow: `terminated`, `timed_out`, `failed` …, or `missing`. */
  workflow: string;
  /**
   * `rolled_back`: the shipment and the approval were cancelled, the charge was refunded or voided, and the stock was
   * released. `needs_person`: `problem` says why. `planned`: a dry run found the order. `skipped`: the workflow was
   * reset in the meantime. `completed`, `written_off`: the order was closed by hand.
   */
  result: 'rolled_back' | 'needs_person' | 'planned' | 'skipped' | 'completed' | 'written_off';
  problem?: string;
}

export interface ReconcileResult {
  /** The number of orders without an outcome that were compared with Temporal. */
  comparedCount: number;
  orders: ReconciledOrder[];
  /** True if the run ended at its limit or because a partner kept failing, so that orders are left for the next run. */
  hasMore: boolean;
}
