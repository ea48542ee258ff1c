import type { Client } from '@temporalio/client';
import { listExecutions, workflowIdIn } from './visibility.js';

/** Returns those of the given workflow ids that have a running execution in visibility. A paused execution is not running. */
export async function findRunningWorkflows(client: Client, workflowIds: readonly string[]): Promise<Set<string>> {
  if (workflowIds.length === 0) return new Set();
  const query = `${workflowIdIn(workflowIds)} and ExecutionStatus = 'Running'`;
  const { executions } = await listExecutions(client, { query, pageSize: workflowIds.length });
  return new Set(executions.map(({ workflowId }) => workflowId));
}
