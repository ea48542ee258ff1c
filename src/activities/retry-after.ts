import { ApplicationFailure } from '@temporalio/common';

/** Upper limit, so that a partner with a long outage still gets one call per hour. */
const MAX_RETRY_AFTER_MS = 60 * 60_000;

/** Retry delay while our configuration is wrong, which only an operator can fix. */
const MISCONFIGURED_RETRY_MS = 5 * 60_000;

/** Statuses whose `Retry-After` is honored. */
const RETRY_AFTER_STATUSES: readonly number[] = [429, 503];

/**
 * Parses the `Retry-After` header of a response (RFC 9110, section 10.2.3): seconds or an HTTP date.
 *
 * @param atLeastMs the shortest delay, whatever the header says.
 * @returns milliseconds, an hour at most; undefined without a delay.
 */
export function retryAfterMs(
  { status, retryAfter }: { status: number; retryAfter?: string | null | undefined },
  { atLeastMs }: { atLeastMs: number },
): number | undefined {
  if (!RETRY_AFTER_STATUSES.includes(status) || !retryAfter) return undefined;
  const value = retryAfter.trim();
  let asked = NaN;
  if (/^\d+$/.test(value)) asked = Number(value) * 1_000;
  // `Date.parse` accepts almost any text, so require the HTTP date format.
  else if (value.endsWith(' GMT')) asked = Date.parse(value) - Date.now();
  return Number.isNaN(asked) ? undefined : Math.min(Math.max(asked, atLeastMs), MAX_RETRY_AFTER_MS);
}

/** A retryable failure. Retried after the delay if there is one, otherwise by the retry policy. */
export function unavailable(system: string, message: string, delayMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Unavailable`,
    message,
    ...(delayMs !== undefined && { nextRetryDelay: delayMs }),
  });
}

/** A failure that is retried slowly, because an operator must fix our configuration. */
export function misconfigured(system: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Misconfigured`,
    message,
    nextRetryDelay: MISCONFIGURED_RETRY_MS,
  });
}
