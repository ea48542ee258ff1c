import { proxyActivities } from '@temporalio/workflow';
import { Saga } from '../../../src/workflows/shared/saga.js';
import type { Activities } from '../external-system.js';

const { charge, refund } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
});

/** Registers each compensation before its step runs, so every step that may have taken effect is compensated. */
export async function registerCompensationFirst(orderId: string): Promise<void> {
  const saga = new Saga({ onStuck: async () => 'retry' });
  try {
    await saga.runStep(() => charge(orderId), { name: 'refund', run: () => refund(orderId) });
  } catch (error) {
    await saga.compensate();
    throw error;
  }
}
