import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.js';
import { startProcess, typescript } from './processes.js';
import { streamReport } from './report.js';
import { CLUSTER_REPLICAS, stopLeftovers } from './stack.js';
import { startTemporaryCluster } from './temporary-cluster.js';

/**
 * `npm run e2e:cluster [-- <vitest arguments>]`: the end-to-end tests and the tour, not on dev servers but on the full
 * Temporal server on PostgreSQL, where the shop's database is as well, with two processes of the worker and of the API.
 * With vitest arguments only those tests, without the tour. Nothing is left of it but the programs in the cache.
 */
const report = streamReport();
const chosen = process.argv.slice(2);
/** A file has twice the workers and APIs here, and the server has more to do than a dev server: fewer at a time. */
const sideBySide = ['--maxWorkers', '2'];

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void stopLeftovers().finally(() => process.exit(1)));

const { programs, cluster, stop } = await startTemporaryCluster(report);
const env = { CLUSTER_ADDRESS: cluster.address, CLUSTER_DATABASE_URL: cluster.databaseUrl };
const results: string[] = [];
let failed = false;
try {
  if (chosen.length > 0) await run('the chosen tests', 'dev/test.ts', [...sideBySide, ...chosen]);
  else {
    await run('the end-to-end tests', 'dev/test.ts', ['test/e2e', ...sideBySide, '--exclude', '**/tour.test.ts']);
    await takeTour();
  }
} finally {
  await stop();
}
report.say(
  [
    `\nOn Temporal server ${programs.version} with PostgreSQL, ${CLUSTER_REPLICAS} workers and ${CLUSTER_REPLICAS} APIs:`,
    ...results,
  ].join('\n'),
);
process.exit(failed ? 1 : 0);

/** From a folder and a port at which nothing runs, so that it cannot visit anybody's stack. */
async function takeTour(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tour-'));
  try {
    await run('the tour', 'dev/tour.ts', [], { DATA_DIR: folder, PORT: String(await freePort()) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(what: string, file: string, args: readonly string[], more: Record<string, string> = {}) {
  report.say(`\nNow ${what}`);
  const started = Date.now();
  const child = await startProcess({
    ...{ name: what, ...typescript(file, ...args), env: { ...env, ...more } },
    onLine: (line) => report.say(line),
  });
  const { code } = await child.exited;
  failed ||= code !== 0;
  const seconds = Math.round((Date.now() - started) / 1000);
  results.push(`  ${code === 0 ? 'passed' : 'FAILED'}  ${what} (${seconds} s)`);
}
