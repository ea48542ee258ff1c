import type { Client, WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';
import { waitUntil } from '../processes.js';

const { RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL: SIGNAL, RESET_REAPPLY_EXCLUDE_TYPE_UPDATE: UPDATE } =
  proto.temporal.api.enums.v1.ResetReapplyExcludeType;

/**
 * Returns the event ids of the completed workflow tasks of a run. They are valid values for `temporal workflow reset
 * --event-id`.
 */
export async function resetPoints(handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? [])
    .filter((event) => event.workflowTaskCompletedEventAttributes)
    .map(({ eventId }) => Number(eventId));
}

/**
 * Resets a run, as `temporal workflow reset` does. With `without`, signals and updates after the reset point are not
 * reapplied (`--reapply-exclude Update,Signal`).
 *
 * @returns the handle of the new run.
 */
export async function resetRun(
  client: Client,
  { workflowId, runId }: { workflowId: string; runId: string },
  eventId: number,
  { without = false } = {},
): Promise<WorkflowHandle> {
  const response = await client.workflowService.resetWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: { workflowId, runId },
    reason: 'test',
    requestId: `${runId}:${eventId}:${without}`,
    workflowTaskFinishEventId: eventId as never,
    ...(without && { resetReapplyExcludeTypes: [SIGNAL, UPDATE] }),
  });
  return client.workflow.getHandle(workflowId, response.runId);
}

/** Waits until a workflow is closed. @returns its final status. */
export async function waitForClose(handle: WorkflowHandle): Promise<string> {
  const status = async () => {
    const { name } = (await handle.describe()).status;
    return name === 'RUNNING' ? undefined : name;
  };
  return await waitUntil(status, { description: `the end of ${handle.workflowId}`, timeoutMs: 60_000, intervalMs: 50 });
}
