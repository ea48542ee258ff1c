import type { PayloadConverter, ProtoFailure } from '@temporalio/common';
import { BoundedFailureConverter } from '../payloads/failure-converter.js';

/** The message that readers without a key see. Same text as in the SDKs. */
const PUBLIC_MESSAGE = 'Encoded failure';

type Context = Parameters<BoundedFailureConverter['errorToFailure']>[2];

/**
 * Moves message and stack trace of every failure and its causes into a payload, which the codec encrypts. The SDK's
 * `encodeCommonAttributes` loses the message of an error that is converted twice, for example when it is caught, stored
 * and rethrown. It also does not encode causes that arrived unencoded.
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

/** The SDK loads this export by name, in the worker and in the workflow sandbox. */
export const failureConverter = new HidingFailureConverter();
