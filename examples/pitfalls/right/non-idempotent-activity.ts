import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../external-system.js';

const { chargeOnce } = proxyActivities<Activities>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '10 milliseconds' },
});

/** Derives the idempotency key from the order, so every attempt uses the same key. */
export async function chargeWithIdempotencyKey(orderId: string): Promise<void> {
  await chargeOnce(orderId, `order:${orderId}:charge`);
}
