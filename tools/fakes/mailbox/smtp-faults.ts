import { z } from 'zod';

export const smtpFaultSchema = z.strictObject({
  to: z.string().min(1).max(320),
  /** The SMTP reply code. After 4xx the sender may retry, after 5xx the sender must not retry. */
  code: z.int().min(400).max(599).default(451),
  /** Number of mails that get the fault. -1 means all mails until the faults are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** Delay of the reply in milliseconds, to simulate a server that hangs. */
  delayMs: z.int().nonnegative().max(600_000).default(0),
  /** Whether the server stores the mail before it returns the error. */
  stored: z.boolean().default(false),
});

export type SmtpFault = z.infer<typeof smtpFaultSchema>;

/** The injected faults for future mails. A mail gets the oldest fault that matches. */
export class SmtpFaults {
  #waiting: SmtpFault[] = [];

  add(fault: SmtpFault): void {
    this.#waiting.push({ ...fault });
  }

  clear(): void {
    this.#waiting = [];
  }

  /**
   * Returns the fault for a mail to these recipients, if any, and reduces the number of mails that the fault still
   * affects.
   */
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
