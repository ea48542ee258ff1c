import { setTimeout as delay } from 'node:timers/promises';

interface Wait {
  /** The event, as it reads in "X did not happen within 10 s". */
  what: string;
  deadlineMs: number;
  everyMs?: number;
  /** Throws when there is no point in waiting any longer. */
  giveUp?: () => void;
}

/**
 * Calls `ask` until it returns a value; `undefined` and errors count as "not yet".
 *
 * @throws an Error with the last reason when the deadline has passed.
 */
export async function waitUntil<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  { what, deadlineMs, everyMs = 50, giveUp }: Wait,
): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  let reason: unknown;
  for (;;) {
    giveUp?.();
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
      reason = undefined;
    } catch (error) {
      reason = error;
    }
    if (Date.now() >= deadline) {
      const why = reason instanceof Error ? `: ${reason.message}` : '';
      throw new Error(`${what} did not happen within ${deadlineMs / 1000} s${why}`, { cause: reason });
    }
    await delay(everyMs);
  }
}
