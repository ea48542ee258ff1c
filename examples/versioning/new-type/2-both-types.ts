import { insure, packAndAwaitRelease, ship } from '../steps.js';

/** Open runs still use this type. Delete it when no run of it is open or retained. */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await ship(parcelId);
}

/** Insures the parcel before it is packed. As a patch, this would add a marker to every history. */
export async function parcelV2(parcelId: string): Promise<void> {
  await insure(parcelId);
  await packAndAwaitRelease(parcelId);
  await ship(parcelId);
}
