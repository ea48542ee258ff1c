import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { waitUntil } from '../processes.js';
import { replayAdvancedRuns } from '../replay/run-tracker.js';

/**
 * The server deletes a workflow only after it has recorded that the close is processed. These settings shorten the
 * interval of this record from its default of 30 s.
 */
export const PROMPT_DELETION = [
  'history.transferProcessorUpdateAckInterval="200ms"',
  'history.visibilityProcessorUpdateAckInterval="200ms"',
];

/** Deletes a closed workflow, like Temporal after the retention period. The server needs `PROMPT_DELETION`. */
export async function deleteWorkflow(client: Client, workflowId: string): Promise<void> {
  // The replay check needs the history, so it runs before the deletion.
  await replayAdvancedRuns();
  const { namespace } = client.options;
  await client.workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId } });
  const isGone = () =>
    client.workflow
      .getHandle(workflowId)
      .describe()
      .then(
        () => undefined,
        (error: unknown) => error instanceof WorkflowNotFoundError || undefined,
      );
  await waitUntil(isGone, { description: `the deletion of ${workflowId}`, timeoutMs: 20_000 });
}
