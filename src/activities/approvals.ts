import { createHash } from 'node:crypto';
import html from 'html-template-tag';
import type { ApprovalLinks } from '../approval-links.js';
import { forbiddenUrls } from '../approval-urls.js';
import type { Outgoing } from '../outgoing.js';
import { approvalInput, type ApprovalInput, type ApprovalView } from '../schemas/approval.js';
import { shownMoney } from '../schemas/money.js';
import { invalidInput, parseInput } from './failures.js';
import type { Mailer } from './mail.js';
import type { Webhooks } from './webhooks.js';

/** The question, or a reminder of it, to one approver. */
export interface ApproverMessage extends Pick<
  ApprovalInput,
  'approvalId' | 'title' | 'description' | 'requestedBy' | 'amount'
> {
  /** The run that asks. */
  runId: string;
  stage: number;
  stages: number;
  approver: string;
  /** 0 is the question, 1 the first reminder. */
  number: number;
  deadline: string;
}

export interface OutcomeReport {
  callbackUrl: string;
  runId: string;
  outcome: Pick<ApprovalView, 'approvalId' | 'status' | 'decision' | 'withdrawal'>;
}

export interface ApprovalActivitiesDependencies {
  mailer: Mailer;
  webhooks: Webhooks;
  outgoing: Outgoing;
  links: ApprovalLinks;
  /** Where people reach the API; links start with it. */
  publicUrl: string;
}

export function createApprovalActivities(deps: ApprovalActivitiesDependencies) {
  const { mailer, webhooks, outgoing, links, publicUrl } = deps;
  return {
    /** Parses what an approval was started with. `approvalId` is the one in the workflow id. @throws `InvalidInput`. */
    async openApproval(input: unknown, approvalId: string): Promise<void> {
      const question = parseInput(approvalInput, input);
      const problems = forbiddenUrls(question, outgoing);
      if (question.approvalId !== approvalId) {
        const detail = `must be the workflow id without its prefix, "${approvalId}" is not "${question.approvalId}"`;
        problems.push({ pointer: '/approvalId', detail });
      }
      if (problems.length) throw invalidInput(problems);
    },

    /** Asks somebody by e-mail, with a link that is good for one decision. Repeated, it sends the same mail again. */
    async mailApprover({ email, ...message }: ApproverMessage & { email: string }): Promise<void> {
      const { approvalId, runId, stage, approver, deadline, number, title } = message;
      const token = await links.sign({ approvalId, runId, stage, approver }, new Date(deadline));
      await mailer.send({
        to: email,
        subject: `${number === 0 ? 'Please decide' : 'Reminder'}: ${title}`,
        ...mailOf(message, `${publicUrl}/approvals/${token}`),
        key: keyOf(message),
      });
    },

    /** Asks a system by a signed webhook; it answers to the callback for approvals. */
    async callApprover({ webhookUrl, ...message }: ApproverMessage & { webhookUrl: string }): Promise<void> {
      const { approvalId, approver, stage, number, deadline, title, description, requestedBy, amount } = message;
      await webhooks.send({
        url: webhookUrl,
        id: keyOf(message),
        type: number === 0 ? 'approval.requested' : 'approval.reminder',
        data: { approvalId, approver, stage, deadline, title, description, requestedBy, amount },
      });
    },

    /** Reports the outcome to who asked for it. Repeated, it sends the same message id. */
    async reportOutcome({ callbackUrl, runId, outcome }: OutcomeReport): Promise<void> {
      await webhooks.send({
        url: callbackUrl,
        id: idOf(['outcome', outcome.approvalId, runId]),
        type: 'approval.decided',
        data: outcome,
      });
    },
  };
}

/** The same for each try of the same message. */
function keyOf({ approvalId, runId, stage, approver, number }: ApproverMessage): string {
  return idOf(['ask', approvalId, runId, stage, approver, number]);
}

const idOf = (parts: (string | number)[]) =>
  `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`;

function mailOf(message: ApproverMessage, link: string): { text: string; html: string } {
  const { title, description = '', requestedBy, amount, stage, stages, deadline } = message;
  const facts: [string, string][] = [
    ['Asked by', requestedBy],
    ...(amount ? [['Amount', shownMoney(amount)] as [string, string]] : []),
    ['Decide by', `${deadline.slice(0, 16).replace('T', ' ')} UTC`],
    ...(stages > 1 ? [['Stage', `${stage} of ${stages}`] as [string, string]] : []),
  ];
  // The link is our own and has nothing to escape; the template would leave out what it cannot vouch for.
  const hint = 'Opening the link decides nothing. It is yours alone: do not pass it on.';
  const lines = facts.map(([name, value]) => `${name}: ${value}`);
  return {
    // The link comes before what others wrote, which might look like a link of ours.
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
    html: html`<!doctype html>
      <html lang="en">
        <body>
          <h1>${title}</h1>
          <p style="white-space: pre-line">${description}</p>
          <p>$${facts.map(([name, value]) => html`${name}: <strong>${value}</strong><br />`).join('')}</p>
          <p><a href="$${link}">Look at it and decide</a></p>
          <p><small>${hint}</small></p>
        </body>
      </html>`,
  };
}
