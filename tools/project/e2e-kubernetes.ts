import { startProcess, stopLiveProcesses, typescriptCommand } from '../processes/processes.js';
import { findKubernetesPrograms } from '../servers/programs/kubernetes-programs.js';
import { loadSettings } from '../settings/settings.js';
import { parseArguments } from '../terminal/command-line.js';
import { printFailure } from '../terminal/command.js';
import { createReporter } from '../terminal/reporter.js';

/**
 * `npm run e2e:kubernetes`: tests the manifests in deploy/kubernetes on the API server of Kubernetes. Builds the API
 * server first if it is not in the cache.
 */
const usage = `Usage: npm run e2e:kubernetes [-- --prepare]
  --prepare   only builds the API server of Kubernetes and etcd`;
const report = createReporter();

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stopLiveProcesses());

let exitCode: number | null;
try {
  const { values } = parseArguments({ options: { prepare: { type: 'boolean' } } });
  await findKubernetesPrograms({ settings: loadSettings(), report });
  exitCode = values.prepare ? 0 : await runTests();
} catch (error) {
  exitCode = 1;
  printFailure(error, usage, (text) => report.print(text));
}
process.exit(exitCode ?? 1);

async function runTests(): Promise<number | null> {
  const tests = await startProcess({
    name: 'the tests',
    ...typescriptCommand('tools/project/test.ts', 'test/e2e/deploy'),
    onLine: (line) => report.print(line),
  });
  return (await tests.exited).code;
}
