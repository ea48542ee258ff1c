import { allHandlersFinished, condition, defineQuery, defineUpdate, setHandler } from '@temporalio/workflow';

/** Increments a count with each update `count`, and completes after the update `close`. The query handler is slow. */
export async function runCounter(count: () => Promise<void>): Promise<void> {
  let counted = 0;
  let isOpen = true;
  setHandler(defineUpdate('count'), async () => {
    await count();
    counted += 1;
  });
  setHandler(defineUpdate('close'), () => {
    isOpen = false;
  });
  setHandler(defineQuery('counted'), () => {
    let spent = 0;
    while (spent < 2e7) spent += 1;
    return counted;
  });
  await condition(() => !isOpen);
  await condition(allHandlersFinished);
}
