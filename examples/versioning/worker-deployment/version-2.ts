import { patched, setWorkflowOptions } from '@temporalio/workflow';
import { insure, packAndAwaitRelease, ship } from '../steps.js';

/** Needs no patch, because version 2 never receives a pinned run that version 1 started. */
export async function pinnedParcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await insure(parcelId);
  await ship(parcelId);
}

/** Needs a patch, because version 2 continues upgrading runs that version 1 started. */
export async function upgradingParcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  if (patched('insure-parcels')) await insure(parcelId);
  await ship(parcelId);
}

setWorkflowOptions({ versioningBehavior: 'PINNED' }, pinnedParcel);
setWorkflowOptions({ versioningBehavior: 'AUTO_UPGRADE' }, upgradingParcel);
