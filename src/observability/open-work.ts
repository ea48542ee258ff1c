import type { Client } from '@temporalio/client';
import { waitForAll } from '../async/promises.js';
import { approvalClientsOf, type ShopClients } from '../temporal/client/approval-clients.js';
import { OPEN_EXECUTIONS } from '../temporal/client/closed-executions.js';
import { APPROVAL_WORKFLOW_TYPE } from '../workflows/approval/contract.js';

/**
 * Counts the open workflows of a type in all namespaces, also paused ones.
 *
 * @param filter another condition of the query. Callers must escape its values.
 */
export async function countOpenWorkflows(clients: ShopClients, type: string, filter?: string): Promise<number> {
  const conditions = [`WorkflowType = '${type}'`, ...(filter === undefined ? [] : [filter])].join(' and ');
  const counts = (type === APPROVAL_WORKFLOW_TYPE ? approvalClientsOf(clients) : [clients.client]).map((client) =>
    countOpen(client, conditions),
  );
  return (await waitForAll(counts)).reduce((sum, count) => sum + count, 0);
}

/** Counts the open workflows of a visibility query in one namespace. */
export async function countOpen(client: Client, query: string): Promise<number> {
  const { count } = await client.workflow.count(`${query} and ${OPEN_EXECUTIONS}`);
  return count;
}
