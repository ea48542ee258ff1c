import { z } from 'zod';

/** The methods of Slack's Web API that the fake has. */
export const slackMethodSchema = z.enum([
  'auth.test',
  'chat.postMessage',
  'chat.update',
  'chat.postEphemeral',
  'views.open',
]);

export const slackFaultSchema = z.strictObject({
  on: slackMethodSchema,
  /**
   * An error code such as `invalid_auth`; `ratelimited` responds 429 with `Retry-After`. `lose-response` carries out the
   * call and closes the connection.
   */
  fault: z.union([z.literal('lose-response'), z.string().regex(/^[a-z0-9_]{1,64}$/)]),
  /** Number of calls that get the fault. -1 means all calls until the faults are deleted. */
  times: z.union([z.int().positive(), z.literal(-1)]).default(1),
  /** Seconds in the header `Retry-After` of the fault `ratelimited`. */
  retryAfter: z.int().nonnegative().max(3_600).default(1),
});

export type SlackMethodName = z.infer<typeof slackMethodSchema>;
export type SlackFault = z.infer<typeof slackFaultSchema>;

/** The injected faults for future calls. A call gets the oldest fault of its method. */
export class SlackFaults {
  #waiting: SlackFault[] = [];

  add(fault: z.input<typeof slackFaultSchema>): SlackFault {
    const parsed = slackFaultSchema.parse(fault);
    this.#waiting.push({ ...parsed });
    return parsed;
  }

  clear(): void {
    this.#waiting = [];
  }

  /** Returns the fault for this call, if any, and reduces the number of calls that the fault still affects. */
  take(on: SlackMethodName): SlackFault | undefined {
    const fault = this.#waiting.find((waiting) => waiting.on === on);
    if (fault && fault.times > 0 && --fault.times === 0) this.#waiting.splice(this.#waiting.indexOf(fault), 1);
    return fault;
  }
}
