import { sampleCaseInput, type SampleCaseInput, type SampleCaseView } from '../schemas/sample-case.js';
import { sampleCaseWorkflowId } from '../workflows/sample-case/contract.js';
import type { Mailer } from './external/mail.js';
import { assertWorkflowId, parseInput } from './failures.js';

export function createSampleCaseActivities({ mailer }: { mailer: Mailer }) {
  return {
    /** Parses the input of a sample case, and checks that the workflow has the id of this case. @throws `InvalidInput`. */
    async openSampleCase(input: unknown, sampleCaseId: string): Promise<SampleCaseInput> {
      const parsed = parseInput(sampleCaseInput, input);
      const expectedId = sampleCaseWorkflowId(parsed.sampleCaseId);
      assertWorkflowId('/sampleCaseId', expectedId, sampleCaseWorkflowId(sampleCaseId));
      return parsed;
    },

    /** Sends the outcome of a sample case by e-mail. All attempts have the same Message-ID. */
    async sendSampleCaseOutcome({ contact, view }: { contact: string; view: SampleCaseView }): Promise<void> {
      const { sampleCaseId, status } = view;
      // The schema allows no characters in the id that HTML must escape.
      const text = `The sample case ${sampleCaseId} is ${status}.`;
      await mailer.send({
        to: contact,
        subject: `Sample case ${sampleCaseId}: ${status}`,
        text,
        html: text,
        id: sampleCaseWorkflowId(sampleCaseId),
      });
    },
  };
}
