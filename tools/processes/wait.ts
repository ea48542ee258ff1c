import { setTimeout as delay } from 'node:timers/promises';

interface WaitOptions {
  /** The event, as it reads in "X did not happen within 10 s". */
  description: string;
  timeoutMs: number;
  intervalMs?: number;
  /** Throws when there is no point in waiting any longer. */
  throwIfFailed?: () => void;
}

/**
 * Calls `ask` until it returns a value; `undefined` and errors count as "not yet".
 *
 * @throws an Error with the last reason when the deadline has passed.
 */
export async function waitUntil<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  { description, timeoutMs, intervalMs = 50, throwIfFailed }: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let reason: unknown;
  for (;;) {
    throwIfFailed?.();
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
      reason = undefined;
    } catch (error) {
      reason = error;
    }
    if (Date.now() >= deadline) {
      const why = reason instanceof Error ? `: ${reason.message}` : '';
      throw new Error(`${description} did not happen within ${timeoutMs / 1000} s${why}`, { cause: reason });
    }
    await delay(intervalMs);
  }
}
