import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ApprovalView, Decision, WithdrawRequest } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';

export const APPROVAL_TASK_QUEUE = 'approvals';

/** Returns the workflow id of an approval. The id makes the start idempotent: each approval has one execution. */
export const approvalWorkflowId = (approvalId: string): string => `approval:${approvalId}`;

/** Returns the approval id that a workflow id contains. */
export const approvalIdOf = (workflowId: string): string => workflowId.replace(/^approval:/, '');

export const approvalQuery = defineQuery<ApprovalView>('approval');

/**
 * Submits an approver's decision. The first decision counts. A repeated decision can only add a comment. Rejected with
 * `NotAnApprover`, `SelfApproval`, `StagePassed`, `AlreadyDecided`, `ApprovalClosed`, or with `DecisionRepeated` when
 * the repetition adds no comment. The signal is for senders that need no response.
 */
export const decideUpdate = defineUpdate<ApprovalView, [Decision]>('decide');
export const decideSignal = defineSignal<[Decision]>('decide');

/** Withdraws the request. Rejected with `AlreadyDecided`, `ApprovalClosed` or `AlreadyWithdrawn`. */
export const withdrawUpdate = defineUpdate<ApprovalView, [WithdrawRequest]>('withdraw');

export const approvalStatusAttribute = defineSearchAttributeKey('ApprovalStatus', 'KEYWORD');

/** The approvers who can decide now. */
export const approversAttribute = defineSearchAttributeKey('Approvers', 'KEYWORD_LIST');

/** The deadline of the first stage. Later stages start only if the first stage times out. */
export const approvalDueAtAttribute = defineSearchAttributeKey('ApprovalDueAt', 'DATETIME');

/** Whether a decision repeats the decision that counted. A repeated decision gets the same response. */
export const isSameDecision = (decided: ApprovalView['decision'], { approver, decision }: Decision): boolean =>
  decided?.approver === approver && decided.decision === decision;

/** Whether an update was rejected because an earlier update had the same effect. The view contains the outcome. */
export const isRepeatRejection = ({ type }: Reason): boolean =>
  type === 'DecisionRepeated' || type === 'AlreadyWithdrawn';

/** Returns why a closed approval rejects a request. */
export function closedRejectionOf({ status, decision }: Pick<ApprovalView, 'status' | 'decision'>): Reason {
  if (!decision) return { type: 'ApprovalClosed', message: `the approval is already closed: ${status}` };
  return { type: 'AlreadyDecided', message: `${decision.approver} has already decided: ${decision.decision}` };
}
