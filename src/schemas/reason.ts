import { z } from 'zod';

/** A failure or refusal as it is shown to people: a type name that callers can rely on, and a sentence. */
export const reason = z.object({ type: z.string(), message: z.string() });

/** What is being retried just now, as the server sees it. */
export const retrying = z.array(
  z.object({
    step: z.string(),
    attempt: z.int(),
    nextAttemptAt: z.iso.datetime().optional(),
    lastFailure: z.string().optional(),
  }),
);

export type Reason = z.infer<typeof reason>;
export type Retrying = z.infer<typeof retrying>;
