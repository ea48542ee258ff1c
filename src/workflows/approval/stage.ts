import type { Approver, Notification, Stage } from '../../schemas/approval.js';

export type Recipient = readonly [approver: Approver, channel: Notification['channel']];

const YEAR_SECONDS = 366 * 24 * 60 * 60;

/** A reminder that is later than this counts as missed, for example after an outage. */
const MISSED_AFTER_MS = 10_000;

/**
 * After an outage, the reminders of many approvals are due at once. A missed reminder is delayed by a random time up to
 * this limit.
 */
const MAX_JITTER_MS = 5 * 60_000;

/** The approvers who can decide: requesters cannot decide their own request. */
export function eligibleApproversOf({ approvers }: Stage, requestedBy: string): Approver[] {
  return approvers.filter(({ id }) => id !== requestedBy);
}

/** The recipients of a request: one per approver and channel. */
export function recipientsOf(deciders: readonly Approver[]): Recipient[] {
  return deciders.flatMap((approver): Recipient[] => [
    ...(approver.email === undefined ? [] : [[approver, 'email'] as const]),
    ...(approver.webhookUrl === undefined ? [] : [[approver, 'webhook'] as const]),
  ]);
}

/** The end of a stage that begins at `askedAt`. Times are in ms since the epoch. */
export function stageEndOf({ timeoutSeconds }: Stage, askedAt: number): number {
  return askedAt + timeoutSeconds * 1000;
}

/** The times of the reminders, all before the end of the stage. */
export function reminderTimesOf(
  { timeoutSeconds, remindEverySeconds = timeoutSeconds }: Stage,
  askedAt: number,
): number[] {
  const count = Math.ceil(timeoutSeconds / remindEverySeconds) - 1;
  return Array.from({ length: count }, (_, n) => askedAt + (n + 1) * remindEverySeconds * 1000);
}

export interface Reminder {
  /** 1 for the first reminder. */
  number: number;
  at: number;
  /** Whether the reminder was missed. `at` is then a random time in the future. */
  isMissed: boolean;
}

/**
 * The reminder to send next: the newest one that is due, otherwise the next one. Undefined when none is left.
 *
 * @param sent the number of the last reminder sent, 0 for the request.
 * @param random from 0 to 1, for the delay of a missed reminder.
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

/** Reads the stages from raw input, so that an approval shows them from the start. Empty if the input is invalid. */
export function readStages(input: unknown): readonly Stage[] {
  const stages = (input as { stages?: unknown } | null | undefined)?.stages;
  return Array.isArray(stages) && stages.every(isStage) ? stages : [];
}

function isStage(value: unknown): value is Stage {
  const { timeoutSeconds, approvers } = (value ?? {}) as Record<string, unknown>;
  const isTime = typeof timeoutSeconds === 'number' && timeoutSeconds > 0 && timeoutSeconds <= YEAR_SECONDS;
  return isTime && Array.isArray(approvers) && approvers.every(isApprover);
}

function isApprover(value: unknown): value is Approver {
  const { id } = (value ?? {}) as Record<string, unknown>;
  return typeof id === 'string';
}
