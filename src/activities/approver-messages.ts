import { createHash } from 'node:crypto';
import html from 'html-template-tag';
import type { ApprovalInput } from '../schemas/approval.js';
import { formatMoney } from '../schemas/shared/money.js';
import { formatUtcMinute } from '../text/utc-minute.js';

/** A message to one approver: the request for a decision, or a reminder. */
export interface ApproverMessage extends Pick<
  ApprovalInput,
  'approvalId' | 'title' | 'description' | 'requestedBy' | 'amount'
> {
  /** The first run id of the execution. A reset keeps this id, so links and message ids do not change. */
  firstRunId: string;
  stage: number;
  stages: number;
  approver: string;
  /** 0 for the request for a decision, 1 for the first reminder. */
  reminderNumber: number;
  deadline: string;
}

/** Returns the id of a message to an approver. All attempts use the same id, even after a reset. */
export function messageIdOf({ approvalId, firstRunId, stage, approver, reminderNumber }: ApproverMessage): string {
  return hashMessageId(['ask', approvalId, firstRunId, stage, approver, reminderNumber]);
}

/** Returns the id of the webhook that reports the outcome. All attempts use the same id, even after a reset. */
export const outcomeMessageId = (approvalId: string, firstRunId: string): string =>
  hashMessageId(['outcome', approvalId, firstRunId]);

const hashMessageId = (parts: (string | number)[]) =>
  `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`;

/**
 * Renders the mail that asks an approver for a decision, as text and as HTML.
 *
 * @param link the URL of the decision page. It is built from `publicUrl` and a signed token, so it needs no escaping.
 */
export function renderApprovalMail(message: ApproverMessage, link: string): { text: string; html: string } {
  const { title, description = '', requestedBy, amount, stage, stages, deadline } = message;
  const facts: [string, string][] = [
    ['Requested by', requestedBy],
    ...(amount ? [['Amount', formatMoney(amount)] as [string, string]] : []),
    ['Decide by', formatUtcMinute(deadline)],
    ...(stages > 1 ? [['Stage', `${stage} of ${stages}`] as [string, string]] : []),
  ];
  const hint = 'Opening the link does not decide anything. The link is personal: do not forward it.';
  const lines = facts.map(([name, value]) => `${name}: ${value}`);
  return {
    // The link comes before the requester's text, which could contain a fake link.
    text: [
      title,
      '',
      ...lines,
      '',
      `Decide here: ${link}`,
      '',
      hint,
      '',
      ...(description ? [description, ''] : []),
    ].join('\n'),
    // The `html` tag would drop a URL that it does not trust, so `$$` inserts the link without escaping.
    html: html`<!doctype html>
      <html lang="en">
        <body>
          <h1>${title}</h1>
          <p style="white-space: pre-line">${description}</p>
          <p>$${facts.map(([name, value]) => html`${name}: <strong>${value}</strong><br />`).join('')}</p>
          <p><a href="$${link}">Open the request and decide</a></p>
          <p><small>${hint}</small></p>
        </body>
      </html>`,
  };
}
