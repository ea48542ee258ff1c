import { patched } from '@temporalio/workflow';
import { insure, packAndAwaitRelease, ship } from '../steps.js';

/**
 * A run that reached `ship` before the patch has no marker, so its replay skips `insure`. Every other run insures the
 * parcel.
 */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  if (patched('insure-parcels')) await insure(parcelId);
  await ship(parcelId);
}
