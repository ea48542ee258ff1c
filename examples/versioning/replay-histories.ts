import { basename, join } from 'node:path';
import { readCommittedHistories } from '../../tools/replay/histories.js';
import { replayHistories as replay } from '../../tools/replay/replay-histories.js';
import { bundleExample } from './worker.js';

/**
 * Replays the recorded histories of one example with the workflows of a file. Returns `replays` for each history that
 * replays. For any other history, returns the difference between the history and the code.
 */
export async function replayHistories(part: string, workflows: string): Promise<Record<string, string>> {
  const recorded = await readCommittedHistories(join(import.meta.dirname, part, 'histories'));
  const outcomes: Record<string, string> = {};
  for await (const { file, difference } of replay(recorded, {
    workflowBundle: await bundleExample(workflows),
  }))
    outcomes[basename(file!, '.json')] = difference?.description ?? 'replays';
  return outcomes;
}
