import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './world.js';

const { charge, refund } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
});

/** Compensates only steps that returned. A charge whose response was lost is not refunded. */
export async function undoesWhatSucceeded(orderId: string): Promise<void> {
  const undo: (() => Promise<void>)[] = [];
  try {
    await charge(orderId);
    undo.push(() => refund(orderId));
  } catch (error) {
    for (const compensation of undo.reverse()) await compensation();
    throw error;
  }
}
