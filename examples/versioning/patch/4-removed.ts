import { insure, packAndAwaitRelease, ship } from '../steps.js';

/** No history of release 2 is left, so the call that accepts the marker is deleted too. */
export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await insure(parcelId);
  await ship(parcelId);
}
