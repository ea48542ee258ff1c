import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import { readCommandLine, usage } from './command-line.js';
import { runChaos } from './chaos-run.js';
import { renderResult } from './result-tables.js';
import { formatError, UsageError } from '../terminal/command-line.js';
import { formatHardware } from '../measurement/hardware.js';
import { createReporter } from '../terminal/reporter.js';
import { loadSettings } from '../settings/settings.js';
import { stopLiveProcesses } from '../processes/processes.js';

/**
 * `npm run chaos`: runs the fault injection and prints the auditor's findings. Progress goes to stderr and the tables
 * go to stdout: `npm run --silent chaos -- --seed 42 > tables.md`.
 */
const report = createReporter(process.stderr);
const interruptedExitCode = 130;
// The auditor reports replay failures itself, so the SDK must not log them too.
const filter = makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' });
Runtime.install({
  logger: new DefaultLogger('ERROR', () => undefined),
  telemetryOptions: { logging: { filter, forward: {} } },
  shutdownSignals: [],
});

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    // The first signal stops the run in order. The second signal also kills processes that are still starting.
    if (interrupted.signal.aborted) void stopLiveProcesses();
    else report.print('Stopping everything. Press Ctrl-C again to kill it at once.');
    interrupted.abort(new Error('interrupted'));
  });

async function main(): Promise<number> {
  const command = readCommandLine(process.argv.slice(2));
  if (command === 'help') {
    console.log(usage);
    return 0;
  }
  const { seed, seconds, servers } = command;
  const workflowBundle = loadSettings().applicationEnv.WORKFLOW_BUNDLE;
  let code = 0;
  for (const server of servers) {
    report.print(`To repeat this run: npm run chaos -- --seed ${seed} --seconds ${seconds} --server ${server}`);
    const outcome = await runChaos({
      seed,
      seconds,
      server,
      report,
      signal: interrupted.signal,
      ...(workflowBundle !== undefined && { workflowBundle }),
    });
    console.log(`\n${renderResult(outcome, formatHardware())}`);
    if (outcome.violations.length > 0) code = 1;
  }
  return code;
}

try {
  process.exit(await main());
} catch (error) {
  await stopLiveProcesses();
  if (interrupted.signal.aborted) process.exit(interruptedExitCode);
  console.error(formatError(error));
  if (error instanceof UsageError) console.error(`\n${usage}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
