import type { BatchProgress } from '../../schemas/batch.js';

// What the counts of a batch mean, as pure functions. The API also uses some of these rules.

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
