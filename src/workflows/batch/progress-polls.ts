import { TemporalFailure } from '@temporalio/common';
import { condition, isCancellation } from '@temporalio/workflow';
import { countProgress } from './activities.js';
import type { BatchState } from './state.js';

const MIN_POLL_INTERVAL_MS = 2_000;
const POLL_INTERVAL_SHARE = 1 / 25;

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
    state.describe();
    // At the second poll after a pause, all running chunks have ended, so nothing changes until the batch is resumed.
    if (wasPaused && !isChanged) await condition(() => !state.isPaused);
  }
}

/**
 * Returns the delay in ms before the next poll of the progress: 4 % of the running time, but at least two seconds. A
 * poll writes at most eleven events, so a batch that runs for a day writes about 2,400 events for polls.
 */
export function pollDelayMs(elapsedMs: number): number {
  return Math.max(MIN_POLL_INTERVAL_MS, elapsedMs * POLL_INTERVAL_SHARE);
}
