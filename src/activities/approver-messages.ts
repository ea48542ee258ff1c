import { createHash } from 'node:crypto';
import html from 'html-template-tag';
import type { ApprovalInput } from '../schemas/approval.js';
import { formatMoney } from '../schemas/shared/money.js';

/** The request to one approver, or a reminder of it. */
export interface ApproverMessage extends Pick<
  ApprovalInput,
  'approvalId' | 'title' | 'description' | 'requestedBy' | 'amount'
> {
  /** The first run id of the execution, so that links and message ids stay the same after a reset. */
  firstRunId: string;
  stage: number;
  stages: number;
  approver: string;
  /** 0 for the request, 1 for the first reminder. */
  reminderNumber: number;
  deadline: string;
}

/** The id of a message to an approver, the same for all attempts and after a reset. */
export function messageIdOf({ approvalId, firstRunId, stage, approver, reminderNumber }: ApproverMessage): string {
  return hashMessageId(['ask', approvalId, firstRunId, stage, approver, reminderNumber]);
}

/** The id of the report to the callback URL, the same for all attempts and after a reset. */
export const outcomeMessageId = (approvalId: string, firstRunId: string): string =>
  hashMessageId(['outcome', approvalId, firstRunId]);

const hashMessageId = (parts: (string | number)[]) =>
  `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`;

/**
 * The text and HTML of a mail that asks an approver for a decision.
 *
 * @param link the page of the decision. The API creates the link, so it needs no escaping.
 */
export function renderApprovalMail(message: ApproverMessage, link: string): { text: string; html: string } {
  const { title, description = '', requestedBy, amount, stage, stages, deadline } = message;
  const facts: [string, string][] = [
    ['Requested by', requestedBy],
    ...(amount ? [['Amount', formatMoney(amount)] as [string, string]] : []),
    ['Decide by', `${deadline.slice(0, 16).replace('T', ' ')} UTC`],
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
    // The template would drop a URL that it does not trust, so the link is inserted as it is.
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
