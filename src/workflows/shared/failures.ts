import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, TemporalFailure } from '@temporalio/common';
import { bounded } from '../../temporal/payloads/text.js';
import type { Reason } from '../../schemas/reason.js';

/** Business rules that say no. They end an order as `rejected`; trying again would not change the answer. */
export const REJECTIONS = [
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

/** Failures that no retry can mend, by the type name that is written to histories. */
export const NON_RETRYABLE = [
  'InvalidInput',
  ...REJECTIONS,
  'ApprovalIdTaken',
  'ReservationReleased',
  'ChargeVoided',
  'ShipmentCancelled',
  'UnknownShipmentStatus',
  'RefusedByOutside',
  'AddressForbidden',
  'ReceiverGone',
  'MailRefused',
  'AlreadyOrdered',
  'BatchNotFound',
  'Superseded',
] as const;

/**
 * The failure at the bottom of a chain. A failure of an activity arrives wrapped in an `ActivityFailure`, and that of an
 * activity of a child workflow in a `ChildWorkflowFailure` as well. A failure that the workflow itself throws is bare.
 */
export function rootFailure(failure: TemporalFailure): TemporalFailure {
  const wrapped = failure instanceof ActivityFailure || failure instanceof ChildWorkflowFailure;
  return wrapped && failure.cause instanceof TemporalFailure ? rootFailure(failure.cause) : failure;
}

/** In UTF-16 code units, of a reason as views, logs, current details and the store have it. */
const MAX_REASON_TYPE = 100;
const MAX_REASON_MESSAGE = 1_000;

/** Type and message of a failure. Failures without a type of their own (timeouts, cancellation) give their class name. */
export function reasonOf(failure: TemporalFailure): Reason {
  const root = rootFailure(failure);
  const type = root instanceof ApplicationFailure && root.type ? root.type : root.name;
  return { type: bounded(type, MAX_REASON_TYPE), message: bounded(root.message, MAX_REASON_MESSAGE) };
}

/** The failure that tells a caller why the workflow does not do what was asked; an expected answer, no error. */
export const refused = ({ type, message }: Reason): ApplicationFailure =>
  ApplicationFailure.create({ type, message, nonRetryable: true, category: 'BENIGN' });

/** Whether a failure is a business rule that said no. */
export function isRejection(failure: TemporalFailure): boolean {
  return (REJECTIONS as readonly string[]).includes(reasonOf(failure).type);
}
