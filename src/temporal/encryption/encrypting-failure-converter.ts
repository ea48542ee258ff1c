import type { PayloadConverter, ProtoFailure } from '@temporalio/common';
import { BoundedFailureConverter } from '../payloads/bounded-failure-converter.js';

/** The message that a reader without a key sees. All SDKs use this text. */
const ENCODED_MESSAGE = 'Encoded failure';

type SerializationContext = Parameters<BoundedFailureConverter['errorToFailure']>[2];

/**
 * Moves the message and the stack trace of every failure and of its causes into a payload, which the codec encrypts.
 * The SDK's `encodeCommonAttributes` cannot be used. It loses the message of an error that is converted twice, for
 * example when it is caught, stored and rethrown. It also does not encode causes that arrived unencoded.
 */
class EncodingFailureConverter extends BoundedFailureConverter {
  override errorToFailure(error: unknown, converter: PayloadConverter, context?: SerializationContext): ProtoFailure {
    return encodeFailure(this.errorToFailureInner(error, converter, context), converter, context);
  }
}

function encodeFailure(
  failure: ProtoFailure,
  converter: PayloadConverter,
  context: SerializationContext,
): ProtoFailure {
  const { message, stackTrace, encodedAttributes, cause } = failure;
  const hiddenCause = cause && { cause: encodeFailure(cause, converter, context) };
  if (encodedAttributes && message === ENCODED_MESSAGE) return { ...failure, ...hiddenCause };
  return {
    ...failure,
    ...hiddenCause,
    message: ENCODED_MESSAGE,
    stackTrace: '',
    encodedAttributes: converter.toPayload({ message, stack_trace: stackTrace }, context),
  };
}

/** The SDK loads this export by its name, in the worker and in the workflow sandbox. */
export const failureConverter = new EncodingFailureConverter();
