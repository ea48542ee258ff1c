import { patched } from '@temporalio/workflow';
import { insure, packAndAwaitRelease, ship } from '../steps.js';

/**
 * A run that passed this line before the patch ships uninsured, as in its history. Every other run insures the parcel.
 */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  if (patched('insure-parcels')) await insure(parcelId);
  await ship(parcelId);
}
