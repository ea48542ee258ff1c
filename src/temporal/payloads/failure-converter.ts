import { DefaultFailureConverter, type PayloadConverter, type ProtoFailure } from '@temporalio/common';
import { bounded } from './text.js';

/** In UTF-16 code units. Truncates a message with 100 problems; the details keep the full list. */
export const MAX_FAILURE_MESSAGE = 8_000;
const MAX_STACK_TRACE = 8_000;
/** Limit for types, ids and other names. Temporal allows ids of 1,000. */
const MAX_NAME = 1_000;
/** The longest chain of causes in our code has four. */
const MAX_CAUSES = 10;

/** Fields with payloads, which the payload converter handles. */
const PAYLOADS = ['details', 'lastHeartbeatDetails', 'encodedAttributes'];
/**
 * The SDK copies these error properties into the info about an activity or child workflow. They are not fields of the
 * protocol.
 */
const OF_THE_ERROR = ['cause', 'failure'];

type Context = Parameters<DefaultFailureConverter['errorToFailureInner']>[2];

/**
 * The SDK's converter with well-formed and bounded texts in all failures and causes, whether written by our code, the
 * SDK, a partner or the server.
 */
export class BoundedFailureConverter extends DefaultFailureConverter {
  override errorToFailureInner(error: unknown, converter: PayloadConverter, context?: Context): ProtoFailure {
    return boundedFailure(super.errorToFailureInner(error, converter, context));
  }
}

/** The SDK loads this export by name, in the worker and in the workflow sandbox. */
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

/** Copies a protocol message with all its texts bounded, including nested messages. */
function boundedNames<T extends object>(message: T): T {
  const fields = Object.entries(message).filter(([key]) => !OF_THE_ERROR.includes(key));
  const entries = fields.map(([key, value]: [string, unknown]) => {
    if (typeof value === 'string') return [key, bounded(value, MAX_NAME)];
    return [key, isMessage(value) && !PAYLOADS.includes(key) ? boundedNames(value) : value];
  });
  return Object.fromEntries(entries) as T;
}

/** Excludes 64-bit numbers, which are objects too. */
const isMessage = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !('low' in value);
