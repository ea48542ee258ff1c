import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, TemporalFailure } from '@temporalio/common';
import { truncateText } from '../../text/well-formed-text.js';
import type { Reason } from '../../schemas/shared/reason.js';

/** Rejections by business rules. They end an order as `rejected`; a retry would have the same result. */
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

/** Failures that a retry cannot fix, by the type name in histories. The value of a retry policy's option. */
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
 * The root cause of a failure. An activity's failure arrives in an `ActivityFailure`, and that of a child workflow's
 * activity also in a `ChildWorkflowFailure`. A failure thrown by the workflow itself is not wrapped.
 */
export function rootFailure(failure: TemporalFailure): TemporalFailure {
  const wrapped = failure instanceof ActivityFailure || failure instanceof ChildWorkflowFailure;
  return wrapped && failure.cause instanceof TemporalFailure ? rootFailure(failure.cause) : failure;
}

/** Limits for a reason in views, logs, current details and the store. In UTF-16 code units. */
const MAX_REASON_TYPE_LENGTH = 100;
const MAX_REASON_MESSAGE_LENGTH = 1_000;

/** Type and message of a failure. A failure without a type, such as a timeout or cancellation, gets its class name. */
export function reasonOf(failure: TemporalFailure): Reason {
  const root = rootFailure(failure);
  const type = root instanceof ApplicationFailure && root.type ? root.type : root.name;
  return {
    type: truncateText(type, MAX_REASON_TYPE_LENGTH),
    message: truncateText(root.message, MAX_REASON_MESSAGE_LENGTH),
  };
}

/** A rejection of a caller's request. The category BENIGN keeps this expected result out of error logs and metrics. */
export const rejectionFailure = ({ type, message }: Reason): ApplicationFailure =>
  ApplicationFailure.create({ type, message, nonRetryable: true, category: 'BENIGN' });

/** Throws a rejection, if any. Thrown by a validator, the rejection writes no event. */
export function throwIfRejected(rejection: Reason | undefined): void {
  if (rejection) throw rejectionFailure(rejection);
}

/** Whether a failure is a rejection by a business rule. */
export function isRejection(failure: TemporalFailure): boolean {
  return (REJECTION_TYPES as readonly string[]).includes(reasonOf(failure).type);
}

/**
 * The Temporal failure that ended `run`, if any. Any other error is a bug and is rethrown, because it must not trigger
 * compensation.
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
