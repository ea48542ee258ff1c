import { truncateText } from '../../temporal/payloads/text.js';
import type { ApprovalView, Approver, Decision, TrailEntry } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { isCallerId, isText } from '../shared/arguments.js';
import { closedRejectionOf, isSameDecision } from './contract.js';

/** The same rules as in `schemas/`, which this module must not import at run time. A test compares both. */
const MAX_COMMENT_LENGTH = 1_000;
const VIA_VALUES: readonly unknown[] = ['api', 'link', 'webhook', 'cli'];
const DECISION_FIELDS = ['approver', 'decision', 'comment', 'via', 'stage'];

/** Validates a raw decision. @returns the problem, or undefined when the decision is valid. */
export function validateDecision(value: unknown): Reason | undefined {
  const problem = decisionProblemOf(value);
  return problem === undefined ? undefined : { type: 'InvalidInput', message: problem };
}

function decisionProblemOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'the argument must be {"approver","decision":"approve"|"reject","comment"?}';
  }
  const { approver, decision, comment, via, stage } = value as Record<string, unknown>;
  // The message omits the unknown names, which can be as long as a payload, because the trail stores the message.
  if (Object.keys(value).some((key) => !DECISION_FIELDS.includes(key)))
    return `only ${DECISION_FIELDS.join(', ')} are known fields`;
  if (!isCallerId(approver)) return 'approver must be an id';
  if (decision !== 'approve' && decision !== 'reject') return 'decision must be "approve" or "reject"';
  if (comment !== undefined && !isText(comment, MAX_COMMENT_LENGTH)) {
    return `comment must have at most ${MAX_COMMENT_LENGTH} UTF-16 code units, without NUL and lone surrogates`;
  }
  if (via !== undefined && !VIA_VALUES.includes(via)) return `via must be one of ${VIA_VALUES.join(', ')}`;
  if (stage !== undefined && !isStageNumber(stage)) return 'stage must be a whole number from 1';
  return undefined;
}

const isStageNumber = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 1;

/** The facts that determine whether a decision counts. */
export interface DecisionContext {
  view: Pick<ApprovalView, 'status' | 'stage' | 'decision' | 'requestedBy'>;
  /** The approvers of the current stage, or of the last stage once the approval is closed. */
  eligibleApprovers: readonly Approver[];
}

/**
 * Whether a decision counts, repeats the decision that counted, or is rejected with a reason. A closed approval returns
 * its outcome to every caller, because the configured approvers may have changed since.
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

/** The outcome of a decision that counts. */
export function outcomeOf({ decision }: Decision): 'approved' | 'rejected' {
  return decision === 'approve' ? 'approved' : 'rejected';
}

/**
 * Why an approval cannot be withdrawn, or undefined. A decision is final. An approval that is already withdrawn passes.
 */
export function withdrawalRejection(view: Pick<ApprovalView, 'status' | 'decision'>): Reason | undefined {
  return view.status === 'pending' || view.status === 'withdrawn' ? undefined : closedRejectionOf(view);
}

/** A decision in the format of the trail. */
export function toTrailFields({ approver, decision, comment, via = 'cli' }: Decision) {
  return { approver, decision, ...(comment && { comment }), via };
}

/** Maximum number of entries of one kind that callers can add to the trail. The history has every message anyway. */
const MAX_CALLER_ENTRIES = 20;

/** Whether the trail is full for this kind of entry. */
export function isTrailFull(trail: readonly Pick<TrailEntry, 'event'>[], kind: 'ignored' | 'commented'): boolean {
  return trail.filter(({ event }) => event === kind).length >= MAX_CALLER_ENTRIES;
}

/** Whether a repeated decision has a new comment. */
export function hasNewComment(
  { decision, trail }: Pick<ApprovalView, 'decision' | 'trail'>,
  repeated: Decision,
): boolean {
  const { comment } = repeated;
  if (!comment || comment === decision?.comment) return false;
  return !trail.some((entry) => entry.event === 'commented' && entry.comment === comment);
}

/** Reads a text from raw input. */
export function readText(input: unknown, field: 'title' | 'requestedBy'): string {
  const value = (input as Record<string, unknown> | null | undefined)?.[field];
  return typeof value === 'string' ? truncateText(value, 200) : '';
}
