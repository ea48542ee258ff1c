import type { Client } from '@temporalio/client';
import { waitForAll } from '../async/promises.js';
import { OPEN_EXECUTIONS } from '../temporal/client/closed-executions.js';
import { listOldestWorkflowIds } from '../temporal/monitoring.js';
import { batchIdOf } from '../workflows/batch/contract.js';
import { countOpen } from './open-work.js';

/** The visibility query for batches in this status. */
const batchesQuery = (status: 'running' | 'paused') => `WorkflowType = 'batch' and BatchStatus = '${status}'`;

/** Only the oldest 100 running batches are examined. A stalled batch is old, so it is included. */
const MAX_EXAMINED_BATCHES = 100;

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
