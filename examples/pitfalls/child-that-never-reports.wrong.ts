import {
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { failsWithoutStock } from './stock.js';

const doneSignal = defineSignal('done');

/** Waits for a signal from the child. A child that fails, times out or is terminated sends none. */
export async function waitsToBeTold(stock: number): Promise<'done' | 'failed'> {
  let done = false;
  setHandler(doneSignal, () => void (done = true));
  await startChild(tellsOfSuccess, { workflowId: `${workflowInfo().workflowId}/1`, args: [stock] });
  await condition(() => done);
  return 'done';
}

export async function tellsOfSuccess(stock: number): Promise<void> {
  failsWithoutStock(stock);
  await getExternalWorkflowHandle(workflowInfo().parent!.workflowId).signal(doneSignal);
}
