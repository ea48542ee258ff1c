import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { NoopActivities } from './noop-worker.js';

const options = { startToCloseTimeout: '15 seconds' } as const;
const regular = proxyActivities<NoopActivities>(options);
const local = proxyLocalActivities<NoopActivities>(options);

/** The smallest workflow with three steps. */
export async function threeActivities(): Promise<void> {
  await regular.doNothing();
  await regular.doNothing();
  await regular.doNothing();
}

export async function threeLocalActivities(): Promise<void> {
  await local.doNothing();
  await local.doNothing();
  await local.doNothing();
}
