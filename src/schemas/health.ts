import { z } from 'zod';

export const liveness = z
  .object({ status: z.literal('ok') })
  .meta({ id: 'Liveness', description: 'The process responds.' });

const check = z.string().describe('`ok`, or the problem.');

export const readiness = z
  .object({
    status: z.enum(['ready', 'not ready']),
    checks: z.object({
      temporal: check,
      worker: check.describe('`ok`, the problem, or `unknown` when Temporal does not respond.'),
      store: check.describe('`ok`, or the problem: the database does not respond, is read-only, or its disk is full.'),
    }),
  })
  .meta({
    id: 'Readiness',
    description: 'Whether the shop can accept orders: Temporal, its workers and the store are available.',
  });
