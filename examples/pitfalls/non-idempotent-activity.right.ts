import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './external-system.js';

const { chargeOnce } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '10 milliseconds' },
});

/** Charges with the same idempotency key in every attempt, because the key is derived from the order. */
export async function chargeWithIdempotencyKey(orderId: string): Promise<void> {
  await chargeOnce(orderId, `order:${orderId}:charge`);
}
