import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  NexusOperationFailure,
  TemporalFailure,
} from '@temporalio/common';
import { rejectionFailure } from '../../failures/rejections.js';
import { truncateText } from '../../text/well-formed-text.js';
import type { Reason } from '../../schemas/shared/reason.js';

/**
 * Returns the root cause of a failure. The SDK wraps the failure of an activity in an `ActivityFailure`, the failure of
 * a child workflow in a `ChildWorkflowFailure`, and the failure of a Nexus operation in a `NexusOperationFailure`. A
 * failure that the workflow itself throws is not wrapped.
 */
export function rootFailure(failure: TemporalFailure): TemporalFailure {
  const wrapped =
    failure instanceof ActivityFailure ||
    failure instanceof ChildWorkflowFailure ||
    failure instanceof NexusOperationFailure;
  return wrapped && failure.cause instanceof TemporalFailure ? rootFailure(failure.cause) : failure;
}

/** Maximum lengths of a reason in views, logs, current details and the store, in UTF-16 code units. */
export const MAX_REASON_TYPE_LENGTH = 100;
export const MAX_REASON_MESSAGE_LENGTH = 1_000;

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

/** Throws a rejection, if there is one. A rejection that a validator throws writes no event. */
export function throwIfRejected(rejection: Reason | undefined): void {
  if (rejection) throw rejectionFailure(rejection.type, rejection.message);
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
