import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DefaultLogger } from '@temporalio/worker';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import { asTyped } from '../terminal/command-line.js';
import { writeHistory } from './history-file.js';
import { recordings } from './index.js';
import { Recorder } from './recorder.js';
import { HISTORIES_FOLDER } from '../replay/histories.js';
import { streamReport } from '../terminal/report.js';
import { startTemporaryStack } from '../stack/stack.js';

/** The time limit for one recording. */
const DEADLINE_MS = 120_000;

/**
 * `npm run record-histories [-- --into <folder>] [-- <prefix of names> …]`: produces each outcome of each workflow on a
 * temporary stack and writes the histories as the next generation under test/replay/histories. Earlier generations
 * stay, because they represent the open workflows of earlier deployments. Nothing is written when a recording fails.
 */
const report = streamReport();
const { values, positionals: prefixes } = parseArgs({
  allowPositionals: true,
  options: { into: { type: 'string' } },
});
const wanted = Object.entries(recordings).filter(
  ([name]) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)),
);
if (wanted.length === 0) {
  report.say(`No recording has a name that begins with ${prefixes.join(' or ')}.`);
  process.exit(1);
}
const folder = values.into === undefined ? HISTORIES_FOLDER : asTyped(values.into, 'record-histories');
const temporary = await mkdtemp(join(tmpdir(), 'record-histories-'));
const workflowBundle = join(temporary, 'workflow-bundle.js');
await writeFile(workflowBundle, await workflowsWithShortRetry());

// Parcels move only when a recording requests it.
const stack = await startTemporaryStack(
  {
    carrierPickupSeconds: 3_600,
    carrierDeliverySeconds: 3_600,
    application: { WORKFLOW_BUNDLE: workflowBundle },
  },
  { report },
);
try {
  const recorder = await Recorder.on(stack.addresses);
  for (const [name, record] of wanted) {
    await report.during(name, async () => {
      const { workflowId, runId } = await Promise.race([record(recorder, randomUUID()), deadline()]);
      await writeHistory(join(temporary, 'histories', `${name}.json`), recorder.handleOf(workflowId, runId));
    });
  }
  await recorder.close();
  const generation = join(folder, await nextGeneration());
  await cp(join(temporary, 'histories'), generation, { recursive: true, errorOnExist: true, force: false });
  report.say(`${wanted.length} histories recorded: ${generation}`);
} finally {
  await stack.stop();
  await rm(temporary, { recursive: true });
}
process.exit(0);

async function deadline(): Promise<never> {
  await setTimeout(DEADLINE_MS, undefined, { ref: false });
  throw new Error(`the workflow did not reach its outcome within ${DEADLINE_MS / 1000} s`);
}

/** The name of the next generation; the first one is `0001`. */
async function nextGeneration(): Promise<string> {
  await mkdir(folder, { recursive: true });
  const generations = (await readdir(folder)).map(Number).filter(Number.isInteger);
  return String(Math.max(0, ...generations) + 1).padStart(4, '0');
}

/**
 * Bundles the workflows of this checkout with seconds instead of an hour before the first retry of a stuck
 * compensation. A replay does not compare the duration of a timer.
 */
async function workflowsWithShortRetry(): Promise<string> {
  const { code } = await bundleWorkflows(new DefaultLogger('WARN'));
  const shortened = code.replace('FIRST_RETRY_OF_STUCK_SECONDS = 60 * 60', 'FIRST_RETRY_OF_STUCK_SECONDS = 5');
  if (shortened === code) throw new Error('the workflow bundle has no FIRST_RETRY_OF_STUCK_SECONDS = 60 * 60');
  return shortened;
}
