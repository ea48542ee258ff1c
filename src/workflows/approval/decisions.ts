import type { ApprovalView, Approver, Decision, Stage, TrailEntry } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';

// The rules for decisions, as pure functions. The API also uses some of these rules.

/** The data that determines whether a decision counts. */
export interface DecisionContext {
  view: Pick<ApprovalView, 'status' | 'stage' | 'decision' | 'requestedBy'>;
  /** The approvers of the current stage, or of the last stage once the approval is closed. */
  eligibleApprovers: readonly Approver[];
}

/** Returns the approvers who can decide. Requesters cannot decide their own request. */
export function eligibleApproversOf({ approvers }: Stage, requestedBy: string): Approver[] {
  return approvers.filter(({ id }) => id !== requestedBy);
}

/**
 * Returns whether a decision counts, repeats the decision that counted, or is rejected (with the reason). A closed
 * approval returns its outcome to every caller, because the configured approvers may have changed.
 */
export function evaluateDecision(
  { view, eligibleApprovers }: DecisionContext,
  decision: Decision,
): 'counts' | 'repeated' | Reason {
  if (view.status !== 'pending') return isSameDecision(view.decision, decision) ? 'repeated' : closedRejectionOf(view);

  if (decision.stage !== undefined && decision.stage !== view.stage) {
    return {
      type: 'StagePassed',
      message: `the decision is for stage ${decision.stage}, but the approval is in stage ${view.stage}`,
    };
  }
  if (decision.approver === view.requestedBy) {
    return { type: 'SelfApproval', message: 'requesters cannot decide their own request' };
  }
  const approver = eligibleApprovers.find(({ id }) => id === decision.approver);
  if (!approver) {
    return { type: 'NotAnApprover', message: `${decision.approver} is not an approver of stage ${view.stage}` };
  }
  if (decision.via === 'webhook' && approver.webhookUrl === undefined) {
    return { type: 'NotAnApprover', message: `${decision.approver} cannot decide by webhook` };
  }
  return 'counts';
}

/** Whether a decision repeats the decision that counted. A repeated decision gets the same response. */
export const isSameDecision = (decided: ApprovalView['decision'], { approver, decision }: Decision): boolean =>
  decided?.approver === approver && decided.decision === decision;

/** Returns why a closed approval rejects a request. */
export function closedRejectionOf({ status, decision }: Pick<ApprovalView, 'status' | 'decision'>): Reason {
  if (!decision) return { type: 'ApprovalClosed', message: `the approval is already closed: ${status}` };
  return { type: 'AlreadyDecided', message: `${decision.approver} has already decided: ${decision.decision}` };
}

/** Converts a decision to the outcome of the approval. */
export function outcomeOf({ decision }: Decision): 'approved' | 'rejected' {
  return decision === 'approve' ? 'approved' : 'rejected';
}

/** Returns why an approval cannot be withdrawn, or undefined when the approval is pending or already withdrawn. */
export function withdrawalRejectionOf(view: Pick<ApprovalView, 'status' | 'decision'>): Reason | undefined {
  return view.status === 'pending' || view.status === 'withdrawn' ? undefined : closedRejectionOf(view);
}

/** Converts a decision to the fields of a trail entry. */
export function toTrailFields({ approver, decision, comment, via = 'cli' }: Decision) {
  return { approver, decision, ...(comment && { comment }), via };
}

/**
 * Maximum number of entries of one kind that callers can add to the trail. Further messages are only in the history.
 */
const MAX_CALLER_ENTRIES = 20;

/** Whether the trail has the maximum number of entries of this kind. */
export function isTrailFull(trail: readonly Pick<TrailEntry, 'event'>[], kind: 'ignored' | 'commented'): boolean {
  return trail.filter(({ event }) => event === kind).length >= MAX_CALLER_ENTRIES;
}

/** Whether a repeated decision has a comment that is not in the trail yet. */
export function hasNewComment(
  { decision, trail }: Pick<ApprovalView, 'decision' | 'trail'>,
  repeated: Decision,
): boolean {
  const { comment } = repeated;
  if (!comment || comment === decision?.comment) return false;
  return !trail.some((entry) => entry.event === 'commented' && entry.comment === comment);
}
