import { z } from 'zod';

export const smtpFaultSchema = z.strictObject({
  to: z.string().min(1).max(320),
  /** The SMTP reply code: 4xx asks the sender to retry, 5xx not to. */
  code: z.int().min(400).max(599).default(451),
  /** How many mails the fault hits; -1: all, until the faults are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** How long the reply takes, to simulate a server that hangs. */
  delayMs: z.int().nonnegative().max(600_000).default(0),
  /** Whether the mail is stored although its sender gets an error. */
  stored: z.boolean().default(false),
});

export type SmtpFault = z.infer<typeof smtpFaultSchema>;

/** The injected faults that wait for their mails. The oldest matching fault is used first. */
export class SmtpFaults {
  #waiting: SmtpFault[] = [];

  add(fault: SmtpFault): void {
    this.#waiting.push({ ...fault });
  }

  clear(): void {
    this.#waiting = [];
  }

  /** Returns the fault that hits a mail to one of these recipients, if any, and counts this use of it. */
  take(stored: boolean, ...recipients: string[]): SmtpFault | undefined {
    const fault = this.#waiting.find(
      (waiting) => waiting.stored === stored && recipients.some((recipient) => isSameAddress(recipient, waiting.to)),
    );
    if (fault && --fault.times === 0) this.#waiting.splice(this.#waiting.indexOf(fault), 1);
    return fault;
  }
}

export function isSameAddress(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
