import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { ApprovalOpening, CurrentStage } from '../../activities/approvals.js';
import type {
  ApprovalInput,
  ApprovalStatus,
  ApprovalView,
  Approver,
  Decision,
  IfUndecided,
  Stage,
  TrailEntry,
} from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { readStages, readText } from './argument-validation.js';
import { approvalDueAtAttribute, approvalIdOf, approvalStatusAttribute, approversAttribute } from './contract.js';
import {
  eligibleApproversOf,
  evaluateDecision,
  hasNewComment,
  isTrailFull,
  outcomeOf,
  toTrailFields,
} from './decisions.js';
import { describeApproval } from './details.js';
import { stageEndOf } from './stage-schedule.js';

/** The complete state of an approval, and its transitions. Queries, updates and the workflow result return `view`. */
export class ApprovalState {
  readonly firstRunId: string;
  /** When the approval was requested, in ms since the epoch. */
  readonly requestedAt: number;
  view: ApprovalView;
  /** The approvers of the current stage, or of the last stage once the approval is closed. */
  eligibleApprovers: readonly Approver[] = [];
  /** When the current stage began, in ms since the epoch. */
  stageStartedAt: number;
  /** `failed` means that the approval did not open, because its input or its id is invalid. */
  phase: 'opening' | 'open' | 'failed' = 'opening';
  /** Why the approval did not open. */
  openFailure: Reason | undefined;
  /** Number of messages that arrived before the approval opened and have not taken effect yet. */
  earlyMessageCount = 0;
  /** Whether the store has the outcome. */
  isOutcomeRecorded = false;
  /** Whether the view has changed since the store recorded it. */
  hasChanges = false;
  /** The ids of the approvers who have a Slack user. Empty in histories of earlier versions. */
  slackApprovers: readonly string[] = [];
  /** The updates of messages in Slack that may still run. */
  readonly slackUpdates: Promise<void>[] = [];

  /** The deadline of the first stage. */
  private readonly dueAt: Date | undefined;
  private readonly stages: readonly Stage[];
  private stageIndex = -1;
  private timeoutOutcome: NonNullable<ApprovalInput['onTimeout']> = 'timed_out';

  /** @param input the raw input, which can have any shape. */
  constructor(input: unknown) {
    const { workflowId, firstExecutionRunId } = workflowInfo();
    this.firstRunId = firstExecutionRunId;
    this.requestedAt = Date.now();
    this.stageStartedAt = this.requestedAt;
    this.stages = readStages(input);
    this.view = {
      approvalId: approvalIdOf(workflowId),
      status: 'pending',
      title: readText(input, 'title'),
      requestedBy: readText(input, 'requestedBy'),
      stage: 1,
      stages: this.stages.length,
      approvers: [],
      trail: [],
      notifications: [],
    };
    this.stageIndex = this.nextStageIndex();
    this.enterStage();
    this.dueAt = this.deadline;
  }

  get isClosed(): boolean {
    return this.view.status !== 'pending';
  }

  get stage(): Stage | undefined {
    return this.stages[this.stageIndex];
  }

  /** The argument of `openApproval`. */
  get opening(): ApprovalOpening {
    return {
      workflowId: workflowInfo().workflowId,
      firstRunId: this.firstRunId,
      requestedAt: new Date(this.requestedAt).toISOString(),
      firstStage: this.currentStage,
      supportsSlack: true,
    };
  }

  /** The current stage in the format of the store. */
  get currentStage(): CurrentStage | undefined {
    const { stage, approvers, deadline } = this.view;
    return this.stage && deadline !== undefined ? { stage, approvers, deadline } : undefined;
  }

  /**
   * Opens the approval after its input was parsed.
   *
   * @param slackApprovers the ids of the approvers who have a Slack user.
   */
  open({ description, amount, onTimeout = 'timed_out' }: ApprovalInput, slackApprovers: readonly string[] = []): void {
    this.slackApprovers = slackApprovers;
    Object.assign(this.view, { ...(description && { description }), ...(amount && { amount }) });
    this.timeoutOutcome = onTimeout;
    this.view.ifUndecided = this.ifUndecided;
    this.addTrailEntry('requested', { approver: this.view.requestedBy, stage: 1 });
    this.addSkippedEntries(0);
    this.phase = 'open';
  }

  /** Marks the approval as not opened. All waiting messages are then rejected with this reason. */
  failToOpen(reason: Reason): void {
    this.openFailure = reason;
    this.phase = 'failed';
  }

  /** Replaces the view with the recorded view, whose outcome is final. */
  replaceView(view: ApprovalView): void {
    this.view = view;
    this.phase = 'open';
    this.isOutcomeRecorded = true;
    this.hasChanges = false;
    this.publish();
  }

  /** Moves to the next stage that has an eligible approver. @returns false when no such stage is left. */
  escalate(): boolean {
    const skippedFrom = this.stageIndex + 1;
    const next = this.nextStageIndex();
    if (next < this.stages.length) {
      this.stageIndex = next;
      this.enterStage();
      this.view.ifUndecided = this.ifUndecided;
    }
    this.addSkippedEntries(skippedFrom, next);
    if (next === this.stages.length) return false;
    this.addTrailEntry('escalated');
    return true;
  }

  restartStageTimeout(): void {
    this.stageStartedAt = Date.now();
    const { deadline } = this;
    if (deadline) this.view.deadline = deadline.toISOString();
  }

  /** Applies a decision. @returns why the decision does not count, or undefined when it counts. */
  decide(decision: Decision): Reason | undefined {
    const evaluation = evaluateDecision(this, decision);
    if (evaluation === 'counts') {
      this.view.decision = { ...toTrailFields(decision), stage: this.view.stage, at: now() };
      this.addTrailEntry('decided', toTrailFields(decision));
      this.close(outcomeOf(decision));
      return undefined;
    }
    if (evaluation !== 'repeated') return evaluation;
    if (hasNewComment(this.view, decision) && !isTrailFull(this.view.trail, 'commented')) {
      this.addTrailEntry('commented', toTrailFields(decision));
    }
    return undefined;
  }

  /**
   * Adds an ignored decision to the trail.
   *
   * @param fields the fields of the decision; empty when the message is malformed.
   */
  recordIgnoredDecision(reason: Reason, fields: Partial<TrailEntry>): void {
    if (!isTrailFull(this.view.trail, 'ignored')) this.addTrailEntry('ignored', { ...fields, reason });
  }

  /** Withdraws the approval. Does nothing if the approval is closed. */
  withdraw(reason?: string): void {
    if (this.isClosed) return;
    this.view.withdrawal = { at: now(), ...(reason && { reason }) };
    this.addTrailEntry('withdrawn');
    this.close('withdrawn');
  }

  /** Closes the approval after its last stage has timed out. */
  timeOut(): void {
    this.addTrailEntry('timed_out');
    this.close(this.timeoutOutcome);
  }

  setCallbackDelivery(delivery: NonNullable<ApprovalView['callbackDelivery']>): void {
    this.view.callbackDelivery = delivery;
    this.hasChanges = true;
    this.publish();
  }

  /** Updates the current details and the search attributes from the view. */
  publish(): void {
    setCurrentDetails(describeApproval(this.view));
    if (this.isPublished()) return;
    upsertSearchAttributes([
      { key: approvalStatusAttribute, value: this.view.status },
      { key: approversAttribute, value: this.isClosed ? null : this.view.approvers },
      ...(this.dueAt ? [{ key: approvalDueAtAttribute, value: this.dueAt }] : []),
    ]);
  }

  /** Whether the search attributes are already up to date. The API may have set them at the start. */
  private isPublished(): boolean {
    const { typedSearchAttributes } = workflowInfo();
    const approvers = this.isClosed ? [] : this.view.approvers;
    return (
      typedSearchAttributes.get(approvalStatusAttribute) === this.view.status &&
      (typedSearchAttributes.get(approversAttribute) ?? []).join() === approvers.join()
    );
  }

  private get deadline(): Date | undefined {
    return this.stage && new Date(stageEndOf(this.stage, this.stageStartedAt));
  }

  private get ifUndecided(): IfUndecided {
    const next = this.stages[this.nextStageIndex()];
    return next
      ? { nextApprovers: eligibleApproversOf(next, this.view.requestedBy).map(({ id }) => id) }
      : { outcome: this.timeoutOutcome };
  }

  /**
   * Returns the index of the next stage with an eligible approver, or the number of stages when no such stage is left.
   */
  private nextStageIndex(): number {
    const { requestedBy } = this.view;
    const next = this.stages.findIndex(
      (stage, n) => n > this.stageIndex && eligibleApproversOf(stage, requestedBy).length > 0,
    );
    return next === -1 ? this.stages.length : next;
  }

  private enterStage(): void {
    if (!this.stage) return;
    this.eligibleApprovers = eligibleApproversOf(this.stage, this.view.requestedBy);
    this.view.stage = this.stageIndex + 1;
    this.view.approvers = this.eligibleApprovers.map(({ id }) => id);
    this.restartStageTimeout();
  }

  private addSkippedEntries(from: number, to = this.stageIndex): void {
    for (let index = from; index < to; index += 1) this.addTrailEntry('skipped', { stage: index + 1 });
  }

  private close(status: ApprovalStatus): void {
    this.view.status = status;
    delete this.view.ifUndecided;
    this.publish();
  }

  private addTrailEntry(event: TrailEntry['event'], more: Partial<TrailEntry> = {}): void {
    this.view.trail.push({ at: now(), event, stage: this.view.stage, ...more });
    this.hasChanges = true;
  }
}

const now = () => new Date().toISOString();
