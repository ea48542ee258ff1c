import { packAndAwaitRelease, ship } from '../steps.js';

export async function parcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await ship(parcelId);
}
