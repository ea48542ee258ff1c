import { CancelledFailure, type ApplicationFailureOptions, type TemporalFailure } from '@temporalio/common';
import { isCancellation } from '@temporalio/workflow';
import { ORDER_REJECTION_TYPES } from '../../failures/rejections.js';
import type { OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { reasonOf } from '../shared/failures.js';
import type { OrderState } from './state.js';

// Failures that end the delivery of an order. The category BENIGN keeps expected outcomes out of error logs and
// metrics.

export const DELIVERY_TIMEOUT = {
  type: 'DeliveryTimeout',
  message: 'the carrier did not pick the parcel up in time',
} satisfies ApplicationFailureOptions;

export const SHIPMENT_LOST = {
  type: 'ShipmentLost',
  message: 'the carrier lost the parcel',
  category: 'BENIGN',
} satisfies ApplicationFailureOptions;

export const CANCELLED_BY_CARRIER = {
  type: 'CancelledByCarrier',
  message: 'the carrier cancelled the shipment',
  category: 'BENIGN',
} satisfies ApplicationFailureOptions;

export const WRITTEN_OFF = {
  type: 'WrittenOff',
  message: 'an operator wrote the parcel off',
  category: 'BENIGN',
} satisfies ApplicationFailureOptions;

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

export function finalStatusOf(failure: TemporalFailure | undefined): OrderView['status'] {
  if (!failure) return 'completed';
  if (isCancellation(failure)) return 'cancelled';
  return isOrderRejection(failure) ? 'rejected' : 'failed';
}

/** Returns the reason that the view shows for an order that was not completed. */
export function failureReasonOf(failure: TemporalFailure, { cancellation }: OrderView): Reason {
  if (!isCancellation(failure)) return reasonOf(failure);
  if (!cancellation) return { type: 'Cancelled', message: 'the workflow of the order was cancelled' };
  const why = cancellation.reason === undefined ? '' : `: ${cancellation.reason}`;
  return { type: 'Cancelled', message: `the order was cancelled on request${why}` };
}

/** Returns the final state of the order's stock. */
export function reservationAfter(
  failure: TemporalFailure | undefined,
  { isStockWrittenOff }: OrderState,
): 'sold' | 'released' | 'written_off' {
  if (!failure) return 'sold';
  return isStockWrittenOff ? 'written_off' : 'released';
}

/** Whether the run of an unsuccessful order completes. Otherwise, the run ends as Failed or Cancelled. */
export const isExpectedOutcome = ({ status, cancellation }: OrderView): boolean =>
  status === 'rejected' || (status === 'cancelled' && cancellation !== undefined);
