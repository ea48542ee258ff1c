import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { listedExecutions } from '../../dev/executions.js';
import type { Bundle, Recorded } from '../../dev/replay/replay.js';
import type { Replayer } from './replayer.js';

/** What wrote a history, and is to write it once more. */
export interface Author {
  workflowBundle: Bundle;
  payloadCodecs: readonly PayloadCodec[];
}

type Named = Pick<Recorded, 'workflowId' | 'runId' | 'type'>;

interface Run extends Named {
  client: Client;
  author: Author;
  /** How many of its events have been replayed. */
  replayed: number;
  closed: boolean;
}

/** What was run since the last server closed, by run id, and what of it has gone on since it was replayed. */
const runs = new Map<string, Run>();
const grown = new Set<Run>();
/** Where processes work, which tell nobody here what they go on with. */
const unseen = new Map<string, { client: Client; author: Author }>();
const replayers = new Map<unknown, Promise<Replayer>>();
let differences: string[] = [];

/** Notes that a run has gone on. */
export function hasGoneOn(client: Client, { workflowId, runId, type }: Named, author: Author): void {
  const run = runs.get(runId) ?? { workflowId, runId, type, client, author, replayed: 0, closed: false };
  runs.set(runId, Object.assign(run, { client, author }));
  grown.add(run);
}

/** All in a place, a namespace of a server, is replayed as well until the next server closes. */
export function goesOnUnseen(place: string, { client, author }: { client: () => Client; author: Author }): void {
  if (!unseen.has(place)) unseen.set(place, { client: client(), author });
}

/** Replays the runs that have gone on since; where one differs is kept for `takeDifferences`. */
export async function replayGrown(): Promise<void> {
  for (const { client, author } of unseen.values()) {
    for await (const run of listedExecutions(client)) {
      if (!runs.get(run.runId)?.closed) hasGoneOn(client, run, author);
    }
  }
  const toReplay = [...grown];
  grown.clear();
  await Promise.all(toReplay.map(replay));
}

/** The same with all that is still open, before its server is gone: the last events may have come after a look. */
export async function replayOpen(): Promise<void> {
  for (const run of runs.values()) if (!run.closed) grown.add(run);
  await replayGrown();
  runs.clear();
  const places = [...unseen.values()];
  unseen.clear();
  await Promise.all(places.map(({ client }) => client.connection.close()));
}

/** What replays have found since this was asked last. */
export function takeDifferences(): string[] {
  const taken = differences;
  differences = [];
  return taken;
}

export async function closeReplayers(): Promise<void> {
  await Promise.all([...replayers.values()].map(async (replayer) => (await replayer).close()));
  replayers.clear();
}

async function replay(run: Run): Promise<void> {
  // A query of a closed run comes here as well. Nothing was added, and Temporal may have deleted the run meanwhile.
  if (run.closed) return;
  const { client, workflowId, runId, type } = run;
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const replayer = await replayerOf(run.author);
  const { closed, replayed, difference } = await replayer.replay({ workflowId, runId, type, history }, run.replayed);
  Object.assign(run, { closed, replayed });
  if (difference) differences.push(difference);
}

/** One for each bundle; a worker with keys has one of its own. */
async function replayerOf({ workflowBundle, payloadCodecs }: Author): Promise<Replayer> {
  const key = payloadCodecs[0] ?? ('code' in workflowBundle ? workflowBundle.code : workflowBundle.codePath);
  const start = async () => {
    // It brings the SDK's worker along, which tests without workflows have no need of.
    const { Replayer } = await import('./replayer.js');
    return new Replayer({ workflowBundle, dataConverter: { payloadCodecs: [...payloadCodecs] } });
  };
  const replayer = replayers.get(key) ?? start();
  replayers.set(key, replayer);
  return await replayer;
}
