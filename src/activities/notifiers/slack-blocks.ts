import type { ApprovalView } from '../../schemas/approval.js';
import { formatMoney } from '../../schemas/shared/money.js';
import { APPROVE_ACTION, COMMENT_ACTION, REJECT_ACTION, type ApprovalRef } from '../../slack/approval-actions.js';
import { escapeLine } from '../../slack/mrkdwn.js';
import { listNames, undecidedConsequence } from '../../text/undecided.js';
import { truncateText } from '../../text/well-formed-text.js';
import { formatUtcMinute } from '../../text/utc-minute.js';
import type { ApproverMail, ApproverMessage } from '../approver-messages.js';

// Slack's limits of a text, in characters.
const MAX_HEADER = 150;
const MAX_SECTION = 3_000;
const MAX_FIELD = 2_000;
/** The text of a notification. Slack shows about this much. */
const MAX_NOTIFICATION = 300;

/** What a message shows after its request: what was asked, and what has happened. */
export interface RequestState
  extends
    Pick<ApprovalView, 'title' | 'requestedBy' | 'amount' | 'status' | 'decision' | 'withdrawal'>,
    Pick<ApproverMessage, 'approvalId' | 'firstRunId' | 'stage' | 'approver'> {
  /** The approvers of the next stage, if the stage of the message has passed without a decision. */
  nextApprovers?: string[];
}

/** The content of a message: blocks, and the text of the notification. */
interface SlackMessage {
  text: string;
  blocks: object[];
}

/** Renders the message that asks an approver for a decision. */
export function renderRequest(message: ApproverMail): SlackMessage {
  const { approvalId, firstRunId, stage, stages, title, description, deadline, ifUndecided } = message;
  const decideBy = formatUtcMinute(deadline);
  const rule = ifUndecided && ` If nobody decides by ${decideBy}, ${undecidedConsequence(ifUndecided)}.`;
  const ref: ApprovalRef = { approvalId, firstRunId, stage };
  return {
    text: notification(`Please decide: ${title}`),
    blocks: [
      ...factBlocks(message, [
        ['Decide by', decideBy],
        ['Stage', `${stage} of ${stages}`],
      ]),
      ...(description ? [section(description)] : []),
      {
        type: 'actions',
        elements: [
          button(APPROVE_ACTION, 'Approve', ref, 'primary'),
          button(REJECT_ACTION, 'Reject', ref, 'danger'),
          button(COMMENT_ACTION, 'Decide with a comment', ref),
        ],
      },
      context(`The first decision counts.${rule ?? ''}`),
    ],
  };
}

/** Renders a reminder, which is a reply to the request. */
export function renderReminder({ title, deadline }: ApproverMessage): SlackMessage {
  const text = `Reminder: ${title}. Please decide by ${formatUtcMinute(deadline)}.`;
  return { text: notification(text), blocks: [section(text)] };
}

/** Renders a request that can no longer be decided. It has no buttons. */
export function renderState(state: RequestState): SlackMessage {
  const { title, decision } = state;
  const outcome = describeState(state);
  return {
    text: notification(`${outcome}: ${title}`),
    blocks: [...factBlocks(state, []), heading(outcome), ...(decision?.comment ? [section(decision.comment)] : [])],
  };
}

function describeState({ status, stage, decision, withdrawal, nextApprovers }: RequestState): string {
  if (decision) return `${decision.decision === 'approve' ? 'Approved' : 'Rejected'} by ${decision.approver}`;
  if (status === 'pending') {
    return `Stage ${stage} has ended without a decision. The request went to ${listNames(nextApprovers ?? [])}`;
  }
  if (status === 'withdrawn') return withdrawal?.reason ? `Withdrawn: ${withdrawal.reason}` : 'Withdrawn';
  if (status === 'timed_out') return 'Closed without a decision';
  return `${status === 'approved' ? 'Approved' : 'Rejected'} automatically, because nobody decided in time`;
}

/** The title and a table of facts, with a name and a value in each row. */
function factBlocks(
  { title, requestedBy, amount }: Pick<ApproverMessage, 'title' | 'requestedBy' | 'amount'>,
  more: [name: string, value: string][],
): object[] {
  const facts = [
    ['Requested by', requestedBy] as const,
    ...(amount ? [['Amount', formatMoney(amount)] as const] : []),
    ...more,
  ];
  const fields = facts.flatMap(([name, value]) => [
    { type: 'mrkdwn', text: `*${name}*` },
    plain(onOneLine(value), MAX_FIELD),
  ]);
  return [heading(title), { type: 'section', fields }];
}

const notification = (text: string) => escapeLine(text, MAX_NOTIFICATION);

/**
 * Only the names of the facts are mrkdwn. All other texts are plain, so that the text of a requester cannot imitate a
 * fact, a mention or a link.
 */
const plain = (text: string, max: number) => ({
  type: 'plain_text',
  // Slack rejects a message with an empty text.
  text: text.trim() === '' ? '(blank)' : truncateText(text, max),
  emoji: false,
});

/** A header is bold, but it has room for only a short text. */
function heading(text: string) {
  const line = onOneLine(text);
  return line.length <= MAX_HEADER ? { type: 'header', text: plain(line, MAX_HEADER) } : section(line);
}

const onOneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

const section = (text: string) => ({ type: 'section', text: plain(text, MAX_SECTION) });

const context = (text: string) => ({ type: 'context', elements: [plain(text, MAX_FIELD)] });

const button = (actionId: string, label: string, ref: ApprovalRef, style?: 'primary' | 'danger') => ({
  type: 'button',
  action_id: actionId,
  text: { type: 'plain_text', text: label },
  value: JSON.stringify(ref),
  ...(style && { style }),
});
