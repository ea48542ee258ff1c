import type { ApprovalView, Approver, Decision, TrailEntry } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/reason.js';
import { closedWith, isSameDecision } from './contract.js';

/** The same limits as in `schemas/`, which must not be imported here at run time; a test holds them together. */
const MAX_COMMENT = 1_000;
const MAX_CALLER_ID = 120;
const VIAS: readonly unknown[] = ['api', 'link', 'webhook', 'cli'];
const FIELDS = ['approver', 'decision', 'comment', 'via', 'stage'];

/** What is wrong with an argument that nobody has parsed yet, if it is no decision. */
export function malformedDecision(value: unknown): Reason | undefined {
  const problem = problemOf(value);
  return problem === undefined ? undefined : { type: 'InvalidInput', message: problem };
}

function problemOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'the argument must be {"approver","decision":"approve"|"reject","comment"?}';
  }
  const { approver, decision, comment, via, stage } = value as Record<string, unknown>;
  // Not quoted: a name may be as long as a payload, and what is ignored is kept in the trail.
  if (Object.keys(value).some((key) => !FIELDS.includes(key))) return `only ${FIELDS.join(', ')} are known fields`;
  if (typeof approver !== 'string' || approver === '' || approver.length > MAX_CALLER_ID)
    return 'approver must be an id';
  if (decision !== 'approve' && decision !== 'reject') return 'decision must be "approve" or "reject"';
  if (comment !== undefined && (typeof comment !== 'string' || comment.length > MAX_COMMENT)) {
    return `comment must have at most ${MAX_COMMENT} UTF-16 code units`;
  }
  if (via !== undefined && !VIAS.includes(via)) return `via must be one of ${VIAS.join(', ')}`;
  if (stage !== undefined && !Number.isInteger(stage)) return 'stage must be a whole number';
  return undefined;
}

/** What a decision is measured by. */
export interface Standing {
  view: Pick<ApprovalView, 'status' | 'stage' | 'decision' | 'requestedBy'>;
  /** Of the current stage, or of the last one that was asked. */
  approvers: readonly Approver[];
}

/**
 * The answer to a decision: it counts, it is the one that counted already, or why it does not count. A closed approval
 * tells its outcome to everybody alike: the approvers of today may not be those of then.
 */
export function answerTo({ view, approvers }: Standing, decision: Decision): 'counts' | 'repeated' | Reason {
  if (view.status !== 'pending') return isSameDecision(view.decision, decision) ? 'repeated' : closedWith(view);

  if (decision.stage !== undefined && decision.stage !== view.stage) {
    return { type: 'StagePassed', message: `stage ${decision.stage} is not asked, stage ${view.stage} is` };
  }
  if (decision.approver === view.requestedBy) {
    return { type: 'OwnRequest', message: 'who asks may not decide' };
  }
  const approver = approvers.find(({ id }) => id === decision.approver);
  if (!approver) {
    return { type: 'NotAnApprover', message: `${decision.approver} is not an approver of stage ${view.stage}` };
  }
  if (decision.via === 'webhook' && approver.webhookUrl === undefined) {
    return { type: 'NotAnApprover', message: `${decision.approver} may not decide by webhook` };
  }
  return 'counts';
}

/** What becomes of the question by a decision that counts. */
export function outcomeOf({ decision }: Decision): 'approved' | 'rejected' {
  return decision === 'approve' ? 'approved' : 'rejected';
}

/** Why a question cannot be taken back. Withdrawing again is fine, anything that was decided stands. */
export function withdrawalRefusal(view: Pick<ApprovalView, 'status' | 'decision'>): Reason | undefined {
  return view.status === 'pending' || view.status === 'withdrawn' ? undefined : closedWith(view);
}

/** Who, what, how and why. */
export function saidBy({ approver, decision, comment, via = 'cli' }: Decision) {
  return { approver, decision, ...(comment && { comment }), via };
}

/** Signals that do not count are kept in the trail up to this many; each is in the history anyway. */
const MAX_IGNORED = 20;

/** Whether the trail has no room for another decision that does not count. */
export function isTrailFull(trail: readonly Pick<TrailEntry, 'event'>[]): boolean {
  return trail.filter(({ event }) => event === 'ignored').length >= MAX_IGNORED;
}

/** A text of input that nobody has parsed yet. */
export function givenText(input: unknown, field: 'title' | 'requestedBy'): string {
  const value = (input as Record<string, unknown> | null | undefined)?.[field];
  return typeof value === 'string' ? value.slice(0, 200) : '';
}
