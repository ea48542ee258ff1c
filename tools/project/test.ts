import { dirname } from 'node:path';
import { startProcess } from '../processes/processes.js';
import { createReporter } from '../terminal/reporter.js';
import { inheritedEnvironment } from '../settings/environment.js';
import { loadSettings } from '../settings/settings.js';
import { findTemporalCli } from '../servers/programs/temporal-cli.js';
import { findTemporalServerBinaries } from '../servers/programs/temporal-server-binaries.js';
import { findTimeSkippingServer } from '../servers/programs/time-skipping-server.js';

/**
 * `npm test [-- <vitest arguments>]` and `npm run test:e2e`: fetches the servers that the tests need, and then runs the
 * tests. Without the path of a test file or folder, runs only the tests of one tier. If a server cannot be fetched, the
 * tests that need this server are skipped and report the reason.
 */
const report = createReporter();
const settings = loadSettings();

const [cliResult, testServerResult, binariesResult] = await Promise.allSettled([
  findTemporalCli({ settings, report }),
  findTimeSkippingServer({ settings, report }),
  // Builds the server only if REQUIRE_ALL_PROGRAMS is set, because the build takes minutes and few tests need the
  // server.
  findTemporalServerBinaries({ settings, report, allowBuild: Boolean(inheritedEnvironment().REQUIRE_ALL_PROGRAMS) }),
]);
for (const found of [cliResult, testServerResult, binariesResult]) {
  if (found.status === 'rejected')
    report.print(`${(found.reason as Error).message}\n\nThe tests that need this program are skipped.`);
}

/** `test:e2e` passes `--project=e2e`. A path selects tests of all tiers, because their folder already says the tier. */
const args = process.argv.slice(2);
const isSelected = args.some((arg) => arg.startsWith('--project') || /^(test|examples)\//.test(arg));

const vitest = await startProcess({
  name: 'vitest',
  command: process.execPath,
  args: ['node_modules/vitest/vitest.mjs', 'run', ...(isSelected ? [] : ['--project=integration']), ...args],
  env: {
    ...(cliResult.status === 'fulfilled' && { TEMPORAL_CLI_PATH: cliResult.value.path }),
    ...(testServerResult.status === 'fulfilled' && { TEMPORAL_TEST_SERVER_PATH: testServerResult.value.path }),
    ...(binariesResult.status === 'fulfilled' && { TEMPORAL_SERVER_PATH: dirname(binariesResult.value.serverPath) }),
  },
  onLine: (line) => report.print(line),
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void vitest.stop());
const { code } = await vitest.exited;
process.exit(code ?? 1);
