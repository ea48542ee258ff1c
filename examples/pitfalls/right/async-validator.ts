import { ApplicationFailure } from '@temporalio/common';
import { condition, defineUpdate, setHandler } from '@temporalio/workflow';

/** A validator is synchronous and reads only its arguments. Checks that need other data belong in the handler. */
export async function validateSynchronously(): Promise<void> {
  setHandler(defineUpdate<void, [number]>('add'), () => undefined, {
    validator: (quantity) => {
      if (quantity < 1) throw ApplicationFailure.nonRetryable('at least one', 'InvalidInput');
    },
  });
  await condition(() => false);
}
