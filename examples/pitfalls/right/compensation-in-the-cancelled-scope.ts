import { condition, proxyActivities } from '@temporalio/workflow';
import { Saga } from '../../../src/workflows/shared/saga.js';
import type { Activities } from '../external-system.js';

const { charge, refund } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});

/** The saga runs the refund in a non-cancellable scope. */
export async function compensateInNonCancellableScope(orderId: string): Promise<void> {
  const saga = new Saga({ onStuck: async () => 'retry' });
  try {
    await saga.runStep(() => charge(orderId), { name: 'refund', run: () => refund(orderId) });
    await condition(() => false);
  } catch (error) {
    await saga.compensate();
    throw error;
  }
}
