import type { Stage } from '../../schemas/approval.js';

/** A reminder that is overdue for longer than this counts as missed, for example after an outage. */
const MISSED_AFTER_MS = 10_000;

/**
 * Maximum random delay of a missed reminder. After an outage, the reminders of many approvals are due at the same time;
 * the delay spreads them.
 */
const MAX_JITTER_MS = 5 * 60_000;

/** Returns when a stage that began at `startedAt` ends. Times are in ms since the epoch. */
export function stageEndOf({ timeoutSeconds }: Stage, startedAt: number): number {
  return startedAt + timeoutSeconds * 1000;
}

/** Returns the times of all reminders. They are before the end of the stage. */
export function reminderTimesOf(
  { timeoutSeconds, remindEverySeconds = timeoutSeconds }: Stage,
  startedAt: number,
): number[] {
  const count = Math.ceil(timeoutSeconds / remindEverySeconds) - 1;
  return Array.from({ length: count }, (_, n) => startedAt + (n + 1) * remindEverySeconds * 1000);
}

export interface Reminder {
  /** 1 for the first reminder. */
  number: number;
  at: number;
  /** Whether the reminder was missed. If true, `at` is a random time in the future. */
  isMissed: boolean;
}

/**
 * Returns the reminder to send next: the newest reminder that is due, or else the next future reminder. Returns
 * undefined when no reminder is left.
 *
 * @param sent the number of the last reminder that was sent; 0 when only the request was sent.
 * @param random a number from 0 to 1 that determines the delay of a missed reminder.
 */
export function nextReminder(
  times: readonly number[],
  { sent, now, endsAt, random }: { sent: number; now: number; endsAt: number; random: number },
): Reminder | undefined {
  const due = times.filter((time) => time <= now).length;
  const number = Math.max(due, sent + 1);
  const at = times[number - 1];
  if (at === undefined) return undefined;
  if (now - at <= MISSED_AFTER_MS) return { number, at, isMissed: false };
  const jitter = Math.min(MAX_JITTER_MS, (times[number] ?? endsAt) - now);
  return { number, at: now + Math.floor(random * jitter), isMissed: true };
}
