import { z } from 'zod';

export const smtpFaultSchema = z.strictObject({
  to: z.string().min(1).max(320),
  /** The SMTP reply code: 4xx asks the sender to retry, 5xx not to. */
  code: z.int().min(400).max(599).default(451),
  /** How many mails the refusal hits; -1: all, until the refusals are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** How long the reply takes, to simulate a server that hangs. */
  delayMs: z.int().nonnegative().max(600_000).default(0),
  /** Whether the mail is kept although its sender gets an error. */
  stored: z.boolean().default(false),
});

export type SmtpFault = z.infer<typeof smtpFaultSchema>;

/** The refusals that wait for their mails. The oldest matching refusal is used first. */
export class SmtpFaults {
  #waiting: SmtpFault[] = [];

  add(refusal: SmtpFault): void {
    this.#waiting.push({ ...refusal });
  }

  clear(): void {
    this.#waiting = [];
  }

  /** Returns the refusal that hits a mail to one of these recipients, if any, and counts this use of it. */
  take(kept: boolean, ...recipients: string[]): SmtpFault | undefined {
    const refusal = this.#waiting.find(
      (waiting) => waiting.stored === kept && recipients.some((recipient) => isSameAddress(recipient, waiting.to)),
    );
    if (refusal && --refusal.times === 0) this.#waiting.splice(this.#waiting.indexOf(refusal), 1);
    return refusal;
  }
}

export function isSameAddress(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
