import type { PayloadConverter, ProtoFailure } from '@temporalio/common';
import { BoundedFailureConverter } from '../payloads/failure-converter.js';

/** What a failure says to who cannot decrypt it; the words of the SDKs. */
const PUBLIC_MESSAGE = 'Encoded failure';

type Context = Parameters<BoundedFailureConverter['errorToFailure']>[2];

/**
 * Moves message and stack trace of each failure, also of its causes, into a payload that the codec encrypts. The SDK's own
 * (`encodeCommonAttributes`) forgets the message of an error that is converted a second time, as one that is caught, kept
 * and thrown again is, and leaves causes as they are that came in plain.
 */
class HidingFailureConverter extends BoundedFailureConverter {
  override errorToFailure(error: unknown, converter: PayloadConverter, context?: Context): ProtoFailure {
    return hidden(this.errorToFailureInner(error, converter, context), converter, context);
  }
}

function hidden(failure: ProtoFailure, converter: PayloadConverter, context: Context): ProtoFailure {
  const { message, stackTrace, encodedAttributes, cause } = failure;
  const hiddenCause = cause && { cause: hidden(cause, converter, context) };
  if (encodedAttributes && message === PUBLIC_MESSAGE) return { ...failure, ...hiddenCause };
  return {
    ...failure,
    ...hiddenCause,
    message: PUBLIC_MESSAGE,
    stackTrace: '',
    encodedAttributes: converter.toPayload({ message, stack_trace: stackTrace }, context),
  };
}

/** By this name the SDK looks for it, in the worker and in the workflow sandbox. */
export const failureConverter = new HidingFailureConverter();
