import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { listedExecutions } from './executions.js';
import { checkout } from '../stack/settings.js';
import type { History } from './events.js';
import type { Recorded } from './replay.js';

/** Contains a folder for each generation: `0001/order-completed.json`. */
export const HISTORIES_FOLDER = join(checkout, 'test', 'replay', 'histories');

/** The histories in a folder, sorted by generation and name; empty when the folder does not exist. */
export async function committedHistories(folder = HISTORIES_FOLDER): Promise<(Recorded & { file: string })[]> {
  if (!existsSync(folder)) return [];
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.json')).sort();
  return await Promise.all(
    files.map(async (file) => ({
      file,
      ...identified(historyFromJSON(JSON.parse(await readFile(join(folder, file), 'utf8')))),
    })),
  );
}

function identified(history: History): Omit<Recorded, 'file'> {
  const { workflowId, originalExecutionRunId, workflowType } =
    history.events![0]!.workflowExecutionStartedEventAttributes!;
  return { workflowId: workflowId!, runId: originalExecutionRunId!, type: workflowType!.name!, history };
}

/**
 * A sample of at most `limit` runs that a visibility query finds. It includes runs of each workflow type, so that a
 * frequent type does not crowd out a rare one.
 */
export async function sampleOf(client: Client, query: string, limit: number): Promise<WorkflowExecutionInfo[]> {
  const byType = new Map<string, WorkflowExecutionInfo[]>();
  for (;;) {
    const others = [...byType.keys()].map((type) => `WorkflowType != '${type}'`);
    const [found] = await listed(client, [`(${query})`, ...others].join(' and '), 1);
    if (!found || byType.has(found.type)) break;
    byType.set(found.type, await listed(client, `(${query}) and WorkflowType = '${found.type}'`, limit));
  }
  const sample: WorkflowExecutionInfo[] = [];
  for (let turn = 0; sample.length < limit; turn++) {
    const inTurn = [...byType.values()].flatMap((runs) => runs.slice(turn, turn + 1));
    if (inTurn.length === 0) break;
    sample.push(...inTurn);
  }
  return sample.slice(0, limit);
}

async function listed(client: Client, query: string, limit: number): Promise<WorkflowExecutionInfo[]> {
  const found: WorkflowExecutionInfo[] = [];
  for await (const run of listedExecutions(client, query, { pageSize: Math.min(limit, 1_000) })) {
    found.push(run);
    if (found.length === limit) break;
  }
  return found;
}

/** The histories of runs, fetched one after the other. */
export async function* fetched(
  client: Client,
  runs: Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'type'>[],
): AsyncGenerator<Recorded> {
  for (const { workflowId, runId, type } of runs) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    yield { workflowId, runId, type, history };
  }
}
