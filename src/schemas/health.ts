import { z } from 'zod';

export const liveness = z
  .object({ status: z.literal('ok') })
  .meta({ id: 'Liveness', description: 'The process answers.' });

const check = z.string().describe('`ok`, or what is wrong.');

export const readiness = z
  .object({
    status: z.enum(['ready', 'not ready']),
    checks: z.object({
      temporal: check,
      worker: check.describe('`ok`, what is wrong, or `unknown` when Temporal does not answer.'),
      store: check.describe('`ok`, or what is wrong: it does not answer, is read-only, or its disk is full.'),
    }),
  })
  .meta({
    id: 'Readiness',
    description: 'Whether orders can be taken: Temporal, its workers and the store are there.',
  });
