import type { Payload, PayloadConverter } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';
import { payloadConverter as bounded } from './payload-converter.js';
import { UNREADABLE } from './unreadable.js';

type Context = Parameters<PayloadConverter['fromPayload']>[1];

/**
 * The converter of the workflow sandbox: a payload from outside that cannot be read becomes `UNREADABLE`. Otherwise one
 * such signal, from any sender, would fail the workflow task for ever. The result of an activity or a child is not
 * guessed: then the task does fail.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => bounded.toPayload(value),
  fromPayload<T>(payload: Payload, context?: Context): T {
    try {
      return bounded.fromPayload<T>(payload);
    } catch (error) {
      if (isResult(context)) throw error;
      return UNREADABLE as T;
    }
  },
};

const isResult = (context: Context): boolean =>
  context?.type === 'activity' || (context !== undefined && context.workflowId !== workflowInfo().workflowId);
