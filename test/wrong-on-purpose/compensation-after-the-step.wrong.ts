import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './world.js';

const { charge, refund } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
});

/** Undoes what has succeeded; a charge whose answer was lost counts as one that never was. */
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
