import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from './world.js';
import { shelf } from './shelf.js';

const { count } = proxyActivities<Activities>({ startToCloseTimeout: '5 seconds' });

/** Each update takes its step as a regular activity, whose end is an event of its own, in order with all others. */
export async function countsByActivity(): Promise<void> {
  await shelf(count);
}
