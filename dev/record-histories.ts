import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import { bundleWorkflows } from '../src/temporal.js';
import { runCommand } from './commands.js';
import { approvalRecordings } from './recordings/approvals.js';
import { batchRecordings } from './recordings/batches.js';
import { cartRecordings } from './recordings/carts.js';
import { orderRecordings } from './recordings/orders.js';
import { Recorder, type RecordedRun } from './recordings/recorder.js';
import { streamReport } from './report.js';
import { checkout } from './settings.js';
import { startTemporaryStack } from './stack.js';

/**
 * `npm run record-histories [-- <beginning of names> …]`: plays each outcome of each workflow on a stack of its own and
 * keeps the histories, as the Temporal CLI shows them, as the next generation under test/replay/histories. Earlier
 * generations stay as they are: they are the running workflows of those who deployed before.
 */
const report = streamReport();
const wanted = process.argv.slice(2);
const recordings = Object.entries({
  ...orderRecordings,
  ...cartRecordings,
  ...approvalRecordings,
  ...batchRecordings,
}).filter(([name]) => wanted.length === 0 || wanted.some((beginning) => name.startsWith(beginning)));
if (recordings.length === 0) {
  report.say(`There is no recording whose name begins with ${wanted.join(' or ')}.`);
  process.exit(1);
}
const folder = join(checkout, 'test', 'replay', 'histories');
await mkdir(folder, { recursive: true });
const generation = String((await readdir(folder)).length + 1).padStart(4, '0');

const temporary = await mkdtemp(join(tmpdir(), 'record-histories-'));
const workflowBundle = join(temporary, 'workflow-bundle.js');
await writeFile(workflowBundle, await impatientWorkflows());

// The parcels move when a recording says so.
const stack = await startTemporaryStack(
  {
    ...{ carrierPickupSeconds: 3_600, carrierDeliverySeconds: 3_600 },
    application: { WORKFLOW_BUNDLE: workflowBundle },
  },
  { report },
);
try {
  const recorder = await Recorder.on(stack.addresses);
  await mkdir(join(folder, generation));
  for (const [name, record] of recordings) {
    const run = await record(recorder, randomUUID());
    const history = await report.during(name, () => show(run));
    await writeFile(join(folder, generation, `${name}.json`), history);
  }
  await recorder.close();
} finally {
  await stack.stop();
  await rm(temporary, { recursive: true });
}
process.exit(0);

/**
 * The workflows of this checkout, but for an hour that nobody wants to wait for. How long a timer was to run is not
 * compared in a replay.
 */
async function impatientWorkflows(): Promise<string> {
  const { code } = await bundleWorkflows(new DefaultLogger('WARN'));
  const impatient = code.replace('FIRST_RETRY_OF_STUCK_SECONDS = 60 * 60', 'FIRST_RETRY_OF_STUCK_SECONDS = 5');
  if (impatient === code) throw new Error('the first wait of a stuck compensation is not where it was');
  return impatient;
}

async function show({ workflowId, runId }: RecordedRun): Promise<string> {
  const { temporalCli, temporalAddress } = stack.addresses;
  const text = await runCommand({
    name: 'temporal workflow show',
    command: temporalCli!,
    args: [
      ...['workflow', 'show', '--address', temporalAddress, '--output', 'json'],
      ...['--workflow-id', workflowId, ...(runId === undefined ? [] : ['--run-id', runId])],
    ],
    limitMs: 30_000,
  });
  // Which process on which machine did a task, and where the sources lay, is nobody's business and changes nothing.
  const anonymous = text
    .replaceAll(/"identity": "[^"]*"/g, '"identity": "recorder"')
    .replaceAll(/\b\d+@[\w.-]+/g, 'recorder')
    .replaceAll(checkout, '/app/');
  return `${anonymous}\n`;
}
