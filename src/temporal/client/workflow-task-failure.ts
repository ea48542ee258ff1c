import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import { withServerDeadline } from './deadlines.js';

const { EventType, WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

/** After the failed attempt, the history can have more events, for example signals. */
const MAX_EVENTS_AFTER_FAILURE = 100;

export type WorkflowTaskFailure = 'non-determinism' | 'other';

/**
 * Returns why the last workflow task of an open workflow failed: `non-determinism` if the code does not match the
 * history, `other` for any other error in workflow code. Returns undefined if the last task did not fail. Temporal
 * repeats a failed task until it succeeds.
 */
export async function findWorkflowTaskFailure(
  client: Client,
  { workflowId, runId, raw }: Pick<WorkflowExecutionDescription, 'workflowId' | 'runId' | 'raw'>,
): Promise<WorkflowTaskFailure | undefined> {
  // A first attempt has not failed, so this is enough for most workflows.
  if ((raw.pendingWorkflowTask?.attempt ?? 0) < 2) return undefined;
  const { history } = await withServerDeadline(client, () =>
    client.workflowService.getWorkflowExecutionHistoryReverse({
      namespace: client.options.namespace,
      execution: { workflowId, runId },
      maximumPageSize: MAX_EVENTS_AFTER_FAILURE,
    }),
  );
  for (const { eventType, workflowTaskFailedEventAttributes: failed } of history?.events ?? []) {
    if (failed) return isNonDeterminism(failed) ? 'non-determinism' : 'other';
    if (eventType === EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED) return undefined;
  }
  return undefined;
}

const isNonDeterminism = ({ cause }: proto.temporal.api.history.v1.IWorkflowTaskFailedEventAttributes): boolean =>
  cause === WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR;
