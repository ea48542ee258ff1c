import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.js';
import { startPostgres } from './postgres.js';
import { startProcess, typescript } from './processes.js';
import { streamReport } from './report.js';
import { loadSettings } from './settings.js';
import { CLUSTER_REPLICAS, stopLeftovers } from './stack.js';
import { CLUSTER_CONNECTIONS, startTemporalCluster } from './temporal-cluster.js';
import { findTemporalPrograms } from './temporal-programs.js';

/**
 * `npm run e2e:cluster [-- <vitest arguments>]`: the end-to-end tests and the tour, not on dev servers but on the full
 * Temporal server on PostgreSQL, where the shop's database is as well, with two processes of the worker and of the API.
 * With vitest arguments only those tests, without the tour. Nothing is left of it but the programs in the cache.
 */
const report = streamReport();
const [...chosen] = process.argv.slice(2);
/** Test files with pools of their own run side by side, with a stack or two. */
const CONNECTIONS_OF_TESTS = 300;

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => void stopLeftovers().finally(() => process.exit(1)));

const settings = loadSettings();
const programs = await findTemporalPrograms({ settings, report });
const folder = await mkdtemp(join(tmpdir(), 'e2e-cluster-'));
// As root PostgreSQL runs as somebody else, who has to get through to its own folder.
await chmod(folder, 0o711);
const postgres = await startPostgres({
  ...{ dataDir: join(folder, 'postgres'), port: await freePort(), durable: false, report },
  maxConnections: CLUSTER_CONNECTIONS + CONNECTIONS_OF_TESTS,
});
const results: { what: string; passed: boolean; seconds: number }[] = [];
try {
  const cluster = await startTemporalCluster({ programs, databaseUrl: postgres.url, folder });
  report.say(
    `Temporal server ${programs.version} (${programs.way}) serves on ${cluster.address}, its state is in PostgreSQL`,
  );
  const env = { CLUSTER_ADDRESS: cluster.address, CLUSTER_DATABASE_URL: postgres.url };
  if (chosen.length === 0) {
    // The tour comes by itself below.
    await run('the end-to-end tests', 'dev/test.ts', ['test/e2e', '--exclude', '**/tour.test.ts'], env);
    // A folder and a port at which nothing runs, so that it cannot visit anybody's stack.
    const nobody = { DATA_DIR: join(folder, 'tour'), PORT: String(await freePort()) };
    await run('the tour', 'dev/tour.ts', [], { ...env, ...nobody });
  } else await run('the chosen tests', 'dev/test.ts', chosen, env);
  await cluster.stop();
} finally {
  await postgres.destroy();
  await rm(folder, { recursive: true, force: true });
}

report.say(
  `\nOn Temporal server ${programs.version} with PostgreSQL, ${CLUSTER_REPLICAS} workers and ${CLUSTER_REPLICAS} APIs:`,
);
for (const { what, passed, seconds } of results)
  report.say(`  ${passed ? 'passed' : 'FAILED'}  ${what} (${seconds} s)`);
process.exit(results.every(({ passed }) => passed) ? 0 : 1);

async function run(what: string, file: string, args: readonly string[], env: Record<string, string>): Promise<void> {
  report.say(`\nNow ${what}`);
  const started = Date.now();
  const child = await startProcess({
    ...{ name: what, ...typescript(file, ...args), env },
    onLine: (line) => report.say(line),
  });
  const { code } = await child.exited;
  results.push({ what, passed: code === 0, seconds: Math.round((Date.now() - started) / 1000) });
}
