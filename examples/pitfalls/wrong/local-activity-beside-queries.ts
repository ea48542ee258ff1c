import { proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../external-system.js';
import { runCounter } from '../counter.js';

const { count } = proxyLocalActivities<Activities>({ startToCloseTimeout: '5 seconds' });

/**
 * Each update runs its step as a local activity. If the local activity completes while a query runs, its result goes
 * into a separate workflow task.
 */
export async function countWithLocalActivity(): Promise<void> {
  await runCounter(count);
}
