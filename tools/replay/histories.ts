import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { iterateExecutions } from '../../src/temporal/client/visibility.js';
import { historyFromJSON } from '../../src/temporal/sdk/histories.js';
import { projectRoot } from '../settings/environment.js';
import type { History } from './history-events.js';
import type { RecordedHistory } from './replay-histories.js';

/** Contains one folder per generation, for example `0001/order-completed.json`. */
export const COMMITTED_HISTORIES_FOLDER = join(projectRoot, 'test', 'replay', 'histories');

/**
 * Reads the histories in a folder, sorted by generation and name. Returns an empty list when the folder does not exist.
 */
export async function readCommittedHistories(
  folder = COMMITTED_HISTORIES_FOLDER,
): Promise<(RecordedHistory & { file: string })[]> {
  if (!existsSync(folder)) return [];
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.json')).sort();
  return await Promise.all(files.map(async (file) => ({ ...(await readHistoryFile(join(folder, file))), file })));
}

/** Reads a history that `temporal workflow show --output json` printed. @throws if the file has another content. */
export async function readHistoryFile(file: string): Promise<RecordedHistory & { file: string }> {
  const text = await readFile(file, 'utf8');
  try {
    return { file, ...toRecordedHistory(historyFromJSON(JSON.parse(text))) };
  } catch (error) {
    throw new Error(`${file} contains no history: export it with "temporal workflow show --output json"`, {
      cause: error,
    });
  }
}

function toRecordedHistory(history: History): Omit<RecordedHistory, 'file'> {
  const { workflowId, originalExecutionRunId, workflowType } =
    history.events![0]!.workflowExecutionStartedEventAttributes!;
  return { workflowId: workflowId!, runId: originalExecutionRunId!, workflowType: workflowType!.name!, history };
}

/**
 * Returns at most `limit` runs that match a visibility query. The sample contains runs of every workflow type, even if
 * one type has most of the runs.
 */
export async function sampleRuns(client: Client, query: string, limit: number): Promise<WorkflowExecutionInfo[]> {
  const byType = new Map<string, WorkflowExecutionInfo[]>();
  for (;;) {
    const others = [...byType.keys()].map((type) => `WorkflowType != '${type}'`);
    const [found] = await listRuns(client, [`(${query})`, ...others].join(' and '), 1);
    if (!found || byType.has(found.type)) break;
    byType.set(found.type, await listRuns(client, `(${query}) and WorkflowType = '${found.type}'`, limit));
  }
  const sample: WorkflowExecutionInfo[] = [];
  for (let turn = 0; sample.length < limit; turn++) {
    const inTurn = [...byType.values()].flatMap((runs) => runs.slice(turn, turn + 1));
    if (inTurn.length === 0) break;
    sample.push(...inTurn);
  }
  return sample.slice(0, limit);
}

async function listRuns(client: Client, query: string, limit: number): Promise<WorkflowExecutionInfo[]> {
  const found: WorkflowExecutionInfo[] = [];
  for await (const run of iterateExecutions(client, query, { pageSize: Math.min(limit, 1_000) })) {
    found.push(run);
    if (found.length === limit) break;
  }
  return found;
}

/** Fetches the histories of runs one after the other. */
export async function* fetchHistories(
  client: Client,
  runs: Pick<WorkflowExecutionInfo, 'workflowId' | 'runId' | 'type'>[],
): AsyncGenerator<RecordedHistory> {
  for (const { workflowId, runId, type } of runs) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    yield { workflowId, runId, workflowType: type, history };
  }
}
