import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, TemporalFailure } from '@temporalio/common';
import { truncateText } from '../../text/well-formed-text.js';
import type { Reason } from '../../schemas/shared/reason.js';

/**
 * Types of rejections by business rules. A rejection ends an order as `rejected`. A retry would have the same result.
 */
export const REJECTION_TYPES = [
  'UnknownSku',
  'OutOfStock',
  'OrderIdTaken',
  'PriceChanged',
  'MixedCurrencies',
  'CardDeclined',
  'InsufficientFunds',
  'NoApprover',
  'ApprovalRejected',
  'ApprovalTimedOut',
  'ApprovalWithdrawn',
] as const;

/** Types of failures that a retry cannot fix. Retry policies use this list as `nonRetryableErrorTypes`. */
export const NON_RETRYABLE_ERROR_TYPES: string[] = [
  'InvalidInput',
  ...REJECTION_TYPES,
  'ApprovalIdTaken',
  'ReservationReleased',
  'ChargeVoided',
  'ShipmentCancelled',
  'UnknownShipmentStatus',
  'RejectedByExternalSystem',
  'AddressForbidden',
  'ReceiverGone',
  'MailRejected',
  'AlreadyOrdered',
  'BatchNotFound',
  'Superseded',
];

/**
 * Returns the root cause of a failure. The SDK wraps the failure of an activity in an `ActivityFailure`, and the
 * failure of a child workflow in a `ChildWorkflowFailure`. A failure that the workflow itself throws is not wrapped.
 */
export function rootFailure(failure: TemporalFailure): TemporalFailure {
  const wrapped = failure instanceof ActivityFailure || failure instanceof ChildWorkflowFailure;
  return wrapped && failure.cause instanceof TemporalFailure ? rootFailure(failure.cause) : failure;
}

/** Maximum lengths of a reason in views, logs, current details and the store, in UTF-16 code units. */
const MAX_REASON_TYPE_LENGTH = 100;
const MAX_REASON_MESSAGE_LENGTH = 1_000;

/**
 * Returns the type and the message of a failure. A failure without a type, such as a timeout or a cancellation, gets
 * its class name as type.
 */
export function reasonOf(failure: TemporalFailure): Reason {
  const root = rootFailure(failure);
  const type = root instanceof ApplicationFailure && root.type ? root.type : root.name;
  return {
    type: truncateText(type, MAX_REASON_TYPE_LENGTH),
    message: truncateText(root.message, MAX_REASON_MESSAGE_LENGTH),
  };
}

/**
 * Creates the failure that rejects a caller's request. The category BENIGN keeps this expected result out of error logs
 * and metrics.
 */
export const rejectionFailure = ({ type, message }: Reason): ApplicationFailure =>
  ApplicationFailure.create({ type, message, nonRetryable: true, category: 'BENIGN' });

/** Throws a rejection, if there is one. A rejection that a validator throws writes no event. */
export function throwIfRejected(rejection: Reason | undefined): void {
  if (rejection) throw rejectionFailure(rejection);
}

/** Whether a failure is a rejection by a business rule. */
export function isRejection(failure: TemporalFailure): boolean {
  return (REJECTION_TYPES as readonly string[]).includes(reasonOf(failure).type);
}

/**
 * Returns the Temporal failure that ended `run`, or undefined. Rethrows any other error, because it is a bug and must
 * not trigger compensation.
 */
export async function catchTemporalFailure(run: () => Promise<void>): Promise<TemporalFailure | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof TemporalFailure) return error;
    throw error;
  }
}
