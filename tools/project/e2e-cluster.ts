import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../processes/ports.js';
import { startProcess, typescriptCommand, type ManagedProcess } from '../processes/processes.js';
import { createReporter } from '../terminal/reporter.js';
import { loadSettings } from '../settings/settings.js';
import { CLUSTER_REPLICAS } from '../stack/stack.js';
import { stopLiveProcesses } from '../processes/processes.js';
import { findTemporalCli } from '../servers/programs/temporal-cli.js';
import { startTemporaryCluster } from '../servers/temporal/temporary-cluster.js';

/**
 * `npm run e2e:cluster [-- <vitest arguments>]`: runs the end-to-end tests and the tour on the full Temporal server
 * instead of on dev servers. One PostgreSQL server holds the data of Temporal and of the shop. Each stack has two
 * workers and two APIs. If a test starts processes, workers and APIs are separate processes. Otherwise they run in the
 * process of the test. With vitest arguments, only the selected tests run, without the tour. The command fails when a
 * test fails or when no test ran. Afterwards, only the programs in the cache remain.
 */
const report = createReporter();
const vitestArgs = process.argv.slice(2);
/**
 * Each test file runs twice as many workers and APIs, and the full server needs more CPU than a dev server. Therefore
 * fewer files run in parallel.
 */
const parallelismArgs = ['--maxWorkers', '2'];

/** End-to-end tests that start their own servers, so the cluster makes no difference for them. */
const OWN_SERVERS = 'test/e2e/{chaos,console,docs,replay,stack,startup}/**';

/** This time is longer than the tour needs to stop its stack. */
const stopGraceMs = 60_000;

let runningChild: ManagedProcess | undefined;
let interrupted = false;
// On a signal, stops the running tests or tour. `runOnCluster` then stops the cluster. Before the cluster exists, the
// handler stops every process that is still being started or fetched.
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    interrupted = true;
    void (runningChild ? runningChild.stop(stopGraceMs) : stopLiveProcesses());
  });

const results: string[] = [];
let failed = false;
try {
  // Fails without the CLI, because nearly every test would be skipped.
  const cli = await findTemporalCli({ settings: loadSettings(), report });
  if (!interrupted) await runOnCluster(cli.path);
} catch (error) {
  failed = true;
  if (!interrupted) report.print(`\n${(error as Error).message}`);
}
process.exit(failed || interrupted ? 1 : 0);

async function runOnCluster(cliPath: string): Promise<void> {
  const { binaries, sharedServers, stop } = await startTemporaryCluster(report);
  const env = {
    SHARED_TEMPORAL_ADDRESS: sharedServers.address,
    SHARED_DATABASE_URL: sharedServers.databaseUrl,
    TEMPORAL_CLI_PATH: cliPath,
  };
  try {
    if (vitestArgs.length > 0) await runTests('the selected tests', vitestArgs, env);
    else {
      await runTests('the end-to-end tests', ['test/e2e', '--exclude', OWN_SERVERS], env);
      await runTour(env);
    }
  } finally {
    await stop();
  }
  report.print(
    [
      `\nOn Temporal server ${binaries.version} with PostgreSQL, ${CLUSTER_REPLICAS} workers and ${CLUSTER_REPLICAS} APIs:`,
      ...results,
    ].join('\n'),
  );
}

/** Runs the tour with an empty data folder and a free port, so that the tour does not use a running stack. */
async function runTour(env: Record<string, string>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tour-'));
  try {
    const more = { DATA_DIR: folder, PORT: String(await freePort()) };
    await run('the tour', 'tools/tour/main.ts', [], { ...env, ...more });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runTests(what: string, args: readonly string[], env: Record<string, string>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'e2e-'));
  const file = join(folder, 'results.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    await run(what, 'tools/project/test.ts', [...parallelismArgs, ...reporters, ...args], env, async () => {
      const { numPassedTests, numPendingTests } = JSON.parse(await readFile(file, 'utf8')) as Record<string, number>;
      // vitest succeeds even if all tests are skipped, so at least one test must have passed.
      return { passed: numPassedTests! > 0, summary: `${numPassedTests} passed, ${numPendingTests} skipped` };
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(
  what: string,
  file: string,
  args: readonly string[],
  env: Record<string, string>,
  readSummary?: () => Promise<{ passed: boolean; summary: string }>,
): Promise<void> {
  if (interrupted) return;
  report.print(`\nRunning ${what}`);
  const started = Date.now();
  const child = await startProcess({
    name: what,
    ...typescriptCommand(file, ...args),
    env,
    onLine: (line) => report.print(line),
  });
  runningChild = child;
  if (interrupted) void child.stop(stopGraceMs);
  const { code } = await child.exited;
  runningChild = undefined;
  const outcome = code === 0 ? await readSummary?.() : undefined;
  const passed = code === 0 && outcome?.passed !== false;
  failed ||= !passed;
  const seconds = Math.round((Date.now() - started) / 1000);
  results.push(`  ${passed ? 'passed' : 'FAILED'}  ${what} (${outcome ? `${outcome.summary}, ` : ''}${seconds} s)`);
}
