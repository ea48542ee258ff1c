import type { BatchProgress } from '../../schemas/batch.js';

// The rules for the progress of a batch, as pure functions. The API also uses some of these rules.

/** Returns the remaining time in seconds at the current rate, or undefined when no item is left or the rate is 0. */
export function estimateSecondsLeft({
  total,
  succeeded,
  failed,
  itemsPerSecond,
}: Pick<BatchProgress, 'total' | 'succeeded' | 'failed' | 'itemsPerSecond'>): number | undefined {
  const itemsLeft = total - succeeded - failed;
  return itemsLeft > 0 && itemsPerSecond ? Math.ceil(itemsLeft / itemsPerSecond) : undefined;
}

/** Returns the final status of a batch that was not cancelled. */
export function finalStatusOf({ failed }: Pick<BatchProgress, 'failed'>): 'completed' | 'completed_with_failures' {
  return failed > 0 ? 'completed_with_failures' : 'completed';
}

/**
 * Whether another execution of the batch has replaced the execution with `ownAttempt`. The final counts then belong to
 * another attempt, or some items are not finished.
 */
export function isSuperseded(
  { attempt, total, succeeded, failed }: Pick<BatchProgress, 'attempt' | 'total' | 'succeeded' | 'failed'>,
  ownAttempt: number | undefined,
): boolean {
  return attempt !== ownAttempt || succeeded + failed < total;
}

const MIN_POLL_INTERVAL_MS = 2_000;
const POLL_INTERVAL_SHARE = 1 / 25;

/**
 * Returns the delay in ms before the next poll of the progress: 4 % of the running time, but at least two seconds. A
 * poll writes at most eleven events, so a batch that runs for a day writes about 2,400 events for polls.
 */
export function pollDelayMs(elapsedMs: number): number {
  return Math.max(MIN_POLL_INTERVAL_MS, elapsedMs * POLL_INTERVAL_SHARE);
}
