import type { ApprovalView } from '../../schemas/approval.js';

/** The current details for the Web UI, as Markdown. Problems come first. Approver ids cannot contain backticks. */
export function detailsOf(view: ApprovalView): string {
  const problems = problemsOf(view);
  return [
    ...(problems.length ? ['**Needs attention**', list(problems)] : []),
    statusOf(view),
    ...(view.status === 'pending' ? [list(view.approvers.map((id) => `waits for \`${id}\``))] : []),
  ].join('\n\n');
}

function problemsOf({ notifications, delivery, status }: ApprovalView): string[] {
  const failed = notifications.filter((entry) => status === 'pending' && entry.status === 'failed');
  return [
    ...(delivery?.status === 'failed' ? [`the outcome was not reported: ${delivery.reason?.type ?? 'unknown'}`] : []),
    ...failed.map(
      ({ approver, channel, reason }) => `${channel} to \`${approver}\` failed: ${reason?.type ?? 'unknown'}`,
    ),
  ];
}

function statusOf({ status, stage, stages, deadline, decision, delivery }: ApprovalView): string {
  if (status === 'pending') {
    const until = deadline === undefined ? '' : `, until ${deadline.slice(0, 16).replace('T', ' ')} UTC`;
    return `**pending**: stage ${stage} of ${stages}${until}`;
  }
  const by = decision ? ` by \`${decision.approver}\` (${decision.via})` : '';
  const report = delivery && delivery.status !== 'failed' ? `, report of the outcome ${delivery.status}` : '';
  return `**${status}**${by}${report}`;
}

const list = (items: string[]) => items.map((item) => `- ${item}`).join('\n');
