import { TemporalFailure } from '@temporalio/common';
import { condition, isCancellation } from '@temporalio/workflow';
import { countProgress } from './activities.js';
import { pollDelayMs } from './progress.js';
import type { BatchState } from './state.js';

/**
 * Polls the progress until the scope is cancelled. A pause or resume triggers an immediate poll, so that lists are up
 * to date.
 *
 * @throws the cancellation.
 */
export async function pollProgress(state: BatchState): Promise<void> {
  const startedAt = Date.now();
  let wasPaused = false;
  for (;;) {
    const hasChanged = () => state.isPaused !== wasPaused;
    const delayMs = pollDelayMs(Date.now() - startedAt);
    const isChanged = await condition(hasChanged, delayMs, { summary: 'Next progress poll' });
    wasPaused = state.isPaused;
    try {
      state.setProgress(await countProgress(state.progressReport(wasPaused ? 'paused' : 'running')));
    } catch (error) {
      if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
    }
    // At the second poll after a pause, all running chunks have ended, so nothing changes until the batch is resumed.
    if (wasPaused && !isChanged) await condition(() => !state.isPaused);
  }
}
