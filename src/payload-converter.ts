import { defaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';

/**
 * The converter of the workflow sandbox: the SDK's own, except that a payload which it cannot read becomes a value that
 * no parser accepts. Otherwise one such signal, from anywhere, would fail the workflow task for ever.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => defaultPayloadConverter.toPayload(value),
  fromPayload<T>(payload: Payload): T {
    try {
      return defaultPayloadConverter.fromPayload<T>(payload);
    } catch {
      return UNREADABLE as T;
    }
  },
};

const UNREADABLE = 'a payload that could not be read';
