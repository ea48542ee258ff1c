import { z } from 'zod';

export const refusalSchema = z.strictObject({
  to: z.string().min(1).max(320),
  /** What the SMTP server answers: 4xx asks the sender to come again, 5xx not to. */
  code: z.int().min(400).max(599).default(451),
  /** How many mails it hits; -1: all until the refusals are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** How long the answer takes: a server that hangs. */
  delayMs: z.int().nonnegative().max(600_000).default(0),
  /** The mail is kept nevertheless, and only the sender does not learn of it. */
  kept: z.boolean().default(false),
});

export type Refusal = z.infer<typeof refusalSchema>;

/** The refusals that wait for their mails. The oldest one that matches is used first. */
export class Refusals {
  #waiting: Refusal[] = [];

  add(refusal: Refusal): void {
    this.#waiting.push({ ...refusal });
  }

  clear(): void {
    this.#waiting = [];
  }

  /** The refusal that hits a mail to one of these recipients, if any; it is used up by it. */
  take(kept: boolean, ...recipients: string[]): Refusal | undefined {
    const refusal = this.#waiting.find(
      (waiting) => waiting.kept === kept && recipients.some((recipient) => isSameAddress(recipient, waiting.to)),
    );
    if (refusal && --refusal.times === 0) this.#waiting.splice(this.#waiting.indexOf(refusal), 1);
    return refusal;
  }
}

export function isSameAddress(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
