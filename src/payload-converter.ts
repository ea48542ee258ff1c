import { defaultPayloadConverter, type Payload, type PayloadConverter } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';

type Context = Parameters<PayloadConverter['fromPayload']>[1];

/**
 * The converter of the workflow sandbox: the SDK's own, except that a payload from outside which it cannot read becomes a
 * value that no parser accepts. Otherwise one such signal, from anywhere, would fail the workflow task for ever. What an
 * activity or a child came to is not guessed at: then the task does fail.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => defaultPayloadConverter.toPayload(value),
  fromPayload<T>(payload: Payload, context?: Context): T {
    try {
      return defaultPayloadConverter.fromPayload<T>(payload);
    } catch (error) {
      if (isResult(context)) throw error;
      return UNREADABLE as T;
    }
  },
};

const UNREADABLE = 'a payload that could not be read';

const isResult = (context: Context): boolean =>
  context?.type === 'activity' || (context !== undefined && context.workflowId !== workflowInfo().workflowId);
