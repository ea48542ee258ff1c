import { createHash } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type * as workflows from './2-both-types.js';

/** The same parcel always gets the same type at the same percentage; a higher percentage moves no parcel back. */
export function typeOfNewParcel(parcelId: string, percentOfV2: number): keyof typeof workflows {
  const bucket = createHash('sha256').update(parcelId).digest().readUInt32BE() % 100;
  return bucket < percentOfV2 ? 'parcelV2' : 'parcel';
}

/**
 * Starts a parcel, or joins it when it is open already. Both types share one workflow id for each parcel, so a parcel
 * cannot run twice when the percentage changes between two requests.
 */
export async function startParcel(
  client: Client,
  parcelId: string,
  { taskQueue, percentOfV2 }: { taskQueue: string; percentOfV2: number },
): Promise<WorkflowHandle> {
  return await client.workflow.start(typeOfNewParcel(parcelId, percentOfV2), {
    workflowId: `parcel:${parcelId}`,
    workflowIdConflictPolicy: 'USE_EXISTING',
    taskQueue,
    args: [parcelId],
  });
}
