import type { Mailer } from './external/mail.js';

export interface SampleCaseInput {
  /** Identifies the call, for example `order:42`. Calls with the same id have the same effect as one call. */
  id: string;
  /** The address of the recipient. */
  to: string;
}

export function createSampleCaseActivities({ mailer }: { mailer: Mailer }) {
  return {
    /** Sends a mail. All attempts have the same Message-ID. @throws the failures of `Mailer.send`. */
    async sampleCase({ id, to }: SampleCaseInput): Promise<void> {
      const text = 'Replace this mail with what your activity does.';
      await mailer.send({ to, subject: 'Sample case', text, html: text, id: `${id}:sample-case` });
    },
  };
}
