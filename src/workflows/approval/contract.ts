import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ApprovalView, Decision, WithdrawRequest } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/reason.js';

export const APPROVAL_TASK_QUEUE = 'approvals';

/** The workflow id of an approval. One question, one execution: the id is the idempotency key of the start. */
export const approvalWorkflowId = (approvalId: string): string => `approval:${approvalId}`;

/** The approval id in a workflow id. */
export const approvalIdOf = (workflowId: string): string => workflowId.replace(/^approval:/, '');

export const approvalQuery = defineQuery<ApprovalView>('approval');

/**
 * Somebody decides; the first decision wins, and the same one again only adds a new comment. Rejected with `NotAnApprover`,
 * `OwnRequest`, `StagePassed`, `AlreadyDecided`, `ApprovalClosed`, or `DecisionRepeated` when nothing is new; as a signal
 * for senders that need no answer.
 */
export const decideUpdate = defineUpdate<ApprovalView, [Decision]>('decide');
export const decideSignal = defineSignal<[Decision]>('decide');

/** The question is taken back. Rejected with `AlreadyDecided`, `ApprovalClosed` or `AlreadyWithdrawn`. */
export const withdrawUpdate = defineUpdate<ApprovalView, [WithdrawRequest]>('withdraw');

export const approvalStatusAttribute = defineSearchAttributeKey('ApprovalStatus', 'KEYWORD');

/** Who may decide now. */
export const approversAttribute = defineSearchAttributeKey('Approvers', 'KEYWORD_LIST');

/** When those who are asked first should have decided: who is asked later is asked because they did not. */
export const approvalDueAtAttribute = defineSearchAttributeKey('ApprovalDueAt', 'DATETIME');

/** Whether a decision says what was decided already: it is answered like the first time. */
export const isSameDecision = (made: ApprovalView['decision'], { approver, decision }: Decision): boolean =>
  made?.approver === approver && made.decision === decision;

/** Whether an update was rejected because an earlier one had the same effect: the view has the outcome. */
export const isRepetition = ({ type }: Reason): boolean => type === 'DecisionRepeated' || type === 'AlreadyWithdrawn';

/** Why an approval that is no longer open takes nothing. */
export function closedWith({ status, decision }: Pick<ApprovalView, 'status' | 'decision'>): Reason {
  if (!decision) return { type: 'ApprovalClosed', message: `the approval is ${status}` };
  return { type: 'AlreadyDecided', message: `${decision.approver} has already decided: ${decision.decision}` };
}
