import type { Payload, PayloadConverter } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import { payloadConverter as bounded } from './payload-converter.js';
import { UNREADABLE_VALUE } from './unreadable-value.js';

type SerializationContext = Parameters<PayloadConverter['fromPayload']>[1];

/**
 * The payload converter of the workflow sandbox. Replaces an unreadable payload of a client with `UNREADABLE_VALUE`.
 * Otherwise any client could send a signal that makes every workflow task fail. An unreadable result of an activity or
 * a child workflow still fails the workflow task, because no other value is safe.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => bounded.toPayload(value),
  fromPayload<T>(payload: Payload, context?: SerializationContext): T {
    try {
      return bounded.fromPayload<T>(payload);
    } catch (error) {
      if (isCallResult(context)) throw error;
      return UNREADABLE_VALUE as T;
    }
  },
};

const isCallResult = (context: SerializationContext): boolean =>
  context?.type === 'activity' || (context !== undefined && context.workflowId !== workflowInfo().workflowId);
