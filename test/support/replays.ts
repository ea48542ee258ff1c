import type { Client } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { listedExecutions } from '../../tools/replay/executions.js';
import type { Bundle, Recorded } from '../../tools/replay/replay.js';
import type { Replayer } from './replayer.js';

/** The code that wrote a history and that replays it. */
export interface Author {
  workflowBundle: Bundle;
  payloadCodecs: readonly PayloadCodec[];
}

type Named = Pick<Recorded, 'workflowId' | 'runId' | 'type'>;

interface Run extends Named {
  client: Client;
  author: Author;
  /** The number of its events that have been replayed. */
  replayed: number;
  closed: boolean;
}

/** The runs since the last server closed, by run id, and those of them that advanced since their last replay. */
const runs = new Map<string, Run>();
const grown = new Set<Run>();
/** Namespaces in which separate worker processes run, whose progress this process cannot observe. */
const unseen = new Map<string, { client: Client; author: Author }>();
const replayers = new Map<unknown, Promise<Replayer>>();
let differences: string[] = [];

/** Records that a run has advanced. */
export function hasGoneOn(client: Client, { workflowId, runId, type }: Named, author: Author): void {
  const run = runs.get(runId) ?? { workflowId, runId, type, client, author, replayed: 0, closed: false };
  runs.set(runId, Object.assign(run, { client, author }));
  grown.add(run);
}

/** Also replays all runs of a place (a namespace of a server) until the next server closes. */
export function goesOnUnseen(place: string, { client, author }: { client: () => Client; author: Author }): void {
  if (!unseen.has(place)) unseen.set(place, { client: client(), author });
}

/** Replays the runs that have advanced since the last call; keeps differences for `takeDifferences`. */
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

/**
 * Replays all runs that are still open, before their server closes, because events may have been added after the last
 * replay.
 */
export async function replayOpen(): Promise<void> {
  for (const run of runs.values()) if (!run.closed) grown.add(run);
  await replayGrown();
  runs.clear();
  const places = [...unseen.values()];
  unseen.clear();
  await Promise.all(places.map(({ client }) => client.connection.close()));
}

/** Returns the differences found since the last call. */
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
  // A query of a closed run also ends up here. It adds no events, and Temporal may have deleted the run meanwhile.
  if (run.closed) return;
  const { client, workflowId, runId, type } = run;
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const replayer = await replayerOf(run.author);
  const { closed, replayed, difference } = await replayer.replay({ workflowId, runId, type, history }, run.replayed);
  Object.assign(run, { closed, replayed });
  if (difference) differences.push(difference);
}

/** One replayer for each bundle, and one for each worker with encryption keys. */
async function replayerOf({ workflowBundle, payloadCodecs }: Author): Promise<Replayer> {
  const key = payloadCodecs[0] ?? ('code' in workflowBundle ? workflowBundle.code : workflowBundle.codePath);
  const start = async () => {
    // Loaded only here: it imports the SDK's worker, which tests without workflows do not need.
    const { Replayer } = await import('./replayer.js');
    return new Replayer({ workflowBundle, dataConverter: { payloadCodecs: [...payloadCodecs] } });
  };
  const replayer = replayers.get(key) ?? start();
  replayers.set(key, replayer);
  return await replayer;
}
