import { ApplicationFailure } from '@temporalio/common';
import { condition, defineUpdate, setHandler } from '@temporalio/workflow';

/** A validator decides at once, by what it is given; what needs an answer from elsewhere is up to the handler. */
export async function refusesAtOnce(): Promise<void> {
  setHandler(defineUpdate<void, [number]>('add'), () => undefined, {
    validator: (quantity) => {
      if (quantity < 1) throw ApplicationFailure.nonRetryable('at least one', 'InvalidInput');
    },
  });
  await condition(() => false);
}
