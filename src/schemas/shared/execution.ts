import { z } from 'zod';
import { time } from './primitives.js';
import { reason } from './reason.js';

export const execution = z
  .object({ workflowId: z.string(), runId: z.string() })
  .meta({ id: 'Execution', description: 'The workflow execution of a resource.' });

const pausedAt = time.describe(
  'When an operator paused the activity. The activity does not run until an operator unpauses it.',
);

export const retrying = z
  .array(
    z.object({
      step: z.string().meta({ examples: ['chargePayment'] }),
      attempt: z.int().describe('The current or next attempt, counted from 1.'),
      nextAttemptAt: time.optional(),
      pausedAt: pausedAt.optional(),
      lastFailure: reason
        .optional()
        .describe(
          'Why the previous attempt failed. A type that ends with `Misconfigured` means that the configuration of the shop is wrong.',
        ),
    }),
  )
  .meta({ id: 'Retrying', description: 'The activities that the Temporal server is retrying.' });

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
      'The activities that no worker has started for some seconds: no worker polls the task queue, all workers are busy, the rate is limited, or an operator paused the activity.',
  });

export type Retrying = z.infer<typeof retrying>;
export type Waiting = z.infer<typeof waiting>;
