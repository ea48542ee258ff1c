import { readCommandLine, usage, type BatchCommand } from './command-line.js';
import { readFirstFailures, followBatch } from './follow-batch.js';
import { createDisplay, formatFailures, formatOutcome } from './progress.js';
import { formatCount } from '../measurement/statistics.js';
import { openFile, uploadBatch } from './upload.js';
import { formatError, resolveUserPath, UsageError } from '../terminal/command-line.js';
import { createReporter } from '../terminal/reporter.js';
import { findRunningStack } from '../stack/running-stack.js';

/** `npm run batch`: uploads a file of items to the HTTP API and shows the progress of the batch until it is closed. */
const exitCodeByStatus = new Map([
  ['completed', 0],
  ['completed_with_failures', 2],
]);
const interruptedExitCode = 130;
const maxPrintedFailures = 10;

const report = createReporter();
const display = createDisplay(process.stdout);
// A reader of the output, for example `head`, may exit before the batch is closed.
process.stdout.on('error', () => undefined);

/** Tells the user what happens to the batch when this command is interrupted. */
let interruptMessage: string | undefined;
process.on('SIGINT', () => {
  display.stop();
  if (interruptMessage !== undefined) report.print(interruptMessage);
  process.exit(interruptedExitCode);
});

async function main(): Promise<number> {
  const command = readCommandLine(process.argv.slice(2));
  if (command === 'help') {
    report.print(usage);
    return 0;
  }
  const file = await openFile(resolveUserPath(command.filePath, 'batch'));
  const apiUrl = command.apiUrl ?? (await findRunningApi());
  const url = `${apiUrl}/v1/batches/${command.batchId}`;

  interruptMessage = `The upload was not finished. To check whether the batch exists: curl -s ${url}`;
  const { total } = await report.withProgress(`Uploading ${command.filePath} as ${command.batchId}`, () =>
    uploadBatch(apiUrl, file, command).finally(() => (interruptMessage = undefined)),
  );
  report.print(`${command.batchId}: ${formatCount(total)} items, ${url}`);

  interruptMessage = detachedBatchHint(command, url);
  const batch = await followBatch(url, display);
  display.stop();
  interruptMessage = undefined;
  report.print(formatOutcome(batch));
  if (batch.failed > 0) {
    const failures = await readFirstFailures(url, maxPrintedFailures, display);
    for (const line of formatFailures(failures, batch)) report.print(line);
  }
  if (batch.status !== 'completed') report.print(`To retry the failed items: curl -s -X POST ${url}/retry`);
  return exitCodeByStatus.get(batch.status) ?? 1;
}

async function findRunningApi(): Promise<string> {
  // Checks `/livez` instead of `/readyz`, because an upload needs no worker. If the upload needs something else that is
  // not ready, the API returns the reason.
  const stack = await findRunningStack('/livez');
  if (stack) return stack.apiUrl;
  throw new Error('No stack is running. Start one with "npm start" in another terminal, or set --api.');
}

function detachedBatchHint({ batchId }: BatchCommand, url: string): string {
  return [
    `The batch ${batchId} continues without this command.`,
    `  Follow it: curl -sN ${url}/events`,
    `  Cancel it: curl -s -X POST ${url}/cancel`,
  ].join('\n');
}

try {
  process.exit(await main());
} catch (error) {
  display.stop();
  console.error(formatError(error));
  if (error instanceof UsageError) console.error(`\n${usage}`);
  else if (interruptMessage !== undefined) console.error(interruptMessage);
  process.exit(1);
}
