import { access } from 'node:fs/promises';
import type { Client } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';
import { loadConfig } from '../../src/config.js';
import { createClient } from '../../src/temporal/connections.js';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import { asTyped, UsageError } from '../terminal/command-line.js';
import { findRunningStack } from '../stack/running-stack.js';
import { readCommandLine, usage, type ServerSample } from './command-line.js';
import { committedHistories, fetched, sampleOf } from './histories.js';
import { replay, type Bundle, type Code, type Recorded, type Replayed } from './replay.js';

const codes = { replays: 0, differs: 1, unknown: 2 };

/** Environment and output of the command. */
interface Caller {
  env: NodeJS.ProcessEnv;
  say: (text: string) => void;
  complain: (text: string) => void;
}

/**
 * `npm run replay`: checks whether the workflows of this checkout can replay the recorded histories and the runs on a
 * server. Returns the exit code; never throws.
 */
export async function runReplay(args: string[], caller: Caller): Promise<number> {
  try {
    return await main(args, caller);
  } catch (error) {
    for (let reason: unknown = error; reason instanceof Error; reason = reason.cause) caller.complain(reason.message);
    if (error instanceof UsageError) caller.complain(`\n${usage}`);
    return codes.unknown;
  }
}

async function main(args: string[], caller: Caller): Promise<number> {
  const { say } = caller;
  const command = readCommandLine(args);
  if (command === 'help') {
    say(usage);
    return codes.replays;
  }
  const client = command.server && (await connect(command.server, caller));
  try {
    const runs = client && command.server && (await sampleOf(client, command.server.query, command.server.limit));
    const code: Code = {
      workflowBundle: await bundleOf(command.bundle),
      dataConverter: { payloadCodecs: client?.options.loadedDataConverter.payloadCodecs ?? [] },
    };
    const committed = command.committed ? await committedHistories() : undefined;
    let differing = 0;
    if (committed?.length) differing += await replayed('committed', committed, { code, say });
    else if (committed) say('No histories are committed yet: npm run record-histories records them');
    const { query, chosen } = command.server ?? {};
    if (client && runs?.length)
      differing += await replayed(`on the server (${query})`, fetched(client, runs), { code, say });
    else if (runs) say(chosen ? 'The query finds no run: nothing could be said' : `nothing runs there (${query})`);
    if (differing > 0) return codes.differs;
    const replayedNothing = committed?.length === 0 && !runs?.length;
    return replayedNothing || (runs?.length === 0 && chosen) ? codes.unknown : codes.replays;
  } finally {
    await client?.connection.close();
  }
}

/** Returns the number of histories that the code does not replay, and reports each of them. */
async function replayed(
  where: string,
  histories: Iterable<Recorded> | AsyncIterable<Recorded>,
  { code, say }: { code: Code; say: Caller['say'] },
): Promise<number> {
  const counts = new Map<string, number>();
  let differing = 0;
  for await (const run of replay(histories, code)) {
    counts.set(run.type, (counts.get(run.type) ?? 0) + 1);
    if (!run.difference) continue;
    differing += 1;
    say(`DIFFERS: ${inOneLine(run)}`);
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const types = [...counts].map(([type, count]) => `${count} ${type}`).join(', ');
  say(`${total} histories ${where}${types && `: ${types}`}; ${differing || 'none'} not as the code would do it`);
  return differing;
}

function inOneLine({ file, workflowId, runId, type, difference }: Replayed): string {
  const { event, what } = difference!;
  const at = event ? `at event ${event.id} ${event.type}: ` : '';
  return `${type} ${workflowId}, run ${runId}${file ? ` (${file})` : ''}, ${at}${what}`;
}

/** @throws when the server does not respond or the namespace does not exist. */
async function connect({ address, namespace }: ServerSample, caller: Caller): Promise<Client> {
  const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE, ...env } = caller.env;
  const { PAYLOAD_ENCRYPTION_KEYS, PAYLOAD_ENCRYPTION_KEYS_FILE } = env;
  const named = address ?? (TEMPORAL_ADDRESS || undefined);
  const inProfile = TEMPORAL_PROFILE || TEMPORAL_CONFIG_FILE;
  const stack = named === undefined && !inProfile ? await findRunningStack('/livez') : undefined;
  if (named === undefined && !inProfile && !stack)
    throw new Error('Which server? Name one with --address or TEMPORAL_ADDRESS, or start a stack with "npm start".');
  // The environment's other connection settings (TLS, an API key) belong to the server that it names.
  const config = loadConfig('replay', {
    ...(stack ? {} : { ...env, TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE }),
    PAYLOAD_ENCRYPTION_KEYS,
    PAYLOAD_ENCRYPTION_KEYS_FILE,
    TEMPORAL_ADDRESS: named ?? stack?.temporalAddress,
    TEMPORAL_NAMESPACE: namespace ?? (TEMPORAL_NAMESPACE || stack?.temporalNamespace),
  });
  const client = createClient(config);
  await client.connection.ensureConnected().catch((error: Error) => {
    throw new Error(`Temporal does not answer at ${config.TEMPORAL_ADDRESS}: ${error.message}`);
  });
  caller.say(`Temporal at ${config.TEMPORAL_ADDRESS}, namespace ${config.TEMPORAL_NAMESPACE}`);
  return client;
}

async function bundleOf(file: string | undefined): Promise<Bundle> {
  if (file === undefined) return await bundleWorkflows(new DefaultLogger('WARN'));
  const codePath = asTyped(file, 'replay');
  await access(codePath);
  return { codePath };
}
