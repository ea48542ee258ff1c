import html from 'html-template-tag';
import type { ApprovalResource, Notification, TrailEntry } from '../../../schemas/approval.js';
import { timeHtml } from '../components.js';

interface Entry {
  at: string;
  text: string;
  comment?: string | undefined;
}

const CHANNELS = { email: 'e-mail', webhook: 'webhook', slack: 'Slack' } as const;
const VIA = {
  api: 'the API or the console',
  link: 'the link in the mail',
  webhook: 'a webhook',
  slack: 'Slack',
  cli: 'Temporal',
};

/** The trail and the delivered notifications, oldest first. */
export function timelineHtml({ trail, notifications, withdrawal }: ApprovalResource): string {
  const entries = [
    ...trail.map((entry) => trailEntryOf(entry, withdrawal?.reason)),
    ...notifications.flatMap(notificationEntryOf),
  ].sort((one, other) => one.at.localeCompare(other.at));
  const items = entries.map(
    ({ at, text, comment }) =>
      html`<li>
        $${timeHtml(at)}
        <div>${text}$${comment ? html`<blockquote class="typed" dir="auto">${comment}</blockquote>` : ''}</div>
      </li>`,
  );
  return items.length === 0
    ? html`<p class="quiet">Nothing is recorded.</p>`
    : html`<ol class="timeline">
        $${items.join('')}
      </ol>`;
}

function trailEntryOf(entry: TrailEntry, withdrawalReason: string | undefined): Entry {
  return {
    at: entry.at,
    text: textOf(entry),
    comment: entry.event === 'withdrawn' ? withdrawalReason : entry.comment,
  };
}

function textOf({ event, approver = 'Somebody', decision, via, reason }: TrailEntry): string {
  const channel = via ? ` through ${VIA[via]}` : '';
  switch (event) {
    case 'requested':
      return `${approver} requested the approval.`;
    case 'skipped':
      return 'One step of the escalation was skipped, because only the requester could decide it.';
    case 'escalated':
      return 'Nobody decided in time, so the request went to the next approvers.';
    case 'decided':
      return `${approver} ${decision === 'approve' ? 'approved' : 'rejected'} the request${channel}.`;
    case 'commented':
      return `${approver} repeated the decision with a comment${channel}.`;
    case 'ignored':
      return `A decision by ${approver}${channel} was ignored: ${reason?.message ?? 'it does not count'}.`;
    case 'timed_out':
      return 'Nobody decided in time.';
    case 'withdrawn':
      return 'The request was withdrawn.';
  }
}

/** A notification has the time of its last message, so reminders move its entry. */
function notificationEntryOf({ approver, channel, sentCount, lastSentAt }: Notification): Entry[] {
  if (lastSentAt === undefined) return [];
  const text =
    sentCount === 1
      ? `${approver} was notified by ${CHANNELS[channel]}.`
      : `${approver} was notified by ${CHANNELS[channel]}. This is message ${sentCount}; the earlier ones had the same content.`;
  return [{ at: lastSentAt, text }];
}
