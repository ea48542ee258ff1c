import { ApplicationFailure } from '@temporalio/common';

/** A partner that is down for the night still gets a call each hour. */
const MAX_RETRY_AFTER_MS = 60 * 60_000;

/** How often to try again when our own configuration is wrong: only a person can repair it. */
const MISCONFIGURED_RETRY_MS = 5 * 60_000;

/** Statuses whose `Retry-After` says when to try again. */
const WITH_RETRY_AFTER: readonly number[] = [429, 503];

/**
 * The delay that a response asks for with `Retry-After` (RFC 9110, section 10.2.3): seconds or an HTTP date.
 *
 * @param atLeastMs the shortest delay, whatever the header says.
 * @returns milliseconds, an hour at most; undefined when the response asks for no delay.
 */
export function retryAfterMs(
  { status, retryAfter }: { status: number; retryAfter?: string | null | undefined },
  { atLeastMs }: { atLeastMs: number },
): number | undefined {
  if (!WITH_RETRY_AFTER.includes(status) || !retryAfter) return undefined;
  const value = retryAfter.trim();
  let asked = NaN;
  if (/^\d+$/.test(value)) asked = Number(value) * 1_000;
  // `Date.parse` reads a date into almost any text.
  else if (value.endsWith(' GMT')) asked = Date.parse(value) - Date.now();
  return Number.isNaN(asked) ? undefined : Math.min(Math.max(asked, atLeastMs), MAX_RETRY_AFTER_MS);
}

/** A failure that is retried, after the delay if there is one, otherwise by the retry policy. */
export function unavailable(system: string, message: string, delayMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Unavailable`,
    message,
    ...(delayMs !== undefined && { nextRetryDelay: delayMs }),
  });
}

/** A failure that is retried slowly, because a person has to repair our configuration. */
export function misconfigured(system: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Misconfigured`,
    message,
    nextRetryDelay: MISCONFIGURED_RETRY_MS,
  });
}
