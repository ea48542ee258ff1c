import { DefaultFailureConverter, type PayloadConverter, type ProtoFailure } from '@temporalio/common';
import { bounded } from './text.js';

/** In UTF-16 code units. A list of 100 problems is cut; whole it is in the details. */
export const MAX_FAILURE_MESSAGE = 8_000;
const MAX_STACK_TRACE = 8_000;
/** Types, ids and other names. Temporal allows ids of 1,000. */
const MAX_NAME = 1_000;
/** Our longest chain of causes has four. */
const MAX_CAUSES = 10;

/** These hold payloads, which have a converter of their own. */
const PAYLOADS = ['details', 'lastHeartbeatDetails', 'encodedAttributes'];
/** The SDK copies a whole error into the part about an activity or child; these are no fields of the protocol. */
const OF_THE_ERROR = ['cause', 'failure'];

type Context = Parameters<DefaultFailureConverter['errorToFailureInner']>[2];

/**
 * The SDK's own converter, except that every text of a failure and its causes is well-formed and bounded, whoever wrote
 * it: our code, the SDK, a partner, or the server.
 */
export class BoundedFailureConverter extends DefaultFailureConverter {
  override errorToFailureInner(error: unknown, converter: PayloadConverter, context?: Context): ProtoFailure {
    return boundedFailure(super.errorToFailureInner(error, converter, context));
  }
}

/** By this name the SDK looks for it, in the worker and in the workflow sandbox. */
export const failureConverter = new BoundedFailureConverter();

function boundedFailure(failure: ProtoFailure, causes = MAX_CAUSES): ProtoFailure {
  const { message, stackTrace, cause, ...info } = failure;
  return {
    ...boundedNames(info),
    message: bounded(message ?? '', MAX_FAILURE_MESSAGE),
    stackTrace: bounded(stackTrace ?? '', MAX_STACK_TRACE),
    ...(cause && causes > 0 && { cause: boundedFailure(cause, causes - 1) }),
  };
}

/** The same message of the protocol with bounded texts, however deep they lie. */
function boundedNames<T extends object>(message: T): T {
  const fields = Object.entries(message).filter(([key]) => !OF_THE_ERROR.includes(key));
  const entries = fields.map(([key, value]: [string, unknown]) => {
    if (typeof value === 'string') return [key, bounded(value, MAX_NAME)];
    return [key, isMessage(value) && !PAYLOADS.includes(key) ? boundedNames(value) : value];
  });
  return Object.fromEntries(entries) as T;
}

/** A 64-bit number is an object, too. */
const isMessage = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !('low' in value);
