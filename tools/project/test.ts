import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startProcess } from '../processes/processes.js';
import { createReporter } from '../terminal/reporter.js';

/**
 * `npm test [-- <vitest arguments>]`, `npm run test:unit`, `test:integration`, `test:e2e` and `test:watch`: runs tests
 * with vitest. Without a project or the path of a test file or folder, runs the unit tests and the integration tests.
 */
const report = createReporter();
const args = process.argv.slice(2);
/** A path selects tests of all tiers, because their folder already says the tier. */
const isSelected = args.some((arg) => arg.startsWith('--project') || /^(test|examples)\//.test(arg));
const projects = isSelected ? [] : ['--project=unit', '--project=integration'];

const watch = args.includes('--watch');
// Without a path, watch mode waits for the first change. Vitest calls this mode standalone.
const mode = !watch ? ['run'] : isSelected ? [] : ['--standalone'];
const vitestArgs = ['node_modules/vitest/vitest.mjs', ...mode, ...projects, ...args];

// On a terminal, vitest reads the keys of watch mode, among them Ctrl-C.
const exitCode = watch && process.stdin.isTTY ? await runOnTerminal() : await runInPipe();
process.exit(exitCode ?? 1);

async function runOnTerminal(): Promise<number | null> {
  const vitest = spawn(process.execPath, vitestArgs, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void vitest.kill(signal));
  const [code] = (await once(vitest, 'exit')) as [number | null];
  return code;
}

async function runInPipe(): Promise<number | null> {
  const onLine = (line: string): void => report.print(line);
  const vitest = await startProcess({ name: 'vitest', command: process.execPath, args: vitestArgs, onLine });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void vitest.stop());
  return (await vitest.exited).code;
}
