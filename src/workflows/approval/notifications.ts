import { TemporalFailure } from '@temporalio/common';
import { CancellationScope, isCancellation, patched } from '@temporalio/workflow';
import type { ApprovalView, Approver, Notification } from '../../schemas/approval.js';
import { reasonOf } from '../shared/failures.js';
import { notificationActivities } from './activities.js';
import type { ApprovalState } from './state.js';

/** The approvers who have a Slack user. */
type SlackApprovers = readonly string[];

export type Recipient = readonly [approver: Approver, channel: Notification['channel']];

/**
 * Sends the messages of one stage while the workflow waits for the decision. The view shows the status of each message.
 */
export class StageNotifications {
  private readonly scope = new CancellationScope();
  private readonly pending: Promise<void>[] = [];
  private readonly state: ApprovalState;
  private readonly endsAt: number;

  /** @param endsAt when the stage ends, in ms since the epoch. No message is retried after this time. */
  constructor(state: ApprovalState, endsAt: number) {
    this.state = state;
    this.endsAt = endsAt;
  }

  /** Sends the request (number 0) or a reminder to every recipient of the stage. */
  send(number: number): void {
    for (const recipient of recipientsOf(this.state.eligibleApprovers, this.state.slackApprovers)) {
      this.pending.push(this.scope.run(() => this.sendTo(recipient, number)));
    }
  }

  /**
   * Cancels all messages that are not delivered yet. A call to Slack that is on its way ends first, after at most ten
   * seconds, so that the update of the message finds it. Otherwise the message would keep its buttons.
   */
  async stop(): Promise<void> {
    this.scope.cancel();
    await CancellationScope.nonCancellable(() => Promise.all(this.pending));
  }

  private async sendTo([approver, channel]: Recipient, number: number): Promise<void> {
    const { view } = this.state;
    const entry = findOrAddNotification(view, approver, channel);
    // Skips the reminder while the previous message is still being retried.
    if (number > 0 && entry.status === 'sending') return;
    entry.status = 'sending';
    delete entry.reason;
    const { mailApprover, sendApproverWebhook, messageApproverInSlack } = notificationActivities({
      summary: `${number === 0 ? 'Ask' : `Reminder ${number} to`} ${approver.id} by ${channel}`,
      timeoutMs: Math.max(this.endsAt - Date.now(), 1),
      waitForRunningAttempt: channel === 'slack' && patched('await-slack-messages'),
    });
    const message = { ...messageContentOf(this.state), approver: approver.id, reminderNumber: number };
    try {
      if (channel === 'email') await mailApprover({ ...message, ...personContentOf(view), email: approver.email! });
      else if (channel === 'slack') await messageApproverInSlack({ ...message, ...personContentOf(view) });
      else await sendApproverWebhook({ ...message, webhookUrl: approver.webhookUrl! });
      entry.status = 'sent';
      entry.sentCount += 1;
      entry.lastSentAt = new Date().toISOString();
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      entry.status = 'failed';
      entry.reason = isCancellation(error)
        ? { type: 'NoLongerNeeded', message: 'the stage ended before the message was delivered' }
        : reasonOf(error);
    }
    this.state.publish();
  }
}

/** Returns the recipients of a request: one recipient per approver and channel. */
export function recipientsOf(approvers: readonly Approver[], slackApprovers: SlackApprovers = []): Recipient[] {
  return approvers.flatMap((approver): Recipient[] => [
    ...(approver.email === undefined ? [] : [[approver, 'email'] as const]),
    ...(approver.webhookUrl === undefined ? [] : [[approver, 'webhook'] as const]),
    ...(slackApprovers.includes(approver.id) ? [[approver, 'slack'] as const] : []),
  ]);
}

/** Returns the content of a message. It is small, because the history contains a copy per approver and reminder. */
function messageContentOf({ firstRunId, view }: ApprovalState) {
  const { approvalId, title, description, requestedBy, amount, stage, stages, deadline } = view;
  return {
    approvalId,
    firstRunId,
    title: withoutControlCharacters(title),
    requestedBy,
    ...(description && { description: withoutControlCharacters(description) }),
    ...(amount && { amount }),
    stage,
    stages,
    deadline: deadline!,
  };
}

/** Returns the content that only messages to people have. */
const personContentOf = ({ ifUndecided }: ApprovalView) => (ifUndecided ? { ifUndecided } : {});

/**
 * Replaces control characters, except tabs and line breaks, by spaces. Messages cannot show them, and each takes six
 * bytes in JSON, so that the history of an approval with many messages could exceed the limit of Temporal.
 */
const withoutControlCharacters = (text: string) => text.replace(/[^\P{Cc}\t\n\r]/gu, ' ');

function findOrAddNotification(
  { stage, notifications }: ApprovalView,
  { id }: Approver,
  channel: Notification['channel'],
) {
  const existing = notifications.find(
    (entry) => entry.stage === stage && entry.approver === id && entry.channel === channel,
  );
  if (existing) return existing;
  const entry: Notification = { stage, approver: id, channel, status: 'sending', sentCount: 0 };
  notifications.push(entry);
  return entry;
}
