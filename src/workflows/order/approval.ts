import {
  ApplicationFailure,
  ChildWorkflowFailure,
  NexusOperationFailure,
  TerminatedFailure,
  WorkflowExecutionAlreadyStartedError,
} from '@temporalio/common';
import {
  ChildWorkflowCancellationType,
  createNexusServiceClient,
  executeChild,
  isCancellation,
  NexusOperationCancellationType,
  ParentClosePolicy,
} from '@temporalio/workflow';
import type { ApprovalInput, ApprovalStatus, ApprovalView } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import {
  APPROVAL_TASK_QUEUE,
  APPROVAL_WORKFLOW_TYPE,
  approvalService,
  approvalWorkflowId,
} from '../approval/contract.js';
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
 * Returns why an approval that ended with this status rejects the order.
 *
 * @throws an error that fails the workflow task if the status is unknown, because such an outcome must not lead to a
 * charge. Another team can return a new status, and a worker without the key cannot read the outcome.
 */
export function outcomeRejectionOf(status: ApprovalStatus): Reason | undefined {
  const rejection = APPROVAL_REJECTIONS[status];
  if (status !== 'approved' && !rejection) throw new Error(`unknown outcome of an approval: ${String(status)}`);
  return rejection;
}

/**
 * Runs the approval of an order: as an operation of the Nexus endpoint, or as a child workflow if `endpoint` is
 * undefined. Cancelling the order withdraws the approval, and this function waits for the withdrawal.
 *
 * @throws `ApprovalRejected`, `ApprovalTimedOut`, `ApprovalWithdrawn`, or `ApprovalIdTaken` when the id belongs to
 * another approval.
 */
export async function awaitApproval(
  state: OrderState,
  input: ApprovalInput,
  endpoint: string | undefined,
): Promise<void> {
  const { approvalId } = input;
  // A reservation can succeed even if the order was cancelled in the meantime. The cancellation takes effect here, so
  // no approval starts.
  if (state.cancellableScope.consideredCancelled) await state.cancellableScope.cancelRequested;
  state.view.approval = { approvalId, status: 'pending' };
  const status = await runApproval(state, input, endpoint).catch((error: unknown) => {
    if (isApprovalFailure(error) || isCancellation(error)) state.view.approval = { approvalId, status: 'withdrawn' };
    throw error;
  });
  const rejection = outcomeRejectionOf(status);
  state.view.approval = { approvalId, status };
  throwIfRejected(rejection);
}

async function runApproval(
  { cancellableScope }: OrderState,
  input: ApprovalInput,
  endpoint: string | undefined,
): Promise<ApprovalStatus> {
  try {
    const { status } = await (endpoint === undefined ? runChildWorkflow(input) : runNexusOperation(input, endpoint));
    return status;
  } catch (error) {
    // After a reset, the approval that an earlier run started already exists.
    if (error instanceof WorkflowExecutionAlreadyStartedError) return await awaitExistingApproval(input);
    const isWithdrawn = isApprovalFailure(error) && (isCancellation(error) || error.cause instanceof TerminatedFailure);
    if (isWithdrawn && !cancellableScope.consideredCancelled) return 'withdrawn';
    throw error;
  }
}

const isApprovalFailure = (error: unknown): error is ChildWorkflowFailure | NexusOperationFailure =>
  error instanceof ChildWorkflowFailure || error instanceof NexusOperationFailure;

async function runChildWorkflow(input: ApprovalInput): Promise<Pick<ApprovalView, 'status'>> {
  return await executeChild<(input: ApprovalInput) => Promise<ApprovalView>>(APPROVAL_WORKFLOW_TYPE, {
    workflowId: approvalWorkflowId(input.approvalId),
    taskQueue: APPROVAL_TASK_QUEUE,
    args: [input],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    staticSummary: input.title,
  });
}

/** The operation has no timeout, because each stage of an approval can last for a year. */
async function runNexusOperation(input: ApprovalInput, endpoint: string): Promise<Pick<ApprovalView, 'status'>> {
  const client = createNexusServiceClient({ endpoint, service: approvalService });
  try {
    return await client.executeOperation('request', input, {
      cancellationType: NexusOperationCancellationType.WAIT_CANCELLATION_COMPLETED,
      summary: input.title,
    });
  } catch (error) {
    throw rejectionIn(error) ?? error;
  }
}

/** Returns the failure with which the service rejected the request. The SDK wraps it in an `OperationError`. */
function rejectionIn(error: unknown): ApplicationFailure | undefined {
  const wrapper = error instanceof NexusOperationFailure ? error.cause : undefined;
  if (!(wrapper instanceof ApplicationFailure) || wrapper.type !== 'OperationError') return undefined;
  return wrapper.cause instanceof ApplicationFailure ? wrapper.cause : undefined;
}
