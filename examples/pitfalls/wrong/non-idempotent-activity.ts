import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../external-system.js';

const { charge } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '10 milliseconds' },
});

/** If the response is lost, the retry charges the customer a second time. */
export async function chargeWithoutIdempotencyKey(orderId: string): Promise<void> {
  await charge(orderId);
}
