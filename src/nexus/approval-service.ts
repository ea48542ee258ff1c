import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { getClient, startWorkflow, WorkflowRunOperationHandler } from '@temporalio/nexus';
import { HandlerStartOperationResult, OperationError, serviceHandler, type OperationHandler } from 'nexus-rpc';
import { assertSameRequest, awaitOutcome } from '../activities/existing-approval.js';
import type { ApprovalInput, ApprovalView } from '../schemas/approval.js';
import {
  APPROVAL_TASK_QUEUE,
  APPROVAL_WORKFLOW_TYPE,
  approvalService,
  approvalWorkflowId,
} from '../workflows/approval/contract.js';
import type { approval } from '../workflows/approval/workflow.js';

type ApprovalOutcome = Pick<ApprovalView, 'status'>;

/** Starts the approval, or attaches the operation to the open approval with the same id. */
const approvalRun = new WorkflowRunOperationHandler<ApprovalInput, ApprovalOutcome>(
  async (context, input) =>
    await startWorkflow<typeof approval>(context, APPROVAL_WORKFLOW_TYPE, {
      workflowId: approvalWorkflowId(input.approvalId),
      taskQueue: APPROVAL_TASK_QUEUE,
      args: [input],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: input.title,
    }),
);

/**
 * The operation `request`. An approval that is already closed, for example because the caller was reset, completes the
 * operation at once.
 */
const requestHandler: OperationHandler<ApprovalInput, ApprovalOutcome> = {
  async start(context, input) {
    const client = getClient();
    try {
      const started = await approvalRun.start(context, input);
      // After the start, because another caller can start an approval with this id at any time before it.
      await assertSameRequest(client, input);
      return started;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw toOperationError(error);
    }
    try {
      await assertSameRequest(client, input);
      const status = await awaitOutcome(client.workflow.getHandle(approvalWorkflowId(input.approvalId)));
      return HandlerStartOperationResult.sync({ status });
    } catch (error) {
      throw toOperationError(error);
    }
  },
  cancel: (context, token) => approvalRun.cancel(context, token),
};

/** Only an `OperationError` fails the operation. Temporal retries it after any other error. */
function toOperationError(error: unknown): unknown {
  const cause = error instanceof WorkflowFailedError ? error.cause : error;
  return cause instanceof ApplicationFailure ? new OperationError('failed', cause.message, { cause }) : error;
}

/** Handles the operations of `approvalService`. */
export const approvalServiceHandler = serviceHandler(approvalService, { request: requestHandler });
