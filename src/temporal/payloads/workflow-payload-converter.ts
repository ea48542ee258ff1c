import type { Payload, PayloadConverter } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import { payloadConverter as bounded } from './payload-converter.js';
import { UNREADABLE_VALUE } from './unreadable-value.js';

type SerializationContext = Parameters<PayloadConverter['fromPayload']>[1];

/**
 * The payload converter of the workflow sandbox. Replaces an unreadable payload from a client with `UNREADABLE_VALUE`.
 * Otherwise any client could send a signal that fails the workflow task forever. An unreadable result of an activity or
 * a child workflow still fails the task, because it has no safe replacement.
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
