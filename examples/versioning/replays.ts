import { basename, join } from 'node:path';
import { committedHistories } from '../../tools/replay/histories.js';
import { replay } from '../../tools/replay/replay.js';
import { bundleOf } from './worker.js';

/**
 * Replays the recorded histories of a part with the workflows of a file. Returns for each history `replays`, or the
 * difference between the history and the code.
 */
export async function replays(part: string, workflows: string): Promise<Record<string, string>> {
  const recorded = await committedHistories(join(import.meta.dirname, part, 'histories'));
  const outcomes: Record<string, string> = {};
  for await (const { file, difference } of replay(recorded, { workflowBundle: await bundleOf(workflows) }))
    outcomes[basename(file!, '.json')] = difference?.what ?? 'replays';
  return outcomes;
}
