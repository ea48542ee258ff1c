import { createHash } from 'node:crypto';
import { log } from '@temporalio/activity';
import html from 'html-template-tag';
import type { ApprovalLinkSigner } from '../approval-links/links.js';
import { findForbiddenUrls } from '../http-client/forbidden-urls.js';
import { hashContent } from '../store/content-hash.js';
import type { OutgoingHttpClient } from '../http-client/outgoing-http-client.js';
import { approvalInput, type ApprovalInput, type ApprovalView } from '../schemas/approval.js';
import { formatMoney } from '../schemas/shared/money.js';
import type { ApprovalStage } from '../store/approvals.js';
import type { Store } from '../store/index.js';
import { approvalWorkflowId } from '../workflows/approval/contract.js';
import { assertWorkflowId, invalidInput, parseInput, rejectionFailure } from './failures.js';
import type { Mailer } from './mail.js';
import type { Webhooks } from './webhooks.js';

/**
 * How an approval opens. The workflow derives the first stage from the raw input; only this activity parses the input.
 */
export interface ApprovalOpening {
  workflowId: string;
  firstRunId: string;
  requestedAt: string;
  firstStage?: CurrentStage | undefined;
}

/** The current stage. */
export type CurrentStage = Omit<ApprovalStage, 'approvalId' | 'firstRunId' | 'deadline'> & { deadline: string };

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

export interface OutcomeReport {
  callbackUrl: string;
  firstRunId: string;
  outcome: Pick<ApprovalView, 'approvalId' | 'status' | 'decision' | 'withdrawal'>;
}

export interface ApprovalActivitiesDependencies {
  store: Store;
  mailer: Mailer;
  webhooks: Webhooks;
  outgoing: OutgoingHttpClient;
  links: ApprovalLinkSigner;
  /** Public base URL of the API. Links start with it. */
  publicUrl: string;
}

export function createApprovalActivities(deps: ApprovalActivitiesDependencies) {
  const { store, mailer, webhooks, outgoing, links, publicUrl } = deps;

  /**
   * Sends a message once, also after a reset. If the delivery record is lost, a repeat is sent with the same id.
   *
   * @throws `ApprovalClosed` when a request would go to an approver although the approval is already closed.
   */
  async function sendOnce(approvalId: string, messageId: string, send: () => Promise<void>, isQuestion = true) {
    const { isSent, isClosed } = await store.readApprovalMessageState(approvalId, messageId);
    if (isSent) return;
    if (isClosed && isQuestion) throw rejectionFailure('ApprovalClosed', 'the approval is already closed');
    await send();
    await store.recordApprovalMessageSent(approvalId, messageId).catch((error: unknown) => {
      log.warn('could not note that a message was delivered', { error });
    });
  }

  return {
    /**
     * Parses the input of an approval and records it as open.
     *
     * @returns the final view when the approval with this id and content is already closed.
     * @throws `InvalidInput`; `ApprovalIdTaken` when the id belongs to an approval with other content.
     */
    async openApproval(input: unknown, opening: ApprovalOpening): Promise<{ closed?: ApprovalView }> {
      const { workflowId, firstRunId, requestedAt, firstStage } = opening;
      const request = parseInput(approvalInput, input);
      const problems = findForbiddenUrls(request, outgoing);
      if (problems.length) throw invalidInput(problems);
      const { approvalId } = request;
      assertWorkflowId('/approvalId', approvalWorkflowId(approvalId), workflowId);
      if (!firstStage) throw new Error('the workflow did not find the stages of a valid input');
      const { title, requestedBy, amount, stages } = request;
      const outcome = await store.openApproval({
        approvalId,
        firstRunId,
        contentHash: hashContent(request),
        title,
        requestedBy,
        amount,
        stages: stages.length,
        requestedAt: new Date(requestedAt),
        ...firstStage,
        deadline: new Date(firstStage.deadline),
      });
      if (outcome.status === 'taken') {
        throw rejectionFailure('ApprovalIdTaken', `approval ${approvalId} exists with another content`);
      }
      return outcome.status === 'closed' ? { closed: outcome.view } : {};
    },

    /** Records the current stage for lists. */
    async recordStage(approvalId: string, firstRunId: string, asked: CurrentStage): Promise<void> {
      await store.recordApprovalStage({ ...asked, approvalId, firstRunId, deadline: new Date(asked.deadline) });
    },

    /** Records how an approval closed. @returns the recorded view. The first outcome is final, also after a reset. */
    async recordOutcome(view: ApprovalView, closedAt: string): Promise<ApprovalView> {
      return await store.closeApproval(view, new Date(closedAt));
    },

    /** Asks an approver by e-mail. The link is valid for one decision. */
    async mailApprover({ email, ...message }: ApproverMessage & { email: string }): Promise<void> {
      const { approvalId, firstRunId, stage, approver, deadline, reminderNumber, title } = message;
      const messageId = messageIdOf(message);
      await sendOnce(approvalId, messageId, async () => {
        const token = await links.sign({ approvalId, firstRunId, stage, approver }, new Date(deadline));
        await mailer.send({
          to: email,
          subject: `${reminderNumber === 0 ? 'Please decide' : 'Reminder'}: ${title}`,
          ...renderMail(message, `${publicUrl}/approvals/${token}`),
          id: messageId,
        });
      });
    },

    /** Asks an external system by signed webhook. The system responds through the approval callback. */
    async sendApproverWebhook({ webhookUrl, ...message }: ApproverMessage & { webhookUrl: string }): Promise<void> {
      const { approvalId, approver, stage, reminderNumber, deadline, title, description, requestedBy, amount } =
        message;
      const messageId = messageIdOf(message);
      await sendOnce(approvalId, messageId, () =>
        webhooks.send({
          url: webhookUrl,
          id: messageId,
          type: reminderNumber === 0 ? 'approval.requested' : 'approval.reminder',
          data: { approvalId, approver, stage, deadline, title, description, requestedBy, amount },
        }),
      );
    },

    /** Reports the outcome to the callback URL. */
    async reportOutcome({ callbackUrl, firstRunId, outcome }: OutcomeReport): Promise<void> {
      const messageId = hashMessageId(['outcome', outcome.approvalId, firstRunId]);
      const send = () => webhooks.send({ url: callbackUrl, id: messageId, type: 'approval.decided', data: outcome });
      await sendOnce(outcome.approvalId, messageId, send, false);
    },
  };
}

/** The same for all attempts of a message. */
function messageIdOf({ approvalId, firstRunId, stage, approver, reminderNumber }: ApproverMessage): string {
  return hashMessageId(['ask', approvalId, firstRunId, stage, approver, reminderNumber]);
}

const hashMessageId = (parts: (string | number)[]) =>
  `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`;

function renderMail(message: ApproverMessage, link: string): { text: string; html: string } {
  const { title, description = '', requestedBy, amount, stage, stages, deadline } = message;
  const facts: [string, string][] = [
    ['Asked by', requestedBy],
    ...(amount ? [['Amount', formatMoney(amount)] as [string, string]] : []),
    ['Decide by', `${deadline.slice(0, 16).replace('T', ' ')} UTC`],
    ...(stages > 1 ? [['Stage', `${stage} of ${stages}`] as [string, string]] : []),
  ];
  // The template would drop a URL that it does not trust. The API creates this link, so it needs no escaping.
  const hint = 'Opening the link decides nothing. It is yours alone: do not pass it on.';
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
