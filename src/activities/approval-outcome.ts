import { isDeepStrictEqual } from 'node:util';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure, TerminatedFailure } from '@temporalio/common';
import type { ApprovalInput, ApprovalStatus, ApprovalView } from '../schemas/approval.js';
import { approvalWorkflowId } from '../workflows/approval/contract.js';
import { firstInput } from '../temporal-history.js';
import { refused } from './failures.js';
import { whileBeating } from './outside.js';

/** What makes two approvals the same question. Approvers and deadlines may have been configured anew. */
const questionOf = ({ title, description, requestedBy, amount }: ApprovalInput) => ({
  title,
  description,
  requestedBy,
  amount,
});

export function createApprovalOutcomeActivities() {
  return {
    /**
     * Waits for the outcome of an approval that an earlier run of the order started. A cancellation withdraws the approval.
     *
     * @throws `ApprovalIdTaken` when the approval asks something else.
     */
    async joinApproval(question: ApprovalInput): Promise<ApprovalStatus> {
      const { client } = Context.current();
      const workflowId = approvalWorkflowId(question.approvalId);
      // Anybody may have started it, with any input.
      const asked = ((await firstInput(client, workflowId)) ?? {}) as ApprovalInput;
      if (!isDeepStrictEqual(questionOf(asked), questionOf(question))) {
        throw refused('ApprovalIdTaken', `approval id ${question.approvalId} belongs to another approval`);
      }
      const handle = client.workflow.getHandle<() => Promise<ApprovalView>>(workflowId);
      return await whileBeating(async (cancellation) => {
        cancellation.addEventListener('abort', () => void handle.cancel().catch(() => undefined));
        return await handle.result().then(
          ({ status }) => status,
          (error: unknown) => {
            const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
            if (cause instanceof CancelledFailure || cause instanceof TerminatedFailure) return 'withdrawn';
            throw error;
          },
        );
      });
    },
  };
}
