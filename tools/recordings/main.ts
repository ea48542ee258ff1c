import { randomUUID } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DefaultLogger } from '@temporalio/worker';
import { bundleWorkflows } from '../../src/temporal/workflow-bundle.js';
import { resolveUserPath } from '../terminal/command-line.js';
import { nexusRecordings } from './approvals.js';
import { writeHistory } from './history-file.js';
import { recordings } from './recordings.js';
import { Recorder, type Recording } from './recorder.js';
import { COMMITTED_HISTORIES_FOLDER } from '../replay/histories.js';
import { createReporter } from '../terminal/reporter.js';
import { startTemporaryStack } from '../stack/temporary-stack.js';

const RECORDING_TIMEOUT_MS = 120_000;

/**
 * `npm run record-histories [-- --into <folder>] [-- <prefix of names> …]`: runs all recordings on a temporary stack
 * and writes their histories. They become the next generation under test/replay/histories. Earlier generations stay,
 * because they represent the open workflows of earlier deployments. Writes nothing when a recording fails.
 */
const report = createReporter();
const { values, positionals: prefixes } = parseArgs({
  allowPositionals: true,
  options: { into: { type: 'string' } },
});
const isSelected = (name: string) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix));
const select = (all: Record<string, Recording>) => Object.entries(all).filter(([name]) => isSelected(name));
const groups = [
  { recordings: select(recordings), approvalNamespace: undefined },
  { recordings: select(nexusRecordings), approvalNamespace: 'approvals' },
].filter((group) => group.recordings.length > 0);
if (groups.length === 0) {
  report.print(`No recording has a name that starts with ${prefixes.join(' or ')}.`);
  process.exit(1);
}
const historiesFolder =
  values.into === undefined ? COMMITTED_HISTORIES_FOLDER : resolveUserPath(values.into, 'record-histories');
const temporaryFolder = await mkdtemp(join(tmpdir(), 'record-histories-'));
const workflowBundle = join(temporaryFolder, 'workflow-bundle.js');
await writeFile(workflowBundle, await bundleWithShortRetry());

try {
  for (const group of groups) await recordOnStack(group);
  const generation = join(historiesFolder, await nextGeneration());
  await cp(join(temporaryFolder, 'histories'), generation, { recursive: true, errorOnExist: true, force: false });
  const count = groups.flatMap((group) => group.recordings).length;
  report.print(`${count} histories recorded: ${generation}`);
} finally {
  await rm(temporaryFolder, { recursive: true });
}
process.exit(0);

async function recordOnStack({ recordings, approvalNamespace }: (typeof groups)[number]): Promise<void> {
  const stack = await startTemporaryStack(
    {
      // The times are so long that a parcel moves only when a recording moves it.
      carrierPickupSeconds: 3_600,
      carrierDeliverySeconds: 3_600,
      applicationEnv: {
        WORKFLOW_BUNDLE: workflowBundle,
        RECONCILE_AFTER_MINUTES: '0',
        ...(approvalNamespace !== undefined && { APPROVAL_NAMESPACE: approvalNamespace }),
      },
    },
    { report },
  );
  try {
    const recorder = await Recorder.connect(stack.addresses, approvalNamespace);
    for (const [name, record] of recordings) {
      await report.withProgress(name, async () => {
        const { workflowId, runId } = await Promise.race([record(recorder, randomUUID()), rejectAfterTimeout()]);
        await writeHistory(join(temporaryFolder, 'histories', `${name}.json`), recorder.getHandle(workflowId, runId));
      });
    }
    await recorder.close();
  } finally {
    await stack.stop();
  }
}

async function rejectAfterTimeout(): Promise<never> {
  await setTimeout(RECORDING_TIMEOUT_MS, undefined, { ref: false });
  throw new Error(`the recording did not end within ${RECORDING_TIMEOUT_MS / 1000} s`);
}

/** Returns the name of the next generation, starting with `0001`. */
async function nextGeneration(): Promise<string> {
  await mkdir(historiesFolder, { recursive: true });
  const generations = (await readdir(historiesFolder)).map(Number).filter(Number.isInteger);
  return String(Math.max(0, ...generations) + 1).padStart(4, '0');
}

/**
 * Bundles the workflows of this checkout, but a stuck compensation is retried after seconds instead of an hour. The
 * histories still replay, because a replay does not compare the duration of a timer.
 */
async function bundleWithShortRetry(): Promise<string> {
  const { code } = await bundleWorkflows(new DefaultLogger('WARN'));
  const shortened = code.replace('STUCK_RETRY_INITIAL_SECONDS = 60 * 60', 'STUCK_RETRY_INITIAL_SECONDS = 5');
  if (shortened === code)
    throw new Error(
      'cannot shorten the retry: the workflow bundle does not contain "STUCK_RETRY_INITIAL_SECONDS = 60 * 60"',
    );
  return shortened;
}
