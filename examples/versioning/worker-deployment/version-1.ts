import { setWorkflowOptions } from '@temporalio/workflow';
import { packAndAwaitRelease, ship } from '../steps.js';

/** A pinned run completes on the version on which it started. */
export async function pinnedParcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await ship(parcelId);
}

/** An upgrading run moves to the current version with its next workflow task. */
export async function upgradingParcel(parcelId: string): Promise<void> {
  await packAndAwaitRelease(parcelId);
  await ship(parcelId);
}

setWorkflowOptions({ versioningBehavior: 'PINNED' }, pinnedParcel);
setWorkflowOptions({ versioningBehavior: 'AUTO_UPGRADE' }, upgradingParcel);
