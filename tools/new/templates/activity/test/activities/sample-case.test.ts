import { expect, test } from 'vitest';
import { createSampleCaseActivities } from '../../src/activities/sample-case.js';
import type { MailMessage } from '../../src/activities/external/mail.js';
import { rejectionFailure } from '../../src/failures/rejections.js';
import { runActivity } from '../support/workers/activity-environment.js';

const input = { id: 'order:42', to: 'ada@example.org' };

test('sends the same mail in each attempt', async () => {
  const mails: MailMessage[] = [];
  const { sampleCase } = createSampleCaseActivities({
    mailer: { send: (mail) => Promise.resolve(void mails.push(mail)) },
  });

  for (let attempt = 1; attempt <= 2; attempt += 1) await runActivity(sampleCase, input);

  expect(mails).toHaveLength(2);
  expect(mails[0]).toMatchObject({ to: 'ada@example.org', id: 'order:42:sample-case' });
  expect(mails[1]).toEqual(mails[0]);
});

test('fails without a retry when the mail server rejects the address', async () => {
  const send = () => Promise.reject(rejectionFailure('MailRejected', 'unknown address'));
  const { sampleCase } = createSampleCaseActivities({ mailer: { send } });

  await expect(runActivity(sampleCase, input)).rejects.toMatchObject({ type: 'MailRejected', nonRetryable: true });
});
