import { startProcess, typescriptCommand } from '../../processes/processes.js';
import { projectRoot } from '../../settings/environment.js';
import type { Reporter } from '../../terminal/reporter.js';
import { waitUntilReady } from '../readiness.js';
import type { Stack } from '../stack.js';
import { formatProblem } from '../../source-build/import-graph.js';
import { readSourceGraph, type Program } from './source-graph.js';
import { startTypeCheck } from './type-check.js';
import { watchSources } from './watch-sources.js';

/** Time for the requests and activities that run during a restart. */
const restartGraceMs = 3_000;
const readyTimeoutMs = 60_000;

type Files = Record<Program, ReadonlySet<string>>;

/**
 * Restarts the worker and the API of a stack after each change of their sources, and replays the open workflows after a
 * change of the workflows. If a program would not start with the change, prints the problems, and the program of before
 * the change continues.
 *
 * @returns a function that stops watching.
 */
export async function watchStack(stack: Stack, report: Reporter): Promise<() => Promise<void>> {
  let files: Files | undefined;
  const stopWatching = watchSources(projectRoot, 'src', async (changed) => {
    const graph = await readSourceGraph();
    if ('problems' in graph) {
      for (const problem of graph.problems) report.print(formatProblem('error', problem));
      return;
    }
    const before = files;
    files = graph.files;
    const affects = (program: Program): boolean =>
      [...changed].some((file) => graph.files[program].has(file) || before?.[program].has(file));
    const workflowsChanged = affects('workflows');
    // The API serves other files of its folder too, for example style sheets.
    const apiChanged = affects('api') || [...changed].some((file) => file.startsWith('src/api/'));
    const restarted = [
      ...(affects('worker') || workflowsChanged ? ['worker' as const] : []),
      ...(apiChanged ? ['api' as const] : []),
    ];
    if (restarted.length === 0) return;
    await restart(stack, restarted, report);
    if (workflowsChanged) await replayOpenWorkflows(stack, report);
  });

  const stopTypeCheck = await startTypeCheck(report);
  const initial = await readSourceGraph();
  if ('files' in initial) files ??= initial.files;
  return async () => {
    stopWatching();
    await stopTypeCheck();
  };
}

async function restart(stack: Stack, names: readonly ('worker' | 'api')[], report: Reporter): Promise<void> {
  const { apiUrl, workerHealthUrl } = stack.addresses;
  const started = Date.now();
  await Promise.all(
    names.map(async (name) => {
      await stack.processes.get(name)!.restart(restartGraceMs);
      await waitUntilReady(name === 'api' ? apiUrl : workerHealthUrl, { timeoutMs: readyTimeoutMs });
    }),
  ).then(
    () => report.print(`restarted ${names.join(' and ')} in ${((Date.now() - started) / 1_000).toFixed(1)} s`),
    (error: unknown) => report.print(`not ready after the change: ${(error as Error).message}`),
  );
}

/** Runs `npm run replay` on the open workflows of the stack, and prints each difference. */
async function replayOpenWorkflows(stack: Stack, report: Reporter): Promise<void> {
  const { temporalAddress, temporalNamespace } = stack.addresses;
  const server = ['--address', temporalAddress, '--namespace', temporalNamespace];
  const replay = await startProcess({
    name: 'replay',
    ...typescriptCommand('tools/replay/main.ts', '--from-server', '--skip-committed', ...server),
    onLine: (line) => {
      const [, workflow, difference] = /^DIFFERS: (.*?, run \S+), (.*)$/.exec(line) ?? [];
      if (workflow === undefined) return;
      const cure = 'docs/concepts/versioning.md: keep the old commands with patched(), or terminate this run';
      report.print(`does not replay: ${workflow}\n  ${difference}\n  ${cure}`);
    },
  });
  await replay.exited;
}
