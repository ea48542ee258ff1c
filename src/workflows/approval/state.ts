import type {
  ApprovalInput,
  ApprovalStatus,
  ApprovalView,
  Approver,
  Decision,
  Stage,
  TrailEntry,
} from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { eligibleApproversOf, stageEndOf, readStages } from './stage.js';
import { evaluateDecision, readText, hasNewComment, isTrailFull, outcomeOf, toTrailFields } from './decisions.js';

/** The state of one approval, and its changes. Every change calls `onChange`. */
export class ApprovalState {
  readonly firstRunId: string;
  /** When the approval was requested, in ms since the epoch. */
  readonly requestedAt: number;
  view: ApprovalView;
  /** The approvers of the current stage, or of the last stage once the approval is closed. */
  eligibleApprovers: readonly Approver[] = [];
  /** When the current stage began. */
  stageStartedAt: number;
  /** The deadline of the first stage. */
  dueAt: Date | undefined;
  phase: 'opening' | 'open' | 'rejected' = 'opening';
  /** Why the approval did not open. */
  rejection: Reason | undefined;
  /** Whether the store has the outcome. */
  isOutcomeRecorded = false;
  /** Whether the view has changed since it was last stored. */
  hasChanges = false;
  onChange: () => void = () => undefined;

  private readonly stages: readonly Stage[];
  /** The index of the current stage. */
  private stageIndex = -1;

  /** @param input the raw input, of any shape. */
  constructor({ approvalId, firstRunId, input }: { approvalId: string; firstRunId: string; input: unknown }) {
    this.firstRunId = firstRunId;
    this.requestedAt = Date.now();
    this.stageStartedAt = this.requestedAt;
    this.stages = readStages(input);
    this.view = {
      approvalId,
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

  get deadline(): Date | undefined {
    return this.stage && new Date(stageEndOf(this.stage, this.stageStartedAt));
  }

  /** Opens the approval once its input is parsed. */
  open({ description, amount }: ApprovalInput): void {
    Object.assign(this.view, { ...(description && { description }), ...(amount && { amount }) });
    this.addTrailEntry('requested', { approver: this.view.requestedBy, stage: 1 });
    this.addSkippedEntries(0);
    this.phase = 'open';
  }

  /** Rejects the approval. All waiting messages get the reason. */
  reject(reason: Reason): void {
    this.rejection = reason;
    this.phase = 'rejected';
  }

  /** Replaces the view by the recorded one, whose outcome is final. */
  replaceView(view: ApprovalView): void {
    this.view = view;
    this.phase = 'open';
    this.isOutcomeRecorded = true;
    this.hasChanges = false;
    this.onChange();
  }

  /** Moves to the next stage that has an eligible approver. @returns false when there is none. */
  escalate(): boolean {
    const skippedFrom = this.stageIndex + 1;
    const next = this.nextStageIndex();
    if (next < this.stages.length) {
      this.stageIndex = next;
      this.enterStage();
    }
    this.addSkippedEntries(skippedFrom, next);
    if (next === this.stages.length) return false;
    this.addTrailEntry('escalated');
    return true;
  }

  /** Restarts the timeout of the current stage. */
  restartStageTimeout(): void {
    this.stageStartedAt = Date.now();
    const { deadline } = this;
    if (deadline) this.view.deadline = deadline.toISOString();
  }

  /** Applies a decision. @returns why the decision does not count, or undefined when it counts. */
  decide(decision: Decision): Reason | undefined {
    const answer = evaluateDecision(this, decision);
    if (answer === 'counts') {
      this.view.decision = { ...toTrailFields(decision), stage: this.view.stage, at: now() };
      this.addTrailEntry('decided', toTrailFields(decision));
      this.close(outcomeOf(decision));
      return undefined;
    }
    if (answer !== 'repeated') return answer;
    if (hasNewComment(this.view, decision) && !isTrailFull(this.view.trail, 'commented')) {
      this.addTrailEntry('commented', toTrailFields(decision));
    }
    return undefined;
  }

  /** Adds an ignored decision to the trail. @param said is missing when the message is malformed. */
  recordIgnoredDecision(reason: Reason, said: Partial<TrailEntry> = {}): void {
    if (!isTrailFull(this.view.trail, 'ignored')) this.addTrailEntry('ignored', { ...said, reason });
  }

  withdraw(reason?: string): void {
    if (this.isClosed) return;
    this.view.withdrawal = { at: now(), ...(reason && { reason }) };
    this.addTrailEntry('withdrawn');
    this.close('withdrawn');
  }

  timeOut(outcome: ApprovalStatus = 'timed_out'): void {
    this.addTrailEntry('timed_out');
    this.close(outcome);
  }

  setCallbackDelivery(delivery: NonNullable<ApprovalView['callbackDelivery']>): void {
    this.view.callbackDelivery = delivery;
    this.hasChanges = true;
    this.onChange();
  }

  /** The index of the next stage with an eligible approver, or the number of stages when there is none. */
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
    this.onChange();
  }

  private addTrailEntry(event: TrailEntry['event'], more: Partial<TrailEntry> = {}): void {
    this.view.trail.push({ at: now(), event, stage: this.view.stage, ...more });
    this.hasChanges = true;
  }
}

const now = () => new Date().toISOString();
