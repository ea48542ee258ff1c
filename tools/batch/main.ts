import { readCommandLine, usage, type BatchCommand } from './command-line.js';
import { firstFailures, followBatch } from './follow.js';
import { displayOn, failureLines, outcome, shownCount } from './progress.js';
import { openFile, uploadBatch } from './upload.js';
import { asTyped, UsageError } from '../terminal/command-line.js';
import { streamReport } from '../terminal/report.js';
import { findRunningStack } from '../stack/running-stack.js';

/** `npm run batch`: uploads a file of items to the HTTP API and shows progress until the batch has ended. */
const exitCodes = new Map([
  ['completed', 0],
  ['completed_with_failures', 2],
]);
const interruptedCode = 130;
const shownFailures = 10;

const report = streamReport();
const display = displayOn(process.stdout);
// The reader of the output (for example `head`) may exit before the batch ends.
process.stdout.on('error', () => undefined);

/** What the user needs to know when this command ends before the batch does. */
let leftBehind: string | undefined;
process.on('SIGINT', () => {
  display.stop();
  if (leftBehind !== undefined) report.say(leftBehind);
  process.exit(interruptedCode);
});

async function main(): Promise<number> {
  const command = readCommandLine(process.argv.slice(2));
  if (command === 'help') {
    report.say(usage);
    return 0;
  }
  const file = await openFile(asTyped(command.file, 'batch'));
  const apiUrl = command.apiUrl ?? (await runningApi());
  const url = `${apiUrl}/v1/batches/${command.batchId}`;

  leftBehind = `The upload was not finished. Whether there is a batch all the same: curl -s ${url}`;
  const { total } = await report.during(`Uploading ${command.file} as ${command.batchId}`, () =>
    uploadBatch(apiUrl, file, command).finally(() => (leftBehind = undefined)),
  );
  report.say(`${command.batchId}: ${shownCount(total)} items, ${url}`);

  leftBehind = goesOn(command, url);
  const batch = await followBatch(url, display);
  display.stop();
  leftBehind = undefined;
  report.say(outcome(batch));
  if (batch.failed > 0) {
    const failures = await firstFailures(url, shownFailures, display);
    for (const line of failureLines(failures, batch)) report.say(line);
  }
  if (batch.status !== 'completed') report.say(`Try the rest again: curl -s -X POST ${url}/retry`);
  return exitCodes.get(batch.status) ?? 1;
}

async function runningApi(): Promise<string> {
  // An API that is not ready reports the reason in its response, and an upload needs no worker.
  const stack = await findRunningStack('/livez');
  if (stack) return stack.apiUrl;
  throw new Error('No stack is running. Start one with "npm start" in another terminal, or name an API with --api.');
}

function goesOn({ batchId }: BatchCommand, url: string): string {
  return [
    `The batch ${batchId} goes on without this command.`,
    `  Follow it: curl -sN ${url}/events`,
    `  Cancel it: curl -s -X POST ${url}/cancel`,
  ].join('\n');
}

try {
  process.exit(await main());
} catch (error) {
  display.stop();
  const { name, message, stack } = error as Error;
  console.error(['Error', 'SettingsError', 'UsageError'].includes(name) ? message : stack);
  if (error instanceof UsageError) console.error(`\n${usage}`);
  else if (leftBehind !== undefined) console.error(leftBehind);
  process.exit(1);
}
