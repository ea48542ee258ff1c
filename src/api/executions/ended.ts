import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { SERVER_DEADLINE_MS, withDeadline } from './executions.js';
import { listExecutions } from './listing.js';

/** Visibility shows starts and ends about a second late; this leaves a wide margin. */
export const VISIBILITY_LAG_MS = 60_000;

/** Maximum page size of the server. */
export const MAX_VISIBILITY_PAGE = 1_000;

/** Whether the server ended a run. Its workflow code did not notice and could not record the end. */
export const isEndedByServer = ({ status }: { status: { name: string } }): boolean =>
  ['TERMINATED', 'TIMED_OUT'].includes(status.name);

/**
 * Finds executions of a type that the server ended. Each call passes on the workflow ids of those that ended since the
 * last successful call. They include reset workflows: a reset also ends a run, and continues in a new one.
 */
export function watchEnds(client: Client, workflowType: string) {
  let since = new Date(0);
  return async (record: (workflowIds: string[]) => Promise<void>): Promise<void> => {
    const startedAt = Date.now();
    await record(await endedSince(client, workflowType, since));
    since = new Date(startedAt - VISIBILITY_LAG_MS);
  };
}

async function endedSince(client: Client, workflowType: string, since: Date): Promise<string[]> {
  const query = [
    `WorkflowType = '${workflowType}'`,
    `ExecutionStatus in ('Terminated', 'TimedOut')`,
    `CloseTime > '${since.toISOString()}'`,
  ].join(' and ');
  const ids = new Set<string>();
  for (let place: Uint8Array | undefined; ;) {
    const request = { limit: MAX_VISIBILITY_PAGE, ...(place && { place }) };
    const page = await listExecutions(client, query, request, ({ workflowId }) => workflowId);
    for (const id of page.items) ids.add(id);
    place = page.nextPlace;
    if (!place) return [...ids];
  }
}

const { WORKFLOW_EXECUTION_STATUS_RUNNING: RUNNING, WORKFLOW_EXECUTION_STATUS_CANCELED: CANCELED } =
  proto.temporal.api.enums.v1.WorkflowExecutionStatus;

/**
 * How an execution ended without recording its end in the store: cancelled, or else failed, terminated or timed out.
 */
export type UnrecordedEnd = 'cancelled' | 'failed';

/**
 * The executions that have ended although they are open in the store, because workflow code does not see a termination.
 * Makes one call for all executions. When Temporal does not answer, the result is empty, and a list shows what the
 * store knows.
 *
 * @param executions with our workflow ids, which need no escaping in a query. `since` is the time when the store
 * recorded the execution as open; runs that closed earlier belong to an earlier use of the same id.
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
      pageSize: MAX_VISIBILITY_PAGE,
    }),
  ).catch(() => ({ executions: [] }));
  const running = new Set<string>();
  for (const { execution, status, closeTime } of found ?? []) {
    const workflowId = execution?.workflowId ?? '';
    // A reset terminates a run and starts a new one.
    if (status === RUNNING) running.add(workflowId);
    else if (closeTime && tsToMs(closeTime) >= (sinceOf.get(workflowId) ?? Infinity)) {
      ends.set(workflowId, status === CANCELED ? 'cancelled' : 'failed');
    }
  }
  for (const workflowId of running) ends.delete(workflowId);
  return ends;
}
