import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './world.js';

const { chargeOnce } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '10 milliseconds' },
});

/** Charges under a key that is the same in every try, because it comes from the order. */
export async function chargesUnderAKey(orderId: string): Promise<void> {
  await chargeOnce(orderId, `order:${orderId}:charge`);
}
