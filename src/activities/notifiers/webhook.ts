import type { ApproverMessage } from '../approver-messages.js';
import type { Webhooks } from '../external/webhooks.js';
import type { Notifier } from './notifier.js';

/** Sends signed webhooks. The receiver responds through the callback endpoint of the API. */
export function createWebhookNotifier(webhooks: Webhooks): Notifier<ApproverMessage & { webhookUrl: string }> {
  return {
    channel: 'webhook',
    async send({ webhookUrl, ...message }, { id }) {
      const { approvalId, approver, stage, reminderNumber, deadline, title, description, requestedBy, amount } =
        message;
      await webhooks.send({
        url: webhookUrl,
        id,
        type: reminderNumber === 0 ? 'approval.requested' : 'approval.reminder',
        data: { approvalId, approver, stage, deadline, title, description, requestedBy, amount },
      });
      return undefined;
    },
  };
}
