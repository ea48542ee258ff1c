import { insure, packAndAwaitRelease, ship } from '../steps.js';

/** Open runs still use this type. Delete the type when no open run uses it and no closed run is retained. */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await ship(parcelId);
}

/** Insures the parcel before the packing step. With a patch instead of a new type, every history would get a marker. */
export async function parcelV2(parcelId: string): Promise<void> {
  await insure(parcelId);
  await packAndAwaitRelease(parcelId);
  await ship(parcelId);
}
