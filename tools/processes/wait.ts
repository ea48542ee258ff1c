import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** The awaited event in the error message, for example "readiness of the API". */
  description: string;
  timeoutMs: number;
  intervalMs?: number;
  /** Called before each probe. Throws an error to stop waiting early. */
  throwIfFailed?: () => void;
}

/**
 * Calls `probe` until it returns a value. Repeats the call if `probe` throws or returns `undefined`.
 *
 * @throws when the timeout passes, with the last error of `probe`.
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
      throw new Error(`timed out after ${timeoutMs / 1000} s waiting for ${description}${why}`, { cause: reason });
    }
    await delay(intervalMs);
  }
}
