import { access } from 'node:fs/promises';
import { DefaultLogger } from '@temporalio/worker';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import { resolveUserPath } from '../terminal/command-line.js';
import { printFailure, type CommandContext } from '../terminal/command.js';
import { connectToServer } from '../stack/connect-to-server.js';
import { suggestRemedy } from './remedies.js';
import { readCommandLine, usage } from './command-line.js';
import { fetchHistories, readCommittedHistories, readHistoryFile, sampleRuns } from './histories.js';
import {
  replayHistories,
  type Bundle,
  type WorkflowCode,
  type RecordedHistory,
  type ReplayResult,
} from './replay-histories.js';

const exitCodes = { replays: 0, nondeterministic: 1, unknown: 2 };

/**
 * `npm run replay`: checks whether the workflows of this checkout replay the committed histories and the runs of a
 * server. Returns the exit code. Never throws.
 */
export async function runReplay(args: string[], caller: CommandContext): Promise<number> {
  try {
    return await main(args, caller);
  } catch (error) {
    printFailure(error, usage, caller.printError);
    return exitCodes.unknown;
  }
}

async function main(args: string[], caller: CommandContext): Promise<number> {
  const { print } = caller;
  const command = readCommandLine(args);
  if (command === 'help') {
    print(usage);
    return exitCodes.replays;
  }
  const client = command.serverSample && (await connectToServer(command.serverSample, caller));
  try {
    const runs =
      client &&
      command.serverSample &&
      (await sampleRuns(client, command.serverSample.query, command.serverSample.limit));
    const code: WorkflowCode = {
      workflowBundle: await loadBundle(command.bundlePath),
      dataConverter: { payloadCodecs: client?.options.loadedDataConverter.payloadCodecs ?? [] },
    };
    const committed = command.includesCommitted ? await readCommittedHistories() : undefined;
    const given = await Promise.all(
      command.historyFiles.map((file) => readHistoryFile(resolveUserPath(file, 'replay'))),
    );
    let differing = 0;
    if (given.length > 0) differing += await replayAndReport('in the given files', given, { code, print });
    if (committed?.length) differing += await replayAndReport('committed', committed, { code, print });
    else if (committed) print('No committed histories: npm run record-histories records them');
    const { query, hasCustomQuery } = command.serverSample ?? {};
    if (client && runs?.length)
      differing += await replayAndReport(`on the server (${query})`, fetchHistories(client, runs), { code, print });
    else if (runs)
      print(hasCustomQuery ? 'No run on the server matches the query' : `no open runs on the server (${query})`);
    if (differing > 0) return exitCodes.nondeterministic;
    const replayedNothing = committed?.length === 0 && !runs?.length;
    return replayedNothing || (runs?.length === 0 && hasCustomQuery) ? exitCodes.unknown : exitCodes.replays;
  } finally {
    await client?.connection.close();
  }
}

/** Replays all histories and prints each difference. @returns the number of histories that failed to replay. */
async function replayAndReport(
  where: string,
  histories: Iterable<RecordedHistory> | AsyncIterable<RecordedHistory>,
  { code, print }: { code: WorkflowCode; print: CommandContext['print'] },
): Promise<number> {
  const counts = new Map<string, number>();
  let differing = 0;
  for await (const run of replayHistories(histories, code)) {
    counts.set(run.workflowType, (counts.get(run.workflowType) ?? 0) + 1);
    if (!run.difference) continue;
    differing += 1;
    print(`DIFFERS: ${formatDifference(run)}`);
    const remedy = suggestRemedy(run.history.events ?? [], run.difference);
    if (remedy !== undefined) print(`  ${remedy}`);
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const types = [...counts].map(([type, count]) => `${count} ${type}`).join(', ');
  print(`${total} histories ${where}${types && `: ${types}`}; ${differing || 'none'} differ from the code`);
  return differing;
}

function formatDifference({ file, workflowId, runId, workflowType, difference }: ReplayResult): string {
  const { event, description } = difference!;
  const at = event ? `at event ${event.id} ${event.type}: ` : '';
  return `${workflowType} ${workflowId}, run ${runId}${file ? ` (${file})` : ''}, ${at}${description}`;
}

async function loadBundle(file: string | undefined): Promise<Bundle> {
  if (file === undefined) return await bundleWorkflows(new DefaultLogger('WARN'));
  const codePath = resolveUserPath(file, 'replay');
  await access(codePath);
  return { codePath };
}
