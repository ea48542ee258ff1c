import { ChildWorkflowFailure, TerminatedFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ChildWorkflowCancellationType, executeChild, isCancellation, ParentClosePolicy } from '@temporalio/workflow';
import type { ApprovalInput, ApprovalStatus, ApprovalView } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { APPROVAL_TASK_QUEUE, approvalWorkflowId } from '../approval/contract.js';
import { throwIfRejected } from '../shared/failures.js';
import { awaitExistingApproval } from './activities.js';
import type { OrderState } from './state.js';

/** Maps the negative outcomes of an approval to rejections of the order. */
const APPROVAL_REJECTIONS: Partial<Record<ApprovalStatus, Reason>> = {
  rejected: { type: 'ApprovalRejected', message: 'the order was not approved' },
  timed_out: { type: 'ApprovalTimedOut', message: 'nobody approved the order in time' },
  withdrawn: { type: 'ApprovalWithdrawn', message: 'the approval of the order was withdrawn' },
};

/**
 * Runs the approval of an order as a child workflow. Cancelling the order withdraws the approval, and this function
 * waits for the withdrawal.
 *
 * @throws `ApprovalRejected`, `ApprovalTimedOut`, `ApprovalWithdrawn`, or `ApprovalIdTaken` when the id belongs to
 * another approval.
 */
export async function awaitApproval(state: OrderState, input: ApprovalInput): Promise<void> {
  const { approvalId } = input;
  // A reservation can succeed even if the order was cancelled in the meantime. The cancellation takes effect here, so
  // no approval starts.
  if (state.cancellableScope.consideredCancelled) await state.cancellableScope.cancelRequested;
  state.view.approval = { approvalId, status: 'pending' };
  const status = await runApproval(state, input).catch((error: unknown) => {
    if (error instanceof ChildWorkflowFailure || isCancellation(error))
      state.view.approval = { approvalId, status: 'withdrawn' };
    throw error;
  });
  state.view.approval = { approvalId, status };
  throwIfRejected(APPROVAL_REJECTIONS[status]);
}

async function runApproval({ cancellableScope }: OrderState, input: ApprovalInput): Promise<ApprovalStatus> {
  try {
    const { status } = await executeChild<(input: ApprovalInput) => Promise<ApprovalView>>('approval', {
      workflowId: approvalWorkflowId(input.approvalId),
      taskQueue: APPROVAL_TASK_QUEUE,
      args: [input],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary: input.title,
    });
    return status;
  } catch (error) {
    // After a reset, the approval that an earlier run started already exists.
    if (error instanceof WorkflowExecutionAlreadyStartedError) return await awaitExistingApproval(input);
    const isWithdrawn =
      error instanceof ChildWorkflowFailure && (isCancellation(error) || error.cause instanceof TerminatedFailure);
    if (isWithdrawn && !cancellableScope.consideredCancelled) return 'withdrawn';
    throw error;
  }
}
