import { status } from '@grpc/grpc-js';
import type { Client } from '@temporalio/client';
import { grpcErrorIn } from '../grpc-errors.js';
import { withServerDeadline } from './deadlines.js';

/** Requests the deletion of a closed run. The server deletes it later. Does nothing if the run is already deleted. */
export async function deleteClosedRun(
  client: Client,
  { workflowId, runId }: { workflowId: string; runId: string },
): Promise<void> {
  const { namespace } = client.options;
  try {
    await withServerDeadline(client, () =>
      client.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId, runId } }),
    );
  } catch (error) {
    if (grpcErrorIn(error)?.code !== status.NOT_FOUND) throw error;
  }
}
