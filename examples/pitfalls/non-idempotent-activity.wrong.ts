import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './world.js';

const { charge } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '10 milliseconds' },
});

/** Charges a second time when the response is lost. */
export async function chargesWithEachTry(orderId: string): Promise<void> {
  await charge(orderId);
}
