import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** The awaited event, as in "readiness of the API did not happen within 10 s". */
  description: string;
  timeoutMs: number;
  intervalMs?: number;
  /** Throws when there is no point in waiting any longer. */
  throwIfFailed?: () => void;
}

/**
 * Calls `probe` until it returns a value; `undefined` and errors mean "not yet".
 *
 * @throws an Error with the last reason when the timeout has passed.
 */
export async function waitUntil<T>(
  probe: () => Promise<T | undefined> | T | undefined,
  { description, timeoutMs, intervalMs = 50, throwIfFailed }: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let reason: unknown;
  for (;;) {
    throwIfFailed?.();
    try {
      const result = await probe();
      if (result !== undefined) return result;
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
