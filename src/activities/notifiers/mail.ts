import type { ApprovalLinkSigner } from '../../approval-links/links.js';
import { renderApprovalMail, type ApproverMail } from '../approver-messages.js';
import type { Mailer } from '../external/mail.js';
import type { Notifier } from './notifier.js';

interface MailDependencies {
  mailer: Mailer;
  links: ApprovalLinkSigner;
  /** Public base URL of the API. Links start with it. */
  publicUrl: string;
}

/** Sends e-mails. Each contains a link that works for one approver and one stage. */
export function createMailNotifier({
  mailer,
  links,
  publicUrl,
}: MailDependencies): Notifier<ApproverMail & { email: string }> {
  return {
    channel: 'email',
    async send({ email, ...message }, { id }) {
      const { approvalId, firstRunId, stage, approver, deadline, reminderNumber, title } = message;
      const token = await links.sign({ approvalId, firstRunId, stage, approver }, new Date(deadline));
      await mailer.send({
        to: email,
        subject: `${reminderNumber === 0 ? 'Please decide' : 'Reminder'}: ${title}`,
        ...renderApprovalMail(message, `${publicUrl}/approvals/${token}`),
        id,
      });
      return undefined;
    },
  };
}
