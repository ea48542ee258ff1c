import { ApplicationFailure } from '@temporalio/common';
import { condition, defineUpdate, setHandler } from '@temporalio/workflow';

/**
 * The SDK does not await the validator. A rejected promise does not reject the update: it fails the workflow task on
 * every attempt.
 */
export async function validateAsynchronously(): Promise<void> {
  setHandler(defineUpdate<void, [number]>('add'), () => undefined, {
    validator: async (quantity) => {
      if (quantity < 1) throw ApplicationFailure.nonRetryable('at least one', 'InvalidInput');
    },
  });
  await condition(() => false);
}
