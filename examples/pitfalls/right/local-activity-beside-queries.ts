import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../external-system.js';
import { runCounter } from '../counter.js';

const { count } = proxyActivities<Activities>({ startToCloseTimeout: '5 seconds' });

/**
 * Each update runs its step as a regular activity. The history records the completion of the activity as an event, so a
 * replay sees the same order of events.
 */
export async function countWithRegularActivity(): Promise<void> {
  await runCounter(count);
}
