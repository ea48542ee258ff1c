import html from 'html-template-tag';
import type { ApprovalResource } from '../../../schemas/approval.js';
import { badgeHtml, retryingHtml, tableHtml, timeHtml, type Tone } from '../components.js';

const DELIVERY_TONES = {
  sending: 'active',
  sent: 'good',
  failed: 'bad',
  pending: 'active',
  delivered: 'good',
} as const satisfies Record<string, Tone>;

const CHANNELS = { email: 'e-mail', webhook: 'webhook', slack: 'Slack' } as const;

/** The messages to approvers, the report of the outcome, and their failures. For operators. */
export function deliveriesHtml({ notifications, callbackDelivery, retrying = [] }: ApprovalResource): string {
  return html`<h2>Messages</h2>
    $${tableHtml(
      'Messages to approvers',
      [
        { title: 'Approver', cellHtml: ({ approver }) => html`${approver}` },
        { title: 'Channel', cellHtml: ({ channel }) => html`${CHANNELS[channel]}` },
        {
          title: 'Status',
          cellHtml: ({ status, reason }) =>
            html`$${badgeHtml(status, DELIVERY_TONES[status])}
            $${reason ? html`<span class="hint">${reason.message}</span>` : ''}`,
        },
        { title: 'Sent', cellHtml: ({ sentCount }) => String(sentCount), isNumber: true },
        { title: 'Last sent', cellHtml: ({ lastSentAt }) => timeHtml(lastSentAt) },
      ],
      notifications,
      'No approver has an e-mail address, a webhook or a Slack user, so nobody was notified.',
    )}
    $${callbackDelivery ? callbackHtml(callbackDelivery) : ''} $${retrying.map(retryingHtml).join('')}`;
}

function callbackHtml({ status, reason }: NonNullable<ApprovalResource['callbackDelivery']>): string {
  return html`<p>
    Report of the outcome to the callback URL: $${badgeHtml(status, DELIVERY_TONES[status])}
    $${reason ? html`<span class="hint">${reason.message}</span>` : ''}
  </p>`;
}
