import { dirname } from 'node:path';
import { startProcess } from '../processes/processes.js';
import { streamReport } from '../terminal/report.js';
import { inheritedEnvironment, loadSettings } from '../stack/settings.js';
import { findTemporalCli } from '../servers/programs/temporal-cli.js';
import { findTemporalPrograms } from '../servers/programs/temporal-programs.js';
import { findTimeSkippingServer } from '../servers/programs/time-skipping-server.js';

/**
 * `npm test [-- <vitest arguments>]`: fetches the servers that the tests need, with progress, then runs the tests. If a
 * server cannot be fetched, only its tests are skipped, and they report the reason.
 */
const report = streamReport();
const settings = loadSettings();

const [cli, testServer, programs] = await Promise.allSettled([
  findTemporalCli({ settings, report }),
  findTimeSkippingServer({ settings, report }),
  // The build takes minutes, and few tests need it. REQUIRE_ALL_SERVERS requests it.
  findTemporalPrograms({ settings, report, build: Boolean(inheritedEnvironment().REQUIRE_ALL_SERVERS) }),
]);
for (const found of [cli, testServer, programs]) {
  if (found.status === 'rejected')
    report.say(`${(found.reason as Error).message}\n\nThe tests that need it are skipped.`);
}

const vitest = await startProcess({
  name: 'vitest',
  command: process.execPath,
  args: ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)],
  env: {
    ...(cli.status === 'fulfilled' && { TEMPORAL_CLI_PATH: cli.value.path }),
    ...(testServer.status === 'fulfilled' && { TEMPORAL_TEST_SERVER_PATH: testServer.value.path }),
    ...(programs.status === 'fulfilled' && { TEMPORAL_SERVER_PATH: dirname(programs.value.server) }),
  },
  onLine: (line) => report.say(line),
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void vitest.stop());
const { code } = await vitest.exited;
process.exit(code ?? 1);
