import { isDeepStrictEqual } from 'node:util';
import { WorkflowFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import { CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { rejectionFailure } from '../failures/rejections.js';
import type { ApprovalInput, ApprovalStatus, ApprovalView } from '../schemas/approval.js';
import { readWorkflowInput } from '../temporal/client/history.js';
import { approvalWorkflowId } from '../workflows/approval/contract.js';

export type ApprovalHandle = WorkflowHandle<() => Promise<ApprovalView>>;

/** @throws `ApprovalIdTaken` when the approval with this id has different content. */
export async function assertSameRequest(client: Client, request: ApprovalInput): Promise<void> {
  const { approvalId } = request;
  // Any client may have started this workflow, so its input can have any shape.
  const existing = ((await readWorkflowInput(client, approvalWorkflowId(approvalId))) ?? {}) as ApprovalInput;
  if (isDeepStrictEqual(requestContentOf(existing), requestContentOf(request))) return;
  throw rejectionFailure('ApprovalIdTaken', `approval ${approvalId} already exists with different content`);
}

/**
 * Selects the fields that identify a request. Approvers and deadlines are not included, because the configuration can
 * change.
 */
const requestContentOf = ({ title, description, requestedBy, amount }: ApprovalInput) => ({
  title,
  description,
  requestedBy,
  amount,
});

/** @returns the final status, which is `withdrawn` for a cancelled or terminated execution. */
export async function awaitOutcome(handle: ApprovalHandle): Promise<ApprovalStatus> {
  for (;;) {
    try {
      return (await handle.result()).status;
    } catch (error) {
      const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
      if (cause instanceof CancelledFailure) return 'withdrawn';
      if (!(cause instanceof TerminatedFailure)) throw error;
      // A reset also terminates the old run, but the execution continues in a new run.
      if ((await handle.describe()).status.name === 'TERMINATED') return 'withdrawn';
    }
  }
}
