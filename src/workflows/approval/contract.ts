import { defineSearchAttributeKey } from '@temporalio/common';
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { operation, service } from 'nexus-rpc';
import type { ApprovalInput, ApprovalView, Decision, WithdrawRequest } from '../../schemas/approval.js';

export const APPROVAL_TASK_QUEUE = 'approvals';

/** Returns the workflow id of an approval. The id makes the start idempotent: each approval has one execution. */
export const approvalWorkflowId = (approvalId: string): string => `approval:${approvalId}`;

/** Returns the id of the standalone activity that reports the outcome of an approval. Each approval has one report. */
export const outcomeReportId = (approvalId: string): string => `outcome-report:${approvalId}`;

/** The retry delays of the report, as part of the workflow and as a standalone activity. */
export const OUTCOME_REPORT_RETRY_DELAYS = {
  initialInterval: '5 seconds',
  backoffCoefficient: 3,
  maximumInterval: '1 hour',
} as const;

/** Returns the approval id that a workflow id contains. */
export const approvalIdOf = (workflowId: string): string => workflowId.replace(/^approval:/, '');

export const APPROVAL_WORKFLOW_TYPE = 'approval';

/**
 * The Nexus service for workflows of another namespace. `request` runs an approval: the operation completes with the
 * outcome, and its cancellation withdraws the approval. A repeated request for the same approval waits for the same
 * outcome. The operation fails with `ApprovalIdTaken` when the id belongs to an approval with different content.
 */
export const approvalService = service('approvals', {
  request: operation<ApprovalInput, Pick<ApprovalView, 'status'>>({ name: 'request' }),
});

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
