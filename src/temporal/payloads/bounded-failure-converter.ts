import { DefaultFailureConverter, type PayloadConverter, type ProtoFailure } from '@temporalio/common';
import { truncateText } from '../../text/well-formed-text.js';

/**
 * The length in UTF-16 code units. A message with 100 problems is longer and is truncated; the details contain the full
 * list.
 */
export const MAX_FAILURE_MESSAGE_LENGTH = 8_000;
const MAX_STACK_TRACE_LENGTH = 8_000;
/** The limit for types, ids and other names. Temporal limits ids to 1,000 characters. */
const MAX_NAME_LENGTH = 1_000;
/** The longest chain of causes in our code has four errors. */
const MAX_CAUSES = 10;

/** Fields that contain payloads. The payload converter handles them. */
const PAYLOAD_FIELDS = ['details', 'lastHeartbeatDetails', 'encodedAttributes'];
/**
 * The SDK copies these error properties into the info about an activity or child workflow. They are not fields of the
 * protocol.
 */
const SDK_ERROR_FIELDS = ['cause', 'failure'];

type SerializationContext = Parameters<DefaultFailureConverter['errorToFailureInner']>[2];

/**
 * Extends the SDK's converter. Makes all texts in a failure and its causes well-formed and bounded, because they may
 * come from our code, the SDK, an external system or the server.
 */
export class BoundedFailureConverter extends DefaultFailureConverter {
  override errorToFailureInner(
    error: unknown,
    converter: PayloadConverter,
    context?: SerializationContext,
  ): ProtoFailure {
    return truncateFailure(super.errorToFailureInner(error, converter, context));
  }
}

/** The SDK loads this export by its name, in the worker and in the workflow sandbox. */
export const failureConverter = new BoundedFailureConverter();

function truncateFailure(failure: ProtoFailure, causes = MAX_CAUSES): ProtoFailure {
  const { message, stackTrace, cause, ...info } = failure;
  return {
    ...truncateTextFields(info),
    message: truncateText(message ?? '', MAX_FAILURE_MESSAGE_LENGTH),
    stackTrace: truncateText(stackTrace ?? '', MAX_STACK_TRACE_LENGTH),
    ...(cause && causes > 0 && { cause: truncateFailure(cause, causes - 1) }),
  };
}

/** Copies a protocol message and its nested messages, with all texts truncated. */
function truncateTextFields<T extends object>(message: T): T {
  const fields = Object.entries(message).filter(([key]) => !SDK_ERROR_FIELDS.includes(key));
  const entries = fields.map(([key, value]: [string, unknown]) => {
    if (typeof value === 'string') return [key, truncateText(value, MAX_NAME_LENGTH)];
    return [key, isProtoMessage(value) && !PAYLOAD_FIELDS.includes(key) ? truncateTextFields(value) : value];
  });
  return Object.fromEntries(entries) as T;
}

/** A 64-bit number is also an object, but not a message. */
const isProtoMessage = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !('low' in value);
