/**
 * Usage: node … vendor-download-process.ts (dev-server|time-skipping) <folder>.
 * tools/servers/programs/vendor-download.ts starts this program.
 *
 * The SDK cannot download a server without starting it, so this program starts the server and stops it again.
 */
import { Runtime } from '@temporalio/worker';
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [, , server, downloadDir] = process.argv;
const executable = { type: 'cached-download', downloadDir: downloadDir ?? '' } as const;

Runtime.install({ logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} } });
try {
  const environment =
    server === 'time-skipping'
      ? await TestWorkflowEnvironment.createTimeSkipping({ server: { executable } })
      : await TestWorkflowEnvironment.createLocal({ server: { executable } });
  await environment.teardown();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
