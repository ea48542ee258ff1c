import { createHash } from 'node:crypto';
import html from 'html-template-tag';
import type { ApprovalInput, IfUndecided, Notification } from '../schemas/approval.js';
import { formatMoney } from '../schemas/shared/money.js';
import { undecidedConsequence } from '../text/undecided.js';
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

/** A message by mail. A worker of an earlier version does not set `ifUndecided`. */
export interface ApproverMail extends ApproverMessage {
  ifUndecided?: IfUndecided;
}

/**
 * Returns the id of a message to an approver on one channel. All attempts use the same id, even after a reset. The
 * channels have different ids, because an approver gets the message on each of their channels.
 */
export function messageIdOf(
  channel: Notification['channel'],
  {
    approvalId,
    firstRunId,
    stage,
    approver,
    reminderNumber,
  }: Pick<ApproverMessage, 'approvalId' | 'firstRunId' | 'stage' | 'approver' | 'reminderNumber'>,
): string {
  const kind = channel === 'email' ? 'ask' : `ask by ${channel}`;
  return hashMessageId([kind, approvalId, firstRunId, stage, approver, reminderNumber]);
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
export function renderApprovalMail(message: ApproverMail, link: string): { text: string; html: string } {
  const { title, description = '', requestedBy, amount, deadline, ifUndecided } = message;
  const decideBy = formatUtcMinute(deadline);
  const facts: [string, string][] = [
    ['Requested by', requestedBy],
    ...(amount ? [['Amount', formatMoney(amount)] as [string, string]] : []),
    ['Decide by', decideBy],
  ];
  const consequence = ifUndecided && `If nobody decides by ${decideBy}, ${undecidedConsequence(ifUndecided)}.`;
  const rule = ['The first decision counts.', ...(consequence ? [consequence] : [])].join(' ');
  const hint = 'Opening the link does not decide anything. The link is personal: do not forward it.';
  return {
    // The link comes before the requester's text, which could contain a fake link.
    text: [
      title,
      '',
      ...facts.map(([name, value]) => `${name}: ${value}`),
      '',
      `Decide here: ${link}`,
      '',
      rule,
      hint,
      '',
      ...(description ? [description, ''] : []),
    ].join('\n'),
    html: mailHtml({ title, description, facts, rule, hint, link }),
  };
}

interface MailContent {
  title: string;
  description: string;
  facts: [name: string, value: string][];
  rule: string;
  hint: string;
  link: string;
}

/** Mail programs ignore stylesheets and modern layout, so the HTML uses tables and inline styles. */
function mailHtml({ title, description, facts, rule, hint, link }: MailContent): string {
  const rows = facts.map(
    ([name, value]) =>
      html`<tr>
        <td style="padding:4px 16px 4px 0;color:#535b66;vertical-align:top">${name}</td>
        <td style="padding:4px 0;font-weight:bold">${value}</td>
      </tr>`,
  );
  // The `html` tag would drop a URL that it does not trust, so `$$` inserts the link without escaping.
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
      </head>
      <body style="margin:0;padding:0">
        <table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
          <tr>
            <td align="center" style="padding:24px 12px">
              <table
                role="presentation"
                width="100%"
                cellpadding="0"
                cellspacing="0"
                border="0"
                style="max-width:560px;font-family:Arial,Helvetica,sans-serif;font-size:16px;line-height:24px;text-align:left"
              >
                <tr>
                  <td style="padding-bottom:16px">
                    <h1 dir="auto" style="margin:0;font-size:24px;line-height:30px">${title}</h1>
                  </td>
                </tr>
                <tr>
                  <td style="padding-bottom:24px">
                    <table role="presentation" cellpadding="0" cellspacing="0" border="0">
                      $${rows.join('')}
                    </table>
                  </td>
                </tr>
                <tr>
                  <td style="padding-bottom:24px">
                    <table role="presentation" cellpadding="0" cellspacing="0" border="0">
                      <tr>
                        <td bgcolor="#0b57d0" style="border-radius:6px">
                          <a
                            href="$${link}"
                            style="display:inline-block;padding:12px 24px;color:#ffffff;font-weight:bold;text-decoration:none"
                            >Open the request and decide</a
                          >
                        </td>
                      </tr>
                    </table>
                  </td>
                </tr>
                <tr>
                  <td dir="auto" style="padding-bottom:16px;white-space:pre-line">${description}</td>
                </tr>
                <tr>
                  <td style="color:#535b66;font-size:14px;line-height:21px">${rule} ${hint}</td>
                </tr>
              </table>
            </td>
          </tr>
        </table>
      </body>
    </html>`;
}
