import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { SERVER_DEADLINE_MS, withDeadline } from './executions.js';

const { WORKFLOW_EXECUTION_STATUS_RUNNING: RUNNING, WORKFLOW_EXECUTION_STATUS_CANCELED: CANCELED } =
  proto.temporal.api.enums.v1.WorkflowExecutionStatus;

/** How an execution ended that did not record its end in the store: cancelled, or else failed, terminated or timed out. */
export type UnrecordedEnd = 'cancelled' | 'failed';

/**
 * The executions, open in the store, that have ended all the same: workflow code does not see a termination. One call for
 * all; when Temporal does not answer, there are none, and a list shows what the store knows.
 *
 * @param executions with ids of our own form, which need no escaping in a query; `since` is when the store recorded the
 * execution as open. Runs that closed before are other lives of the same id.
 */
export async function unrecordedEnds(
  client: Client,
  executions: readonly { workflowId: string; since: Date }[],
): Promise<Map<string, UnrecordedEnd>> {
  const ends = new Map<string, UnrecordedEnd>();
  if (executions.length === 0) return ends;
  const sinceOf = new Map(executions.map(({ workflowId, since }) => [workflowId, since.getTime()]));
  const ids = [...sinceOf.keys()].map((workflowId) => `'${workflowId}'`).join(', ');
  const statuses = `'Running', 'Canceled', 'Failed', 'Terminated', 'TimedOut'`;
  const { namespace } = client.options;
  const { executions: found } = await withDeadline(client, SERVER_DEADLINE_MS, () =>
    client.workflowService.listWorkflowExecutions({
      namespace,
      query: `WorkflowId in (${ids}) and ExecutionStatus in (${statuses})`,
      pageSize: 1_000,
    }),
  ).catch(() => ({ executions: [] }));
  const running = new Set<string>();
  for (const { execution, status, closeTime } of found ?? []) {
    const workflowId = execution?.workflowId ?? '';
    // A reset terminates a run and begins another one.
    if (status === RUNNING) running.add(workflowId);
    else if (closeTime && tsToMs(closeTime) >= (sinceOf.get(workflowId) ?? Infinity)) {
      ends.set(workflowId, status === CANCELED ? 'cancelled' : 'failed');
    }
  }
  for (const workflowId of running) ends.delete(workflowId);
  return ends;
}
