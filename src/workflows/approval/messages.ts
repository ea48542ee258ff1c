import { TemporalFailure } from '@temporalio/common';
import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import type { ApprovalInput, ApprovalView, Approver, Notification } from '../../schemas/approval.js';
import { NON_RETRYABLE, reasonOf } from '../shared/failures.js';
import { addresseesOf, type Addressee } from './stage.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE];

/** A message that cannot be delivered is tried again, ever more rarely, until its stage's time is over. */
const MESSAGE = {
  startToCloseTimeout: '30 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '5 minutes',
    nonRetryableErrorTypes,
  },
} as const;

/** What a message says, and no more: it is in the history for each approver and each reminder. */
export type Question = Pick<ApprovalInput, 'approvalId' | 'title' | 'description' | 'requestedBy' | 'amount'>;

/** The messages of one stage. Nobody waits for one of them; how each went is in the view. */
export class StageMessages {
  private readonly scope = new CancellationScope();
  private readonly underWay: Promise<void>[] = [];
  private readonly view: ApprovalView;
  private readonly addressees: readonly Addressee[];
  private readonly about: { question: Question; runId: string; endsAt: number; onChange: () => void };

  constructor(view: ApprovalView, approvers: readonly Approver[], about: StageMessages['about']) {
    this.view = view;
    this.about = about;
    this.addressees = addresseesOf(approvers, about.question.requestedBy);
  }

  /** Sends the question (number 0) or a reminder to everybody who can be told. */
  send(number: number): void {
    for (const addressee of this.addressees) {
      this.underWay.push(this.scope.run(() => this.sendTo(addressee, number)));
    }
  }

  /** Gives up what is not delivered yet. */
  async stop(): Promise<void> {
    this.scope.cancel();
    await CancellationScope.nonCancellable(() => Promise.all(this.underWay));
  }

  private async sendTo([approver, channel]: Addressee, number: number): Promise<void> {
    const { question, runId, endsAt, onChange } = this.about;
    const { stage, stages, deadline } = this.view;
    const entry = this.entryOf(approver.id, channel);
    // One that is still being tried is news enough when it arrives.
    if (number > 0 && entry.status === 'sending') return;
    entry.status = 'sending';
    delete entry.reason;
    const { mailApprover, callApprover } = proxyActivities<Activities>({
      ...MESSAGE,
      scheduleToCloseTimeout: Math.max(endsAt - Date.now(), 1),
      summary: `${number === 0 ? 'Ask' : 'Remind'} ${approver.id}`,
    });
    const message = { ...question, runId, stage, stages, approver: approver.id, number, deadline: deadline! };
    try {
      if (channel === 'email') await mailApprover({ ...message, email: approver.email! });
      else await callApprover({ ...message, webhookUrl: approver.webhookUrl! });
      entry.status = 'sent';
      entry.sent += 1;
      entry.lastSentAt = new Date().toISOString();
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      entry.status = 'failed';
      entry.reason = isCancellation(error)
        ? { type: 'NoLongerNeeded', message: 'the stage was over before the message could be delivered' }
        : reasonOf(error);
    }
    onChange();
  }

  private entryOf(approver: string, channel: Notification['channel']): Notification {
    const { stage, notifications } = this.view;
    const known = notifications.find(
      (entry) => entry.stage === stage && entry.approver === approver && entry.channel === channel,
    );
    if (known) return known;
    notifications.push({ stage, approver, channel, status: 'sending', sent: 0 });
    return notifications.at(-1)!;
  }
}
