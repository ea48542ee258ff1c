import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './external-system.js';

const { charge } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '10 milliseconds' },
});

/** Charges a second time when the response is lost. */
export async function chargeWithoutIdempotencyKey(orderId: string): Promise<void> {
  await charge(orderId);
}
