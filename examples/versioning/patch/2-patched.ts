import { patched } from '@temporalio/workflow';
import { insure, packAndAwaitRelease, ship } from '../steps.js';

/** A parcel that already passed this line ships uninsured, as its history says. Every other parcel is insured. */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  if (patched('insure-parcels')) await insure(parcelId);
  await ship(parcelId);
}
