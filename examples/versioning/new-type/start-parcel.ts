import { createHash } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type * as workflows from './2-both-types.js';

/**
 * Returns the same type for the same parcel and percentage. If the percentage increases, a parcel of the new type keeps
 * the new type.
 */
export function chooseParcelType(parcelId: string, percentOfV2: number): keyof typeof workflows {
  const bucket = createHash('sha256').update(parcelId).digest().readUInt32BE() % 100;
  return bucket < percentOfV2 ? 'parcelV2' : 'parcel';
}

/**
 * Starts a parcel, or joins its open run. A parcel has the same workflow id with both types. So a parcel cannot run
 * twice if the percentage changes between two requests.
 */
export async function startParcel(
  client: Client,
  parcelId: string,
  { taskQueue, percentOfV2 }: { taskQueue: string; percentOfV2: number },
): Promise<WorkflowHandle> {
  return await client.workflow.start(chooseParcelType(parcelId, percentOfV2), {
    workflowId: `parcel:${parcelId}`,
    workflowIdConflictPolicy: 'USE_EXISTING',
    taskQueue,
    args: [parcelId],
  });
}
