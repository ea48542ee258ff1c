import type { Client } from '@temporalio/client';
import { waitForAll } from '../async/promises.js';
import { approvalClientsOf, type ShopClients } from '../temporal/client/approval-clients.js';
import { OPEN_EXECUTIONS } from '../temporal/client/closed-executions.js';
import { listOldestWorkflowIds } from '../temporal/monitoring.js';
import { APPROVAL_WORKFLOW_TYPE } from '../workflows/approval/contract.js';
import { batchIdOf } from '../workflows/batch/contract.js';

/*
 * The open work that only Temporal can count. Metrics and the console show these counts, so both use the functions of
 * this file.
 */

/** The visibility query for batches in this status. */
const batchesQuery = (status: 'running' | 'paused') => `WorkflowType = 'batch' and BatchStatus = '${status}'`;

/** Only the oldest 100 running batches are examined. A stalled batch is old, so it is included. */
const MAX_EXAMINED_BATCHES = 100;

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

async function countOpen(client: Client, query: string): Promise<number> {
  const { count } = await client.workflow.count(`${query} and ${OPEN_EXECUTIONS}`);
  return count;
}

/** Counts the open batches. */
export async function countOpenBatches(client: Client) {
  const [running, paused] = await waitForAll([
    countOpen(client, batchesQuery('running')),
    countOpen(client, batchesQuery('paused')),
  ]);
  return { running, paused };
}

/** Lists the ids of the oldest 100 running batches. */
export async function listRunningBatchIds(client: Client): Promise<string[]> {
  const query = `${batchesQuery('running')} and ${OPEN_EXECUTIONS}`;
  const workflowIds = await listOldestWorkflowIds(client, query, MAX_EXAMINED_BATCHES);
  return workflowIds.map(batchIdOf);
}
