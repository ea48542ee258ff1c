import { condition, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../external-system.js';

const { charge, refund } = proxyActivities<Activities>({ startToCloseTimeout: '10 seconds' });

/** Starts the refund in a scope that is already cancelled, so the refund is cancelled too. */
export async function compensateInCancelledScope(orderId: string): Promise<void> {
  await charge(orderId);
  try {
    await condition(() => false);
  } catch (error) {
    await refund(orderId);
    throw error;
  }
}
