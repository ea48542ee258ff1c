import { Context } from '@temporalio/activity';

/** Margin for the call itself and for clock differences. */
const EXPIRY_MARGIN_MS = 10 * 60_000;

/**
 * Whether a partner may have discarded an idempotency key that was first used at `since` or later. The partner would
 * then treat a repeated call as new, so the caller must look up the earlier result first.
 *
 * Uses the later of the local time and the scheduled time of the attempt, because a worker can take an attempt late and
 * clocks differ.
 */
export function mayKeyHaveExpired(since: Date, retentionHours: number): boolean {
  const now = Math.max(Date.now(), Context.current().info.currentAttemptScheduledTimestampMs);
  const isFresh = now - since.getTime() < retentionHours * 3_600_000 - EXPIRY_MARGIN_MS;
  return !isFresh;
}
