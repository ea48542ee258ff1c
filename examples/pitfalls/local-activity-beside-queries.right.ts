import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './external-system.js';
import { runCounter } from './counter.js';

const { count } = proxyActivities<Activities>({ startToCloseTimeout: '5 seconds' });

/** Each update runs its step as a regular activity, whose completion is an event in a fixed order with all others. */
export async function countWithRegularActivity(): Promise<void> {
  await runCounter(count);
}
