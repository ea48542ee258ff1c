import { z } from 'zod';
import { time } from './primitives.js';

export const reason = z
  .object({
    type: z.string().meta({ description: 'A name that callers can rely on.', examples: ['OutOfStock'] }),
    message: z.string().describe('A sentence for people.'),
  })
  .meta({ id: 'Reason', description: 'A failure or refusal.' });

const pausedAt = time.describe('When an operator paused the activity. It stands still until somebody unpauses it.');

export const retrying = z
  .array(
    z.object({
      step: z.string().meta({ examples: ['chargePayment'] }),
      attempt: z.int().describe('The attempt that is under way or comes next, counted from one.'),
      nextAttemptAt: time.optional(),
      pausedAt: pausedAt.optional(),
      lastFailure: reason
        .optional()
        .describe(
          'Why the attempt before failed. A type that ends with `Misconfigured` means that our own configuration is wrong.',
        ),
    }),
  )
  .meta({ id: 'Retrying', description: 'What is being retried just now, as the server sees it.' });

export const waiting = z
  .array(
    z.object({
      step: z.string().meta({ examples: ['chargePayment'] }),
      taskQueue: z
        .string()
        .optional()
        .meta({ examples: ['payments'] }),
      since: time,
      pausedAt: pausedAt.optional(),
    }),
  )
  .meta({
    id: 'Waiting',
    description:
      'What no worker has taken for some seconds: none polls the task queue, or they are busy, or its rate is limited, or an operator paused the activity.',
  });

export type Reason = z.infer<typeof reason>;
export type Retrying = z.infer<typeof retrying>;
export type Waiting = z.infer<typeof waiting>;
