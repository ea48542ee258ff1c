import { status } from '@grpc/grpc-js';
import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { ERASE_WORKFLOW_TYPE } from '../../../src/workflows/housekeeping/contract.js';
import { grpcErrorIn } from '../../../src/temporal/grpc-errors.js';
import { iterateExecutions } from '../../../src/temporal/client/visibility.js';
import type { Bundle, RecordedHistory } from '../../../tools/replay/replay-histories.js';
import type { Replayer } from './replayer.js';

/** The workflow code that wrote a history, with the codecs that can read it. The same code replays the history. */
export interface WorkflowCode {
  workflowBundle: Bundle;
  payloadCodecs: readonly PayloadCodec[];
}

type RunId = Pick<RecordedHistory, 'workflowId' | 'runId' | 'workflowType'>;

interface TrackedRun extends RunId {
  client: Client;
  code: WorkflowCode;
  /** The number of events of this run that have been replayed. */
  replayedEvents: number;
  isClosed: boolean;
}

/** The runs since the last server was closed, by run id. */
const trackedRuns = new Map<string, TrackedRun>();
const advancedRuns = new Set<TrackedRun>();
/** Namespaces with workers in separate processes. This process cannot observe which runs those workers advance. */
const trackedNamespaces = new Map<string, { client: Client; code: WorkflowCode }>();
/** Replayers of bundles in files, which are the same in all test files of this process. */
const sharedReplayers = new Map<unknown, Promise<Replayer>>();
/** Replayers that only the current test file uses, because their code or encryption keys belong to the file. */
const fileReplayers = new Map<unknown, Promise<Replayer>>();
let differences: string[] = [];

/** Records that a run has advanced. */
export function trackRun(client: Client, { workflowId, runId, workflowType }: RunId, code: WorkflowCode): void {
  const run = trackedRuns.get(runId) ?? {
    workflowId,
    runId,
    workflowType,
    client,
    code,
    replayedEvents: 0,
    isClosed: false,
  };
  trackedRuns.set(runId, Object.assign(run, { client, code }));
  advancedRuns.add(run);
}

/**
 * From now on, also replays all runs of a namespace, until the next server is closed. `key` identifies the server and
 * the namespace.
 */
export function trackNamespace(key: string, { client, code }: { client: () => Client; code: WorkflowCode }): void {
  if (!trackedNamespaces.has(key)) trackedNamespaces.set(key, { client: client(), code });
}

/** Replays the runs that have advanced since the last call. Keeps the differences for `takeDifferences`. */
export async function replayAdvancedRuns(): Promise<void> {
  for (const { client, code } of trackedNamespaces.values()) {
    for await (const { workflowId, runId, type: workflowType } of iterateExecutions(client)) {
      if (!trackedRuns.get(runId)?.isClosed) trackRun(client, { workflowId, runId, workflowType }, code);
    }
  }
  const toReplay = [...advancedRuns];
  advancedRuns.clear();
  await Promise.all(toReplay.map(replayRun));
}

/**
 * Replays all open runs. Must be called before their server is closed, because events may have been added after the
 * last replay.
 */
export async function replayOpenRuns(): Promise<void> {
  for (const run of trackedRuns.values()) if (!run.isClosed) advancedRuns.add(run);
  await replayAdvancedRuns();
  trackedRuns.clear();
  const places = [...trackedNamespaces.values()];
  trackedNamespaces.clear();
  await Promise.all(places.map(({ client }) => client.connection.close()));
}

/** Returns and clears the differences since the last call. */
export function takeDifferences(): string[] {
  const taken = differences;
  differences = [];
  return taken;
}

/** Closes the replayers that only the current test file uses. */
export async function closeFileReplayers(): Promise<void> {
  const closing = [...fileReplayers.values()];
  fileReplayers.clear();
  await Promise.all(closing.map(async (replayer) => (await replayer).close()));
}

async function replayRun(run: TrackedRun): Promise<void> {
  // A query also causes a replay of its run. A closed run has no new events, and Temporal may have deleted it in the
  // meantime.
  if (run.isClosed) return;
  const { client, workflowId, runId, workflowType } = run;
  const history = await client.workflow
    .getHandle(workflowId, runId)
    .fetchHistory()
    .catch((error: unknown) => {
      // `npm run erase` deletes its own runs.
      if (workflowType === ERASE_WORKFLOW_TYPE && grpcErrorIn(error)?.code === status.NOT_FOUND) return undefined;
      throw error;
    });
  if (!history) return;
  const replayer = await replayerFor(run.code);
  const { isClosed, replayedEvents, difference } = await replayer.replay(
    { workflowId, runId, workflowType, history },
    run.replayedEvents,
  );
  Object.assign(run, { isClosed, replayedEvents });
  if (difference) differences.push(difference);
}

/** Returns the replayer for a bundle. Each worker with encryption keys has a separate replayer. */
async function replayerFor({ workflowBundle, payloadCodecs }: WorkflowCode): Promise<Replayer> {
  const isShared = payloadCodecs.length === 0 && 'codePath' in workflowBundle;
  const replayers = isShared ? sharedReplayers : fileReplayers;
  const key = payloadCodecs[0] ?? ('code' in workflowBundle ? workflowBundle.code : workflowBundle.codePath);
  const start = async () => {
    // Imported here and not at the top, because this import loads the SDK's worker, which tests without workflows do
    // not need.
    const { Replayer } = await import('./replayer.js');
    const code = { workflowBundle, dataConverter: { payloadCodecs: [...payloadCodecs] } };
    return new Replayer(code, { onStop: () => replayers.delete(key) });
  };
  const replayer = replayers.get(key) ?? start();
  replayers.set(key, replayer);
  return await replayer;
}
