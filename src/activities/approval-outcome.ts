import { isDeepStrictEqual } from 'node:util';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { CancelledFailure, TerminatedFailure } from '@temporalio/common';
import type { ApprovalInput, ApprovalStatus, ApprovalView } from '../schemas/approval.js';
import { approvalWorkflowId } from '../workflows/approval/contract.js';
import { readWorkflowInput } from '../temporal/client/history.js';
import { rejectionFailure } from './failures.js';
import { withHeartbeat } from './external-calls.js';

/** The fields that identify a question. Approvers and deadlines may change with the configuration. */
const requestContentOf = ({ title, description, requestedBy, amount }: ApprovalInput) => ({
  title,
  description,
  requestedBy,
  amount,
});

type ApprovalHandle = WorkflowHandle<() => Promise<ApprovalView>>;

export function createApprovalOutcomeActivities() {
  return {
    /**
     * Waits for the outcome of an approval that an earlier run of the order started. Cancelling the activity withdraws
     * the approval.
     *
     * @throws `ApprovalIdTaken` when the approval asks a different question.
     */
    async awaitExistingApproval(question: ApprovalInput): Promise<ApprovalStatus> {
      const { client } = Context.current();
      const workflowId = approvalWorkflowId(question.approvalId);
      // Any client can have started this workflow, with any input.
      const asked = ((await readWorkflowInput(client, workflowId)) ?? {}) as ApprovalInput;
      if (!isDeepStrictEqual(requestContentOf(asked), requestContentOf(question))) {
        throw rejectionFailure('ApprovalIdTaken', `approval id ${question.approvalId} belongs to another approval`);
      }
      const handle: ApprovalHandle = client.workflow.getHandle(workflowId);
      return await withHeartbeat(async (cancellation) => {
        cancellation.addEventListener('abort', () => void handle.cancel().catch(() => undefined));
        return await awaitOutcome(handle);
      });
    },
  };
}

async function awaitOutcome(handle: ApprovalHandle): Promise<ApprovalStatus> {
  for (;;) {
    try {
      return (await handle.result()).status;
    } catch (error) {
      const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
      if (cause instanceof CancelledFailure) return 'withdrawn';
      if (!(cause instanceof TerminatedFailure)) throw error;
      // A reset also terminates the run, but the execution continues in a new run.
      if ((await handle.describe()).status.name === 'TERMINATED') return 'withdrawn';
    }
  }
}
