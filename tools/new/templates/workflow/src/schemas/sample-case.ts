import { z } from 'zod';
import { email } from './shared/email.js';
import { businessId, durationSeconds, time } from './shared/primitives.js';

/** The longest time until a sample case expires: one year. */
const MAX_SECONDS = 31_536_000;

export const sampleCaseId = businessId.meta({
  description: 'The id of a sample case.',
  examples: ['sample-case-1001'],
});

export const sampleCaseInput = z
  .strictObject({
    sampleCaseId,
    contact: email.describe('Receives an e-mail with the outcome.'),
    expiresAfterSeconds: durationSeconds(MAX_SECONDS),
  })
  .meta({ id: 'SampleCaseRequest', description: 'A new sample case.' });

export const sampleCaseView = z
  .object({ sampleCaseId, status: z.enum(['open', 'completed', 'expired']), expiresAt: time.optional() })
  .meta({ id: 'SampleCase', description: 'A sample case.' });

export const sampleCaseAccepted = z
  .object({ sampleCaseId })
  .meta({ id: 'SampleCaseAccepted', description: 'A sample case that was started.' });

export type SampleCaseInput = z.infer<typeof sampleCaseInput>;
export type SampleCaseView = z.infer<typeof sampleCaseView>;
