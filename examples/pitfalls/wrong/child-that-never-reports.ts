import {
  condition,
  defineSignal,
  getExternalWorkflowHandle,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { assertInStock } from '../stock.js';

const doneSignal = defineSignal('done');

/** Waits for a signal from the child. A child that fails, times out or is terminated sends no signal. */
export async function awaitChildSignal(stock: number): Promise<'done' | 'failed'> {
  let done = false;
  setHandler(doneSignal, () => void (done = true));
  await startChild(signalSuccess, { workflowId: `${workflowInfo().workflowId}/1`, args: [stock] });
  await condition(() => done);
  return 'done';
}

export async function signalSuccess(stock: number): Promise<void> {
  assertInStock(stock);
  await getExternalWorkflowHandle(workflowInfo().parent!.workflowId).signal(doneSignal);
}
