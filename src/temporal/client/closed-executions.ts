import type { Client } from '@temporalio/client';
import { listExecutions, MAX_VISIBILITY_PAGE, type Execution } from './visibility.js';

/** Visibility lists starts and ends about a second late. This value is a safe upper bound. */
export const VISIBILITY_LAG_MS = 60_000;

/** Whether the server ended the run. Its workflow code did not run again, so it recorded nothing. */
export const isTerminatedOrTimedOut = ({ status }: { status: { name: string } }): boolean =>
  ['TERMINATED', 'TIMED_OUT'].includes(status.name);

/**
 * Creates a scan for executions of a type that the server ended. Each scan calls `record` with the workflow ids of the
 * executions that ended since the last successful scan. The ids include reset workflows, because a reset also ends a
 * run and continues in a new run.
 */
export function createTerminationScan(client: Client, workflowType: string) {
  let since = new Date(0);
  return async (record: (workflowIds: string[]) => Promise<void>): Promise<void> => {
    const startedAt = Date.now();
    await record(await findTerminatedSince(client, workflowType, since));
    since = new Date(startedAt - VISIBILITY_LAG_MS);
  };
}

async function findTerminatedSince(client: Client, workflowType: string, since: Date): Promise<string[]> {
  const query = [
    `WorkflowType = '${workflowType}'`,
    `ExecutionStatus in ('Terminated', 'TimedOut')`,
    `CloseTime > '${since.toISOString()}'`,
  ].join(' and ');
  const workflowIds = new Set<string>();
  let pageToken: Uint8Array | undefined;
  do {
    const page = await listExecutions(client, { query, pageSize: MAX_VISIBILITY_PAGE, pageToken });
    for (const { workflowId } of page.executions) workflowIds.add(workflowId);
    pageToken = page.nextPageToken;
  } while (pageToken);
  return [...workflowIds];
}

/**
 * Finds the executions with these workflow ids and statuses in one call. Our workflow ids need no escaping in a query.
 */
export async function findExecutions(
  client: Client,
  workflowIds: readonly string[],
  statuses: readonly ('Running' | 'Canceled' | 'Failed' | 'Terminated' | 'TimedOut')[],
): Promise<Execution[]> {
  if (workflowIds.length === 0) return [];
  const listOf = (values: readonly string[]) => values.map((value) => `'${value}'`).join(', ');
  const query = `WorkflowId in (${listOf(workflowIds)}) and ExecutionStatus in (${listOf(statuses)})`;
  return (await listExecutions(client, { query, pageSize: MAX_VISIBILITY_PAGE })).executions;
}

/** How an execution closed that did not record its end in the store. `failed` includes terminated and timed out. */
export type UnrecordedClose = 'cancelled' | 'failed';

/**
 * Finds executions that are closed in Temporal but open in the store. Such executions exist because workflow code does
 * not notice a termination. Makes one call for all executions. Returns an empty map when Temporal does not respond, so
 * that a list shows the state in the store.
 *
 * @param executions `since` is the time when the store recorded the execution as open. Runs that closed earlier belong
 * to an earlier use of the same id.
 *
 * @returns how each execution closed, by workflow id.
 */
export async function findUnrecordedCloses(
  client: Client,
  executions: readonly { workflowId: string; since: Date }[],
): Promise<Map<string, UnrecordedClose>> {
  const closes = new Map<string, UnrecordedClose>();
  const sinceOf = new Map(executions.map(({ workflowId, since }) => [workflowId, since.getTime()]));
  const statuses = ['Running', 'Canceled', 'Failed', 'Terminated', 'TimedOut'] as const;
  const found = await findExecutions(client, [...sinceOf.keys()], statuses).catch(() => []);
  const running = new Set<string>();
  for (const { workflowId, status, closeTime } of found) {
    // After a reset, the old run is terminated and a new run is open.
    if (status.name === 'RUNNING') running.add(workflowId);
    else if (closeTime && closeTime.getTime() >= (sinceOf.get(workflowId) ?? Infinity)) {
      closes.set(workflowId, status.name === 'CANCELLED' ? 'cancelled' : 'failed');
    }
  }
  for (const workflowId of running) closes.delete(workflowId);
  return closes;
}
