import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../external-system.js';

const { charge, refund } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { maximumAttempts: 1 },
});

/** Compensates only steps that returned. If the response to a charge is lost, the charge is not refunded. */
export async function registerCompensationAfterStep(orderId: string): Promise<void> {
  const compensations: (() => Promise<void>)[] = [];
  try {
    await charge(orderId);
    compensations.push(() => refund(orderId));
  } catch (error) {
    for (const compensation of compensations.reverse()) await compensation();
    throw error;
  }
}
