import { deprecatePatch } from '@temporalio/workflow';
import { insure, packAndAwaitRelease, ship } from '../steps.js';

/**
 * No history of release 1 that passed this line is left, so the uninsured path is deleted. Histories with the marker
 * still replay.
 */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  deprecatePatch('insure-parcels');
  await insure(parcelId);
  await ship(parcelId);
}
