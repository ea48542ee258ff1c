import { insure, packAndAwaitRelease, ship } from '../steps.js';

/** No history of the second release is left, so the marker is deleted, too. */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await insure(parcelId);
  await ship(parcelId);
}
