import { CancelledFailure, type TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, condition, isCancellation } from '@temporalio/workflow';
import { ORDER_REJECTION_TYPES } from '../../failures/rejections.js';
import type { OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { reasonOf } from '../shared/failures.js';
import { closeOrder } from './activities.js';
import type { OrderState } from './state.js';

/**
 * Returns the failure that the order reports. A step that fails during a cancellation may throw another failure. The
 * order still reports a cancellation, because the caller was promised one.
 */
export function preferCancellation(
  failure: TemporalFailure,
  { cancellableScope, parcel }: OrderState,
): TemporalFailure {
  if (isCancellation(failure) || !cancellableScope.consideredCancelled || parcel.hasLeft) return failure;
  return new CancelledFailure(`cancelled during: ${reasonOf(failure).message}`, [], failure);
}

/** Sets the outcome, records the outcome in the store, and ends the run. */
export async function conclude(state: OrderState, failure: TemporalFailure | undefined): Promise<OrderView> {
  const { view } = state;
  if (failure) view.reason = failureReasonOf(failure, view);
  state.close(finalStatusOf(failure));
  await state.waitUntilRecorded();
  // With invalid input, there is no order to record.
  if (!state.hasInvalidInput) {
    await closeOrder({ ...state.key, view, reservation: reservationAfter(failure, state) });
  }
  if (!allHandlersFinished()) await condition(allHandlersFinished);
  // The carrier may contradict the outcome while it is recorded. The server drops activities of a closed run.
  await state.waitUntilRecorded();
  if (failure && !isExpectedOutcome(view)) throw failure;
  return view;
}

/** Whether a failure is a rejection by a business rule. The final status of the order is then `rejected`. */
export function isOrderRejection(failure: TemporalFailure): boolean {
  return (ORDER_REJECTION_TYPES as readonly string[]).includes(reasonOf(failure).type);
}

/**
 * Whether a failure proves that no stock is reserved, because the input is invalid or the store rejected the
 * reservation.
 */
export const provesNothingReserved = (failure: TemporalFailure): boolean =>
  isOrderRejection(failure) || reasonOf(failure).type === 'InvalidInput';

function finalStatusOf(failure: TemporalFailure | undefined): OrderView['status'] {
  if (!failure) return 'completed';
  if (isCancellation(failure)) return 'cancelled';
  return isOrderRejection(failure) ? 'rejected' : 'failed';
}

/** Returns the reason that the view shows for an order that was not completed. */
function failureReasonOf(failure: TemporalFailure, { cancellation }: OrderView): Reason {
  if (!isCancellation(failure)) return reasonOf(failure);
  if (!cancellation) return { type: 'Cancelled', message: 'the workflow of the order was cancelled' };
  const why = cancellation.reason === undefined ? '' : `: ${cancellation.reason}`;
  return { type: 'Cancelled', message: `the order was cancelled on request${why}` };
}

/** Returns the final state of the order's stock. */
function reservationAfter(
  failure: TemporalFailure | undefined,
  { isStockWrittenOff }: OrderState,
): 'sold' | 'released' | 'written_off' {
  if (!failure) return 'sold';
  return isStockWrittenOff ? 'written_off' : 'released';
}

/** Whether the run of an unsuccessful order completes. Otherwise, the run ends as Failed or Cancelled. */
const isExpectedOutcome = ({ status, cancellation }: OrderView): boolean =>
  status === 'rejected' || (status === 'cancelled' && cancellation !== undefined);
