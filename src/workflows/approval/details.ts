import type { ApprovalView } from '../../schemas/approval.js';
import { formatUtcMinute } from '../../text/utc-minute.js';

/**
 * Renders an approval as Markdown for the "Current Details" of the Web UI. Problems come first. Approver ids need no
 * escaping, because they cannot contain backticks.
 */
export function describeApproval(view: ApprovalView): string {
  const problems = attentionItemsOf(view);
  return [
    ...(problems.length ? ['**Needs attention**', markdownList(problems)] : []),
    describeStatus(view),
    ...(view.status === 'pending' ? [markdownList(view.approvers.map((id) => `waits for \`${id}\``))] : []),
  ].join('\n\n');
}

function attentionItemsOf({ notifications, callbackDelivery, status }: ApprovalView): string[] {
  const failed = notifications.filter((entry) => status === 'pending' && entry.status === 'failed');
  return [
    ...(callbackDelivery?.status === 'failed'
      ? [`the outcome was not reported: ${callbackDelivery.reason?.type ?? 'unknown'}`]
      : []),
    ...failed.map(
      ({ approver, channel, reason }) => `${channel} to \`${approver}\` failed: ${reason?.type ?? 'unknown'}`,
    ),
  ];
}

function describeStatus({ status, stage, stages, deadline, decision, callbackDelivery }: ApprovalView): string {
  if (status === 'pending') {
    const until = deadline === undefined ? '' : `, until ${formatUtcMinute(deadline)}`;
    return `**pending**: stage ${stage} of ${stages}${until}`;
  }
  const by = decision ? ` by \`${decision.approver}\` (${decision.via})` : '';
  return `**${status}**${by}${describeReport(callbackDelivery)}`;
}

function describeReport(delivery: ApprovalView['callbackDelivery']): string {
  if (!delivery || delivery.status === 'failed') return '';
  const { status, activityId } = delivery;
  // The workflow closes before a standalone activity does, so its details cannot show the delivery.
  if (activityId !== undefined) return `, the outcome is reported by the activity \`${activityId}\``;
  return `, report of the outcome ${status}`;
}

const markdownList = (items: string[]) => items.map((item) => `- ${item}`).join('\n');
