import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import { workflowIdIn, listExecutions, MAX_VISIBILITY_PAGE, type Execution } from './visibility.js';

/** Visibility lists starts and ends about a second late. This value is a safe upper bound. */
export const VISIBILITY_LAG_MS = 60_000;

const CLOSED_STATUSES: ReadonlySet<string> = new Set<WorkflowExecutionStatusName>([
  'COMPLETED',
  'FAILED',
  'CANCELLED',
  'TERMINATED',
  'CONTINUED_AS_NEW',
  'TIMED_OUT',
]);

/**
 * The part of a visibility query that selects open executions, also paused ones. An older server rejects a query with
 * the status `Paused`, so the query excludes the closed statuses.
 */
export const OPEN_EXECUTIONS = `ExecutionStatus not in ('Completed', 'Failed', 'Canceled', 'Terminated', 'ContinuedAsNew', 'TimedOut')`;

/**
 * Whether the run is open. An open run can have another status than `RUNNING`: an operator can pause the workflow, and a
 * newer server may have statuses that the SDK does not know.
 */
export const isOpen = ({ status }: { status: { name: string } }): boolean => !CLOSED_STATUSES.has(status.name);

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

/** A workflow that is open in the store. */
export interface OpenWorkflow {
  workflowId: string;
  /** When the store recorded the workflow as open. Runs that closed earlier belong to an earlier use of the id. */
  openSince: Date;
}

/**
 * Finds the current execution of each workflow in one call: the open execution, or otherwise the last execution that
 * closed without recording its end.
 *
 * @returns the executions by workflow id.
 */
export async function findLatestExecutions(
  client: Client,
  workflows: readonly OpenWorkflow[],
): Promise<Map<string, Execution>> {
  const latest = new Map<string, Execution>();
  if (workflows.length === 0) return latest;
  const openSince = new Map(workflows.map(({ workflowId, openSince }) => [workflowId, openSince]));
  const query = `${workflowIdIn(openSince.keys())} and ExecutionStatus not in (${RECORDED_STATUSES})`;
  // Visibility lists open executions first, and then closed executions from the newest to the oldest.
  for (const execution of (await listExecutions(client, { query, pageSize: MAX_VISIBILITY_PAGE })).executions) {
    const { workflowId, closeTime } = execution;
    const isCurrent = isOpen(execution) || (closeTime && closeTime >= openSince.get(workflowId)!);
    // After a reset, the old run is terminated and a new run is open.
    if (isCurrent && (isOpen(execution) || !latest.has(workflowId))) latest.set(workflowId, execution);
  }
  return latest;
}

/** The workflow recorded its end. Other statuses are not listed here, because an older server rejects unknown statuses. */
const RECORDED_STATUSES = `'Completed', 'ContinuedAsNew'`;
