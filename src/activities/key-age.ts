import { Context } from '@temporalio/activity';

/** Room for the call itself and for clocks that differ. */
const MARGIN_MS = 10 * 60_000;

/**
 * Whether a partner may have forgotten an idempotency key that was first used at `since` or later. The partner then
 * takes a repeated call for a new one, so the caller has to look up first what the partner knows.
 *
 * A worker may take an attempt long after the attempt was scheduled, and clocks differ, so the later of both times counts.
 */
export function mayBeForgotten(since: Date, retentionHours: number): boolean {
  const now = Math.max(Date.now(), Context.current().info.currentAttemptScheduledTimestampMs);
  const isFresh = now - since.getTime() < retentionHours * 3_600_000 - MARGIN_MS;
  return !isFresh;
}
