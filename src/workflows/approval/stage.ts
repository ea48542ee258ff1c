import type { Approver, Notification, Stage } from '../../schemas/approval.js';

export type Addressee = readonly [approver: Approver, channel: Notification['channel']];

/** Who is told of a question, and by which way. Who asks may not decide, also when the rules name him as an approver. */
export function addresseesOf(approvers: readonly Approver[], requestedBy: string): Addressee[] {
  const asked = approvers.filter(({ id }) => id !== requestedBy);
  return asked.flatMap((approver): Addressee[] => [
    ...(approver.email === undefined ? [] : [[approver, 'email'] as const]),
    ...(approver.webhookUrl === undefined ? [] : [[approver, 'webhook'] as const]),
  ]);
}

/** When a stage that begins at `askedAt` is over. Times are in ms since 1970. */
export function endOf({ timeoutSeconds }: Stage, askedAt: number): number {
  return askedAt + timeoutSeconds * 1000;
}

/** When a stage reminds: until its end, and no longer at it. */
export function remindersOf({ timeoutSeconds, remindEverySeconds = timeoutSeconds }: Stage, askedAt: number): number[] {
  const count = Math.ceil(timeoutSeconds / remindEverySeconds) - 1;
  return Array.from({ length: count }, (_, n) => askedAt + (n + 1) * remindEverySeconds * 1000);
}
