import { ApplicationFailure } from '@temporalio/common';

// A rejection is an expected failure that a retry cannot change. Activities and workflows reject in the same way.

/** Types of the rejections that end an order as `rejected`. */
export const ORDER_REJECTION_TYPES = [
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
  ...ORDER_REJECTION_TYPES,
  'ApprovalIdTaken',
  'ReservationReleased',
  'ChargeVoided',
  'ShipmentCancelled',
  'UnknownShipmentStatus',
  'RejectedByExternalSystem',
  'AddressForbidden',
  'ReceiverGone',
  'MailRejected',
  'SlackRejected',
  'AlreadyOrdered',
  'BatchNotFound',
  'BatchItemsDeleted',
  'Superseded',
];

/**
 * Creates the failure of a rejection. It is non-retryable. The category BENIGN keeps this expected result out of error
 * logs and metrics.
 *
 * @param details more data for the caller, such as the list of problems of an input.
 */
export function rejectionFailure(type: string, message: string, ...details: unknown[]): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details, category: 'BENIGN' });
}
