import { setTimeout as sleep } from 'node:timers/promises';
import { Context, log } from '@temporalio/activity';
import { ActivityExecutionAlreadyStartedError, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import type { ApprovalLinkSigner } from '../approval-links/links.js';
import { NON_RETRYABLE_ERROR_TYPES, rejectionFailure } from '../failures/rejections.js';
import { findForbiddenUrls } from '../http-client/forbidden-urls.js';
import { hashContent } from '../store/content-hash.js';
import type { OutgoingHttpClient } from '../http-client/outgoing-http-client.js';
import { approvalInput, type ApprovalInput, type ApprovalStatus, type ApprovalView } from '../schemas/approval.js';
import type { ApprovalStage } from '../store/approvals.js';
import type { Store } from '../store/index.js';
import { isUnsupportedCall } from '../temporal/grpc-errors.js';
import {
  APPROVAL_TASK_QUEUE,
  approvalWorkflowId,
  OUTCOME_REPORT_RETRY_DELAYS,
  outcomeReportId,
} from '../workflows/approval/contract.js';
import { messageIdOf, outcomeMessageId, type ApproverMail, type ApproverMessage } from './approver-messages.js';
import { assertSameRequest, awaitOutcome, type ApprovalHandle } from './existing-approval.js';
import { assertWorkflowId, invalidInputFailure, parseInput } from './failures.js';
import { withHeartbeat } from './external/heartbeat.js';
import type { Mailer } from './external/mail.js';
import type { Webhooks } from './external/webhooks.js';
import { createMailNotifier } from './notifiers/mail.js';
import type { Notifier } from './notifiers/notifier.js';
import type { SlackNotifier } from './notifiers/slack.js';
import type { RequestState } from './notifiers/slack-blocks.js';
import { createWebhookNotifier } from './notifiers/webhook.js';

/** Delay between two attempts to withdraw an approval. */
const WITHDRAWAL_RETRY_DELAY_MS = 1_000;

/**
 * What `openApproval` records in addition to the input. The workflow reads the first stage from the raw input, because
 * only the activity parses the input.
 */
export interface ApprovalOpening {
  workflowId: string;
  firstRunId: string;
  requestedAt: string;
  firstStage?: CurrentStage | undefined;
  /**
   * Whether the workflow sends messages in Slack. Without this flag, the result contains no `slackApprovers`. In a rolling
   * deployment, a worker of an earlier version may run the workflow: it would ignore them, and a replay by this version
   * would then find other commands in the history.
   */
  supportsSlack?: true;
}

export interface OpenedApproval {
  closed?: ApprovalView;
  /** Absent if no approver has a Slack user, or if the workflow does not support Slack. */
  slackApprovers?: string[];
}

/** The current stage. The deadline is an ISO 8601 string. */
export type CurrentStage = Omit<ApprovalStage, 'approvalId' | 'firstRunId' | 'deadline'> & { deadline: string };

export interface OutcomeReport {
  callbackUrl: string;
  firstRunId: string;
  outcome: Pick<ApprovalView, 'approvalId' | 'status' | 'decision' | 'withdrawal'>;
}

export interface ApprovalActivitiesDependencies {
  store: Store;
  mailer: Mailer;
  webhooks: Webhooks;
  /** If undefined, approvers get no messages in Slack. */
  slack?: SlackNotifier | undefined;
  outgoing: OutgoingHttpClient;
  links: ApprovalLinkSigner;
  /** Public base URL of the API. Links start with it. */
  publicUrl: string;
  /** Whether reports of outcomes run as standalone activities. Needs a Temporal server that offers them. */
  standaloneReports: boolean;
}

export function createApprovalActivities(deps: ApprovalActivitiesDependencies) {
  const { store, webhooks, slack, outgoing, standaloneReports } = deps;
  const mailNotifier = createMailNotifier(deps);
  const webhookNotifier = createWebhookNotifier(webhooks);

  /**
   * Sends each message once, even after a reset. If the delivery cannot be recorded, a repeated call sends the message
   * again with the same id.
   *
   * @throws `ApprovalClosed` when `onlyWhileOpen` is set and the approval is closed.
   */
  async function sendOnce(
    { approvalId, messageId, onlyWhileOpen }: { approvalId: string; messageId: string; onlyWhileOpen: boolean },
    send: () => Promise<string | undefined>,
  ): Promise<void> {
    const { isSent, isClosed } = await store.readApprovalMessageState(approvalId, messageId);
    if (isSent) return;
    if (isClosed && onlyWhileOpen) throw rejectionFailure('ApprovalClosed', 'the approval is already closed');
    const reference = await send();
    await store.recordApprovalMessageSent(approvalId, messageId, reference).catch((error: unknown) => {
      log.warn('could not record that a message was sent', { error });
    });
  }

  /** Sends a message to an approver while the approval is open. */
  async function notify<Message extends ApproverMessage>(
    notifier: Notifier<Message>,
    message: Message,
    request?: string,
  ): Promise<void> {
    const { approvalId } = message;
    const messageId = messageIdOf(notifier.channel, message);
    await sendOnce({ approvalId, messageId, onlyWhileOpen: true }, () =>
      notifier.send(message, { id: messageId, request }),
    );
  }

  /** Returns the reference of the message in Slack that has the buttons; undefined if none was delivered. */
  const findSlackRequest = (message: Omit<Parameters<typeof messageIdOf>[1], 'reminderNumber'>) =>
    store.findApprovalMessageReference(messageIdOf('slack', { ...message, reminderNumber: 0 }));

  /** @throws `SlackRejected` if a worker with another configuration has opened the approval. */
  function requireSlack(): SlackNotifier {
    if (!slack) throw rejectionFailure('SlackRejected', 'this worker has no configuration for Slack');
    return slack;
  }

  return {
    /**
     * Parses the input of an approval and records the approval as open.
     *
     * @returns the final view when the approval with this id and content is already closed. Otherwise the ids of the
     * approvers who have a Slack user.
     * @throws `InvalidInput`; `ApprovalIdTaken` when the id belongs to an approval with different content.
     */
    async openApproval(input: unknown, opening: ApprovalOpening): Promise<OpenedApproval> {
      const { workflowId, firstRunId, requestedAt, firstStage, supportsSlack = false } = opening;
      const request = parseInput(approvalInput, input);
      const problems = findForbiddenUrls(request, outgoing);
      if (problems.length) throw invalidInputFailure(problems);
      const { approvalId } = request;
      assertWorkflowId('/approvalId', approvalWorkflowId(approvalId), workflowId);
      if (!firstStage)
        throw new Error('the input is valid, but the workflow could not read the first stage from the input');
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
        throw rejectionFailure('ApprovalIdTaken', `approval ${approvalId} already exists with different content`);
      }
      if (outcome.status === 'closed') return { closed: outcome.view };
      const ids = new Set(stages.flatMap(({ approvers }) => approvers.map(({ id }) => id)));
      const slackApprovers = supportsSlack ? [...ids].filter((id) => slack?.knows(id)) : [];
      return slackApprovers.length === 0 ? {} : { slackApprovers };
    },

    /** Stores the current stage, which lists of approvals show. */
    async recordStage(approvalId: string, firstRunId: string, stage: CurrentStage): Promise<void> {
      await store.recordApprovalStage({ ...stage, approvalId, firstRunId, deadline: new Date(stage.deadline) });
    },

    /**
     * Records the outcome of an approval. The first outcome is final, even after a reset.
     *
     * @returns the recorded view.
     */
    async recordOutcome(view: ApprovalView, closedAt: string): Promise<ApprovalView> {
      return await store.closeApproval(view, new Date(closedAt));
    },

    /** Asks an approver for a decision by e-mail. The link works for one approver and one stage. */
    async mailApprover(message: ApproverMail & { email: string }): Promise<void> {
      await notify(mailNotifier, message);
    },

    /**
     * Asks an external system for a decision by signed webhook. The system responds through the callback endpoint of
     * the API.
     */
    async sendApproverWebhook(message: ApproverMessage & { webhookUrl: string }): Promise<void> {
      await notify(webhookNotifier, message);
    },

    /**
     * Asks an approver for a decision by a direct message in Slack. Slack reports the click of a button to the callback
     * endpoint of the API. A reminder for which no request was delivered becomes the request.
     */
    async messageApproverInSlack(message: ApproverMail): Promise<void> {
      const request = message.reminderNumber === 0 ? undefined : await findSlackRequest(message);
      await notify(requireSlack(), request === undefined ? { ...message, reminderNumber: 0 } : message, request);
    },

    /**
     * Replaces the buttons of the message to an approver with what has happened. Does nothing if no message was
     * delivered.
     */
    async updateSlackMessage(state: RequestState): Promise<void> {
      const request = await findSlackRequest(state);
      if (request !== undefined) await requireSlack().showState(request, state);
    },

    /**
     * Starts `reportOutcome` as a standalone activity. Its id makes the start idempotent: a repeated call starts nothing
     * while the report is running or after it was delivered, and starts a failed report again.
     *
     * @returns `unsupported` when the configuration, the server or the credentials allow no standalone activity.
     */
    async startOutcomeReport(report: OutcomeReport): Promise<'started' | 'unsupported'> {
      if (!standaloneReports) return 'unsupported';
      const { approvalId } = report.outcome;
      try {
        await Context.current().client.activity.start('reportOutcome', {
          ...standaloneReportOptions,
          id: outcomeReportId(approvalId),
          args: [report],
        });
      } catch (error) {
        if (isUnsupportedCall(error)) return 'unsupported';
        if (!(error instanceof ActivityExecutionAlreadyStartedError)) throw error;
      }
      return 'started';
    },

    /**
     * Reports the outcome of an approval to its callback URL. A standalone activity also records the delivery, because
     * no workflow waits for it.
     */
    async reportOutcome({ callbackUrl, firstRunId, outcome }: OutcomeReport): Promise<void> {
      const { approvalId } = outcome;
      const messageId = outcomeMessageId(approvalId, firstRunId);
      await sendOnce({ approvalId, messageId, onlyWhileOpen: false }, async () => {
        await webhooks.send({ url: callbackUrl, id: messageId, type: 'approval.decided', data: outcome });
        return undefined;
      });
      const { inWorkflow, activityId } = Context.current().info;
      if (!inWorkflow) await store.recordOutcomeDelivered(approvalId, activityId);
    },

    /**
     * Waits for the outcome of an approval that an earlier run of the order started. When the order cancels the
     * activity, withdraws the approval and waits until it is closed. An activity that ends for another reason, such as a
     * worker shutdown or another reset of the order, leaves the approval open.
     *
     * @returns the outcome, also when it precedes the withdrawal.
     * @throws `ApprovalIdTaken` when the existing approval has different content.
     */
    async awaitExistingApproval(request: ApprovalInput): Promise<ApprovalStatus> {
      const context = Context.current();
      const { client } = context;
      const workflowId = approvalWorkflowId(request.approvalId);
      await assertSameRequest(client, request);
      const handle: ApprovalHandle = client.workflow.getHandle(workflowId);
      return await withHeartbeat(async () => {
        try {
          // The worker's connection does not abort calls, so a cancellation must end the wait here.
          return await Promise.race([awaitOutcome(handle), context.cancelled]);
        } catch (error) {
          if (!context.cancellationDetails?.cancelRequested) throw error;
          // Other connections abort the calls of a cancelled activity, except those with a signal of their own.
          const status = await client.withAbortSignal(new AbortController().signal, () => withdraw(handle));
          if (status === 'withdrawn') throw error;
          return status;
        }
      });
    },
  };
}

/**
 * Retries for three days, because the receiver may be down over a weekend. No workflow waits for the report. The summary
 * is for the Web UI.
 */
const standaloneReportOptions = {
  taskQueue: APPROVAL_TASK_QUEUE,
  summary: 'Report the outcome of an approval',
  startToCloseTimeout: '30 seconds',
  scheduleToCloseTimeout: '3 days',
  retry: { ...OUTCOME_REPORT_RETRY_DELAYS, nonRetryableErrorTypes: NON_RETRYABLE_ERROR_TYPES },
  idReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
} as const;

/**
 * Cancels an approval and waits until it is closed. Repeats calls that fail, because a cancelled activity has no further
 * attempt.
 *
 * @returns the final status.
 */
async function withdraw(handle: ApprovalHandle): Promise<ApprovalStatus> {
  for (;;) {
    try {
      await handle.cancel().catch((error: unknown) => {
        // Already closed.
        if (!(error instanceof WorkflowNotFoundError)) throw error;
      });
      return await awaitOutcome(handle);
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw error;
      log.warn('could not withdraw the approval of a cancelled order; retrying', { error });
      await sleep(WITHDRAWAL_RETRY_DELAY_MS);
    }
  }
}
