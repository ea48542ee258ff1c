import { condition, defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';
import type { Activities } from './activities.js';

export const { pack, insure, ship } = proxyActivities<Activities>({ startToCloseTimeout: '10 seconds' });

export const releaseSignal = defineSignal('release');

/** The first steps, which are the same in all versions: packs a parcel and waits for the signal `release`. */
export async function packAndAwaitRelease(parcelId: string): Promise<void> {
  let isReleased = false;
  setHandler(releaseSignal, () => {
    isReleased = true;
  });
  await pack(parcelId);
  await condition(() => isReleased);
}
