import { proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from './world.js';
import { shelf } from './shelf.js';

const { count } = proxyLocalActivities<Activities>({ startToCloseTimeout: '5 seconds' });

/** Each update takes a step as a local activity: while a query is answered, its end goes into a task of its own. */
export async function countsLocally(): Promise<void> {
  await shelf(count);
}
