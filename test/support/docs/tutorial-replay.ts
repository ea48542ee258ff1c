import { basename, join } from 'node:path';
import type * as worker from '../../../examples/bank-account/worker.js';
import { readCommittedHistories } from '../../../tools/replay/histories.js';
import { replayHistories } from '../../../tools/replay/replay-histories.js';

/** Replays the histories that were recorded in one folder with the tutorial code of another folder. */
export async function replayWith(codeFolder: string, recordedIn: string) {
  const { bundleAccounts } = (await import(join(codeFolder, 'worker.ts'))) as typeof worker;
  const recorded = await readCommittedHistories(join(recordedIn, 'histories'));
  const outcomes: { file: string; difference: string | undefined }[] = [];
  for await (const { file, difference } of replayHistories(recorded, { workflowBundle: await bundleAccounts() })) {
    outcomes.push({ file: basename(file!), difference: difference?.description });
  }
  return outcomes;
}
